package s3

import (
	"context"
	"fmt"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// The larger settings of AWS::S3::Bucket, in the forms of templates, and their
// ways to S3's own.

type lifecycle struct {
	Rules                              []lifecycleRule `json:"Rules"`
	TransitionDefaultMinimumObjectSize string          `json:"TransitionDefaultMinimumObjectSize,omitempty"`
}

type lifecycleRule struct {
	ID             string         `json:"Id,omitempty"`
	Status         string         `json:"Status"`
	Prefix         string         `json:"Prefix,omitempty"`
	TagFilters     []resource.Tag `json:"TagFilters,omitempty"`
	Greater        string         `json:"ObjectSizeGreaterThan,omitempty"`
	Less           string         `json:"ObjectSizeLessThan,omitempty"`
	Days           *int32         `json:"ExpirationInDays,omitempty"`
	Date           string         `json:"ExpirationDate,omitempty"`
	Markers        *bool          `json:"ExpiredObjectDeleteMarker,omitempty"`
	Noncurrent     *noncurrent    `json:"NoncurrentVersionExpiration,omitempty"`
	NoncurrentDays *int32         `json:"NoncurrentVersionExpirationInDays,omitempty"` // write-only, of old templates
	Abort          *abort         `json:"AbortIncompleteMultipartUpload,omitempty"`
}

type noncurrent struct {
	NoncurrentDays          int32  `json:"NoncurrentDays"`
	NewerNoncurrentVersions *int32 `json:"NewerNoncurrentVersions,omitempty"`
}

type abort struct {
	DaysAfterInitiation int32 `json:"DaysAfterInitiation"`
}

type cors struct {
	Rules []corsRule `json:"CorsRules"`
}

type corsRule struct {
	ID             string   `json:"Id,omitempty"`
	AllowedHeaders []string `json:"AllowedHeaders,omitempty"`
	AllowedMethods []string `json:"AllowedMethods"`
	AllowedOrigins []string `json:"AllowedOrigins"`
	ExposedHeaders []string `json:"ExposedHeaders,omitempty"`
	MaxAge         *int32   `json:"MaxAge,omitempty"`
}

type website struct {
	IndexDocument         string        `json:"IndexDocument,omitempty"`
	ErrorDocument         string        `json:"ErrorDocument,omitempty"`
	RedirectAllRequestsTo *redirectAll  `json:"RedirectAllRequestsTo,omitempty"`
	RoutingRules          []routingRule `json:"RoutingRules,omitempty"`
}

type redirectAll struct {
	HostName string `json:"HostName"`
	Protocol string `json:"Protocol,omitempty"`
}

type routingRule struct {
	Redirect  redirectRule   `json:"RedirectRule"`
	Condition *ruleCondition `json:"RoutingRuleCondition,omitempty"`
}

type redirectRule struct {
	HostName             string `json:"HostName,omitempty"`
	HTTPRedirectCode     string `json:"HttpRedirectCode,omitempty"`
	Protocol             string `json:"Protocol,omitempty"`
	ReplaceKeyPrefixWith string `json:"ReplaceKeyPrefixWith,omitempty"`
	ReplaceKeyWith       string `json:"ReplaceKeyWith,omitempty"`
}

type ruleCondition struct {
	HTTPErrorCodeReturnedEquals string `json:"HttpErrorCodeReturnedEquals,omitempty"`
	KeyPrefixEquals             string `json:"KeyPrefixEquals,omitempty"`
}

type notifications struct {
	Queues      []notification `json:"QueueConfigurations,omitempty"`
	Topics      []notification `json:"TopicConfigurations,omitempty"`
	Functions   []notification `json:"LambdaConfigurations,omitempty"`
	EventBridge *eventBridge   `json:"EventBridgeConfiguration,omitempty"`
}

// notification is of one kind of destination; it has that member alone.
type notification struct {
	Event    string              `json:"Event"`
	Queue    string              `json:"Queue,omitempty"`
	Topic    string              `json:"Topic,omitempty"`
	Function string              `json:"Function,omitempty"`
	Filter   *notificationFilter `json:"Filter,omitempty"`
}

type notificationFilter struct {
	Key struct {
		Rules []filterRule `json:"Rules"`
	} `json:"S3Key"`
}

type filterRule struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

type eventBridge struct {
	Enabled *bool `json:"EventBridgeEnabled,omitempty"`
}

type objectLock struct {
	Enabled string          `json:"ObjectLockEnabled,omitempty"`
	Rule    *objectLockRule `json:"Rule,omitempty"`
}

type objectLockRule struct {
	Default *defaultRetention `json:"DefaultRetention,omitempty"`
}

type defaultRetention struct {
	Mode  string `json:"Mode,omitempty"`
	Days  *int32 `json:"Days,omitempty"`
	Years *int32 `json:"Years,omitempty"`
}

// setLifecycle brings the rules from prior to p.
func (h bucketHandler) setLifecycle(ctx context.Context, name string, p, prior *lifecycle) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		_, err := h.svc.DeleteBucketLifecycle(ctx, &api.DeleteBucketLifecycleInput{Bucket: name})
		return err
	}
	cfg := &api.BucketLifecycleConfiguration{}
	for _, r := range p.Rules {
		out, err := r.rule()
		if err != nil {
			return err
		}
		cfg.Rules = append(cfg.Rules, out)
	}
	_, err := h.svc.PutBucketLifecycleConfiguration(ctx, &api.PutBucketLifecycleConfigurationInput{
		Bucket: name, LifecycleConfiguration: cfg, TransitionDefaultMinimumObjectSize: p.TransitionDefaultMinimumObjectSize,
	})
	return err
}

