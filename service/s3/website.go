package s3

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// websites are the configurations of static websites, by bucket.
var websites = store.NewCollection[api.WebsiteConfiguration]("s3/website")

const maxRoutingRules = 50

// checkWebsite checks a configuration as PutBucketWebsite does.
func checkWebsite(cfg *api.WebsiteConfiguration) error {
	if cfg == nil {
		return malformedXML()
	}
	if all := cfg.RedirectAllRequestsTo; all != nil {
		if cfg.IndexDocument != nil || cfg.ErrorDocument != nil || cfg.RoutingRules != nil {
			return invalidArgument("RedirectAllRequestsTo", "not null", "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
		}
		if all.HostName == "" {
			return malformedXML()
		}
		return checkScheme(all.Protocol)
	}
	if cfg.IndexDocument == nil {
		return invalidArgument("IndexDocument", "null", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty")
	}
	if s := cfg.IndexDocument.Suffix; s == "" || strings.Contains(s, "/") {
		return invalidArgument("IndexDocument", s, "The IndexDocument Suffix is not well formed")
	}
	if e := cfg.ErrorDocument; e != nil && (e.Key == "" || len(e.Key) > maxKey) {
		return invalidArgument("ErrorDocument", e.Key, "The ErrorDocument Key is not well formed")
	}
	if cfg.RoutingRules != nil && len(cfg.RoutingRules) == 0 {
		return malformedXML()
	}
	if len(cfg.RoutingRules) > maxRoutingRules {
		return invalidRequest("The number of routing rules must not exceed %d", maxRoutingRules)
	}
	for i := range cfg.RoutingRules {
		if err := checkRoute(&cfg.RoutingRules[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkScheme(scheme string) error {
	if scheme != "" && scheme != "http" && scheme != "https" {
		return invalidRequest("Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.")
	}
	return nil
}

func checkRoute(r *api.RoutingRule) error {
	to := r.Redirect
	if to == nil {
		return malformedXML()
	}
	if err := checkScheme(to.Protocol); err != nil {
		return err
	}
	if to.ReplaceKeyWith != "" && to.ReplaceKeyPrefixWith != "" {
		return invalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
	}
	if c := to.HttpRedirectCode; c != "" {
		if n, err := strconv.Atoi(c); err != nil || n <= 300 || n > 399 {
			return invalidRequest("The provided HTTP redirect code (%s) is not valid. Valid codes are 3XX except 300.", c)
		}
	}
	if r.Condition == nil {
		return nil
	}
	if r.Condition.KeyPrefixEquals == "" && r.Condition.HttpErrorCodeReturnedEquals == "" {
		return invalidRequest("Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.")
	}
	if c := r.Condition.HttpErrorCodeReturnedEquals; c != "" {
		if n, err := strconv.Atoi(c); err != nil || n < 400 || n > 599 {
			return invalidRequest("The provided HTTP error code (%s) is not valid. Valid codes are 4XX or 5XX.", c)
		}
	}
	return nil
}

// PutBucketWebsite makes a website of the bucket.
func (s *Service) PutBucketWebsite(ctx context.Context, in *api.PutBucketWebsiteInput) (*api.PutBucketWebsiteOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if err := checkWebsite(in.WebsiteConfiguration); err != nil {
		return nil, err
	}
	err := s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		return websites.Put(c, b.Name, in.WebsiteConfiguration)
	})
	return &api.PutBucketWebsiteOutput{}, err
}

// GetBucketWebsite gives the website's configuration.
func (s *Service) GetBucketWebsite(ctx context.Context, in *api.GetBucketWebsiteInput) (*api.GetBucketWebsiteOutput, error) {
	cfg, err := setting(ctx, s, websites, in.Bucket, in.ExpectedBucketOwner, fault.NoSuchWebsite, noWebsiteText)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketWebsiteOutput{
		IndexDocument: cfg.IndexDocument, ErrorDocument: cfg.ErrorDocument,
		RedirectAllRequestsTo: cfg.RedirectAllRequestsTo, RoutingRules: cfg.RoutingRules,
	}, nil
}

const noWebsiteText = "The specified bucket does not have a website configuration"

// DeleteBucketWebsite ends the website; ending none is no error.
func (s *Service) DeleteBucketWebsite(ctx context.Context, in *api.DeleteBucketWebsiteInput) (*api.DeleteBucketWebsiteOutput, error) {
	err := s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		return ignoreNotFound(websites.Delete(c, b.Name))
	})
	return &api.DeleteBucketWebsiteOutput{}, err
}

// redirection finds the routing rule for a key, before it was read (status 0)
// or when reading it failed with a status.
func redirection(cfg *api.WebsiteConfiguration, key string, status int) *api.RoutingRule {
	for i := range cfg.RoutingRules {
		r := &cfg.RoutingRules[i]
		wanted, prefix := "", ""
		if r.Condition != nil {
			wanted, prefix = r.Condition.HttpErrorCodeReturnedEquals, r.Condition.KeyPrefixEquals
		}
		if (wanted == "") == (status == 0) && (status == 0 || wanted == strconv.Itoa(status)) && strings.HasPrefix(key, prefix) {
			return r
		}
	}
	return nil
}

// routeTo is where a routing rule sends a key, and with which status.
func routeTo(r *api.RoutingRule, key, scheme, host string) (location string, status int) {
	to := r.Redirect
	if to.Protocol != "" {
		scheme = to.Protocol
	}
	if to.HostName != "" {
		host = to.HostName
	}
	switch {
	case to.ReplaceKeyWith != "":
		key = to.ReplaceKeyWith
	case to.ReplaceKeyPrefixWith != "":
		if r.Condition != nil {
			key = strings.TrimPrefix(key, r.Condition.KeyPrefixEquals)
		}
		key = to.ReplaceKeyPrefixWith + key
	}
	status = 301
	if n, err := strconv.Atoi(to.HttpRedirectCode); err == nil {
		status = n
	}
	return scheme + "://" + host + "/" + escapePath(key), status
}

// escapePath writes a key as a path.
func escapePath(key string) string {
	return (&url.URL{Path: key}).EscapedPath()
}