func (r *lifecycleRule) rule() (api.LifecycleRule, error) {
	out := api.LifecycleRule{ID: r.ID, Status: r.Status}
	var err error
	if out.Filter, err = r.filter(); err != nil {
		return out, err
	}
	if r.Days != nil || r.Date != "" || r.Markers != nil {
		out.Expiration = &api.LifecycleExpiration{Days: r.Days, ExpiredObjectDeleteMarker: r.Markers}
	}
	if r.Date != "" {
		at, err := time.Parse(time.RFC3339, r.Date)
		if err != nil {
			if at, err = time.Parse(time.DateOnly, r.Date); err != nil {
				return out, fault.New(fault.ValidationError, "%s: ExpirationDate %q is not a date of ISO 8601", bucketName, r.Date)
			}
		}
		out.Expiration.Date = &at
	}
	switch {
	case r.Noncurrent != nil:
		out.NoncurrentVersionExpiration = &api.NoncurrentVersionExpiration{NoncurrentDays: &r.Noncurrent.NoncurrentDays, NewerNoncurrentVersions: r.Noncurrent.NewerNoncurrentVersions}
	case r.NoncurrentDays != nil:
		out.NoncurrentVersionExpiration = &api.NoncurrentVersionExpiration{NoncurrentDays: r.NoncurrentDays}
	}
	if r.Abort != nil {
		out.AbortIncompleteMultipartUpload = &api.AbortIncompleteMultipartUpload{DaysAfterInitiation: &r.Abort.DaysAfterInitiation}
	}
	return out, nil
}

func (r *lifecycleRule) filter() (*api.LifecycleRuleFilter, error) {
	sizes := [2]*int64{}
	for i, text := range []string{r.Greater, r.Less} {
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fault.New(fault.ValidationError, "%s: the object size %q is not a number of bytes", bucketName, text)
		}
		sizes[i] = &n
	}
	var tags []api.Tag
	for _, t := range r.TagFilters {
		tags = append(tags, api.Tag{Key: t.Key, Value: t.Value})
	}
	given := len(tags)
	for _, there := range []bool{r.Prefix != "", sizes[0] != nil, sizes[1] != nil} {
		if there {
			given++
		}
	}
	switch {
	case given > 1:
		return &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Prefix: r.Prefix, Tags: tags, ObjectSizeGreaterThan: sizes[0], ObjectSizeLessThan: sizes[1]}}, nil
	case len(tags) == 1:
		return &api.LifecycleRuleFilter{Tag: &tags[0]}, nil
	}
	return &api.LifecycleRuleFilter{Prefix: r.Prefix, ObjectSizeGreaterThan: sizes[0], ObjectSizeLessThan: sizes[1]}, nil
}

func (h bucketHandler) getLifecycle(ctx context.Context, name string) (*lifecycle, error) {
	got, err := h.svc.GetBucketLifecycleConfiguration(ctx, &api.GetBucketLifecycleConfigurationInput{Bucket: name})
	if err != nil {
		return nil, unset(err, fault.NoSuchLifecycleConfiguration)
	}
	out := &lifecycle{TransitionDefaultMinimumObjectSize: got.TransitionDefaultMinimumObjectSize}
	for _, r := range got.Rules {
		one := lifecycleRule{ID: r.ID, Status: r.Status, Prefix: r.Prefix}
		if f := r.Filter; f != nil {
			all := api.LifecycleRuleAndOperator{Prefix: f.Prefix, ObjectSizeGreaterThan: f.ObjectSizeGreaterThan, ObjectSizeLessThan: f.ObjectSizeLessThan}
			if f.And != nil {
				all = *f.And
			}
			if f.Tag != nil {
				all.Tags = []api.Tag{*f.Tag}
			}
			one.Prefix, one.Greater, one.Less = all.Prefix, number(all.ObjectSizeGreaterThan), number(all.ObjectSizeLessThan)
			for _, t := range all.Tags {
				one.TagFilters = append(one.TagFilters, resource.Tag{Key: t.Key, Value: t.Value})
			}
		}
		if e := r.Expiration; e != nil {
			one.Days, one.Markers = e.Days, e.ExpiredObjectDeleteMarker
			if e.Date != nil {
				one.Date = e.Date.UTC().Format(time.RFC3339)
			}
		}
		if n := r.NoncurrentVersionExpiration; n != nil {
			one.Noncurrent = &noncurrent{*n.NoncurrentDays, n.NewerNoncurrentVersions}
		}
		if a := r.AbortIncompleteMultipartUpload; a != nil {
			one.Abort = &abort{*a.DaysAfterInitiation}
		}
		out.Rules = append(out.Rules, one)
	}
	return out, nil
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

// unset makes no error of one that says that a setting was never made.
func unset(err error, code string) error {
	if fault.Is(err, code) {
		return nil
	}
	return err
}

func (h bucketHandler) setCORS(ctx context.Context, name string, p, prior *cors) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		_, err := h.svc.DeleteBucketCors(ctx, &api.DeleteBucketCorsInput{Bucket: name})
		return err
	}
	cfg := &api.CORSConfiguration{}
	for _, r := range p.Rules {
		cfg.CORSRules = append(cfg.CORSRules, api.CORSRule{ID: r.ID, AllowedHeaders: r.AllowedHeaders, AllowedMethods: r.AllowedMethods,
			AllowedOrigins: r.AllowedOrigins, ExposeHeaders: r.ExposedHeaders, MaxAgeSeconds: r.MaxAge})
	}
	_, err := h.svc.PutBucketCors(ctx, &api.PutBucketCorsInput{Bucket: name, CORSConfiguration: cfg})
	return err
}

func (h bucketHandler) getCORS(ctx context.Context, name string) (*cors, error) {
	got, err := h.svc.GetBucketCors(ctx, &api.GetBucketCorsInput{Bucket: name})
	if err != nil {
		return nil, unset(err, fault.CORSConfigurationNotFound)
	}
	out := &cors{}
	for _, r := range got.CORSRules {
		out.Rules = append(out.Rules, corsRule{r.ID, r.AllowedHeaders, r.AllowedMethods, r.AllowedOrigins, r.ExposeHeaders, r.MaxAgeSeconds})
	}
	return out, nil
}

func (h bucketHandler) setWebsite(ctx context.Context, name string, p, prior *website) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		_, err := h.svc.DeleteBucketWebsite(ctx, &api.DeleteBucketWebsiteInput{Bucket: name})
		return err
	}
	cfg := &api.WebsiteConfiguration{}
	if p.IndexDocument != "" {
		cfg.IndexDocument = &api.IndexDocument{Suffix: p.IndexDocument}
	}
	if p.ErrorDocument != "" {
		cfg.ErrorDocument = &api.ErrorDocument{Key: p.ErrorDocument}
	}
	if r := p.RedirectAllRequestsTo; r != nil {
		cfg.RedirectAllRequestsTo = &api.RedirectAllRequestsTo{HostName: r.HostName, Protocol: r.Protocol}
	}
	for _, r := range p.RoutingRules {
		to := api.Redirect{HostName: r.Redirect.HostName, HttpRedirectCode: r.Redirect.HTTPRedirectCode, Protocol: r.Redirect.Protocol,
			ReplaceKeyPrefixWith: r.Redirect.ReplaceKeyPrefixWith, ReplaceKeyWith: r.Redirect.ReplaceKeyWith}
		out := api.RoutingRule{Redirect: &to}
		if c := r.Condition; c != nil {
			out.Condition = &api.Condition{HttpErrorCodeReturnedEquals: c.HTTPErrorCodeReturnedEquals, KeyPrefixEquals: c.KeyPrefixEquals}
		}
		cfg.RoutingRules = append(cfg.RoutingRules, out)
	}
	_, err := h.svc.PutBucketWebsite(ctx, &api.PutBucketWebsiteInput{Bucket: name, WebsiteConfiguration: cfg})
	return err
}

func (h bucketHandler) getWebsite(ctx context.Context, name string) (*website, error) {
	got, err := h.svc.GetBucketWebsite(ctx, &api.GetBucketWebsiteInput{Bucket: name})
	if err != nil {
		return nil, unset(err, fault.NoSuchWebsite)
	}
	out := &website{}
	if got.IndexDocument != nil {
		out.IndexDocument = got.IndexDocument.Suffix
	}
	if got.ErrorDocument != nil {
		out.ErrorDocument = got.ErrorDocument.Key
	}
	if r := got.RedirectAllRequestsTo; r != nil {
		out.RedirectAllRequestsTo = &redirectAll{r.HostName, r.Protocol}
	}
	for _, r := range got.RoutingRules {
		one := routingRule{Redirect: redirectRule{r.Redirect.HostName, r.Redirect.HttpRedirectCode, r.Redirect.Protocol, r.Redirect.ReplaceKeyPrefixWith, r.Redirect.ReplaceKeyWith}}
		if c := r.Condition; c != nil {
			one.Condition = &ruleCondition{c.HttpErrorCodeReturnedEquals, c.KeyPrefixEquals}
		}
		out.RoutingRules = append(out.RoutingRules, one)
	}
	return out, nil
}
