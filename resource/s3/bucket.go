// Package s3 holds the resource types of Amazon S3. It calls api/s3 alone, and
// reads the caller's region from the call (package auth).
package s3

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of S3.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{bucketType(svc), bucketPolicyType(svc)}
}

const (
	bucketName    = "AWS::S3::Bucket"
	maxBucketName = 63
	defaultRegion = "us-east-1" // its buckets have no location constraint
)

// bucketProperties are those of AWS::S3::Bucket that S3 here keeps and honours.
type bucketProperties struct {
	BucketName                     string             `json:"BucketName,omitempty"`
	AccessControl                  string             `json:"AccessControl,omitempty"` // write-only
	BucketEncryption               *bucketEncryption  `json:"BucketEncryption,omitempty"`
	ObjectLockEnabled              *bool              `json:"ObjectLockEnabled,omitempty"`
	OwnershipControls              *ownershipControls `json:"OwnershipControls,omitempty"`
	PublicAccessBlockConfiguration *publicAccess      `json:"PublicAccessBlockConfiguration,omitempty"`
	VersioningConfiguration        *versioning        `json:"VersioningConfiguration,omitempty"`
	CorsConfiguration              *cors              `json:"CorsConfiguration,omitempty"`
	LifecycleConfiguration         *lifecycle         `json:"LifecycleConfiguration,omitempty"`
	NotificationConfiguration      *notifications     `json:"NotificationConfiguration,omitempty"`
	ObjectLockConfiguration        *objectLock        `json:"ObjectLockConfiguration,omitempty"`
	WebsiteConfiguration           *website           `json:"WebsiteConfiguration,omitempty"`
	Tags                           []resource.Tag     `json:"Tags,omitempty"`
}

type bucketEncryption struct {
	Rules []encryptionRule `json:"ServerSideEncryptionConfiguration"`
}

type encryptionRule struct {
	BucketKeyEnabled *bool      `json:"BucketKeyEnabled,omitempty"`
	ByDefault        *byDefault `json:"ServerSideEncryptionByDefault,omitempty"`
}

type byDefault struct {
	SSEAlgorithm   string `json:"SSEAlgorithm"`
	KMSMasterKeyID string `json:"KMSMasterKeyID,omitempty"`
}

type ownershipControls struct {
	Rules []ownershipRule `json:"Rules"`
}

type ownershipRule struct {
	ObjectOwnership string `json:"ObjectOwnership"`
}

type publicAccess struct {
	BlockPublicAcls       *bool `json:"BlockPublicAcls,omitempty"`
	BlockPublicPolicy     *bool `json:"BlockPublicPolicy,omitempty"`
	IgnorePublicAcls      *bool `json:"IgnorePublicAcls,omitempty"`
	RestrictPublicBuckets *bool `json:"RestrictPublicBuckets,omitempty"`
}

type versioning struct {
	Status string `json:"Status"`
}

const (
	versioningEnabled   = "Enabled"
	versioningSuspended = "Suspended"
	ownerEnforced       = "BucketOwnerEnforced"
)

type bucketHandler struct{ svc api.Service }

func bucketType(svc api.Service) cfn.Type {
	h := bucketHandler{svc}
	return cfn.Type{Name: bucketName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// canned are the canned lists of S3 by their names in templates.
var canned = map[string]string{
	"": "", "Private": "private", "PublicRead": "public-read", "PublicReadWrite": "public-read-write",
	"AuthenticatedRead": "authenticated-read", "LogDeliveryWrite": "log-delivery-write",
	"BucketOwnerRead": "bucket-owner-read", "BucketOwnerFullControl": "bucket-owner-full-control", "AwsExecRead": "aws-exec-read",
}

func (h bucketHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeBucket(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	name := resource.Name(r, p.BucketName, maxBucketName)
	if p.BucketName == "" {
		name = strings.ToLower(name)
	}
	in := &api.CreateBucketInput{Bucket: name, ACL: canned[p.AccessControl], ObjectLockEnabledForBucket: p.ObjectLockEnabled}
	if p.OwnershipControls != nil {
		in.ObjectOwnership = p.OwnershipControls.Rules[0].ObjectOwnership
		in.ACL = "" // a public one is refused until the block of public access is what the template says
	}
	region := auth.From(ctx).Scope.Region
	if region != defaultRegion {
		in.CreateBucketConfiguration = &api.CreateBucketConfiguration{LocationConstraint: region}
	}
	if _, err := h.svc.CreateBucket(ctx, in); err != nil {
		if fault.Is(err, fault.BucketAlreadyOwnedByYou, fault.BucketAlreadyExists) {
			return cfn.Result{}, fault.New(fault.BucketAlreadyExists, "%s already exists", name).Because(err)
		}
		return cfn.Result{}, err
	}
	result := bucketResult(name, region)
	if err := h.configure(ctx, name, p, bucketProperties{}, resource.Tags(r, p.Tags)); err != nil {
		return result, err
	}
	if acl := canned[p.AccessControl]; acl != "" && in.ACL == "" {
		_, err = h.svc.PutBucketAcl(ctx, &api.PutBucketAclInput{Bucket: name, ACL: acl})
	}
	return result, err
}

// decodeBucket reads the properties and checks what the schema leaves open.
func decodeBucket(from cfn.Properties) (bucketProperties, error) {
	var p bucketProperties
	if err := resource.Decode(bucketName, from, &p); err != nil {
		return p, err
	}
	if _, ok := canned[p.AccessControl]; !ok {
		return p, fault.New(fault.ValidationError, "%s: AccessControl %q is not one of the canned lists", bucketName, p.AccessControl)
	}
	if p.OwnershipControls != nil && len(p.OwnershipControls.Rules) != 1 {
		return p, fault.New(fault.ValidationError, "%s: OwnershipControls must have one rule", bucketName)
	}
	return p, nil
}

func bucketResult(name, region string) cfn.Result {
	website := ".s3-website." // the older regions have a dash
	switch region {
	case "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "sa-east-1":
		website = ".s3-website-"
	}
	return cfn.Result{PhysicalID: name, Attributes: cfn.Properties{
		"Arn":                 "arn:aws:s3:::" + name,
		"DomainName":          name + ".s3.amazonaws.com",
		"RegionalDomainName":  name + ".s3." + region + ".amazonaws.com",
		"DualStackDomainName": name + ".s3.dualstack." + region + ".amazonaws.com",
		"WebsiteURL":          "http://" + name + website + region + ".amazonaws.com",
	}}
}

// configure brings the bucket's settings from the prior properties to p. A
// setting that p no longer names goes back to what a new bucket has.
func (h bucketHandler) configure(ctx context.Context, name string, p, prior bucketProperties, tags map[string]string) error {
	set := make([]api.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, api.Tag{Key: k, Value: tags[k]})
	}
	if _, err := h.svc.PutBucketTagging(ctx, &api.PutBucketTaggingInput{Bucket: name, Tagging: &api.Tagging{TagSet: set}}); err != nil {
		return err
	}
	if err := h.encrypt(ctx, name, p.BucketEncryption, prior.BucketEncryption); err != nil {
		return err
	}
	if err := h.block(ctx, name, p.PublicAccessBlockConfiguration, prior.PublicAccessBlockConfiguration); err != nil {
		return err
	}
	if p.OwnershipControls != nil || prior.OwnershipControls != nil {
		rule := api.OwnershipControlsRule{ObjectOwnership: ownerEnforced}
		if p.OwnershipControls != nil {
			rule.ObjectOwnership = p.OwnershipControls.Rules[0].ObjectOwnership
		}
		_, err := h.svc.PutBucketOwnershipControls(ctx, &api.PutBucketOwnershipControlsInput{
			Bucket: name, OwnershipControls: &api.OwnershipControls{Rules: []api.OwnershipControlsRule{rule}},
		})
		if err != nil {
			return err
		}
	}
	if err := h.version(ctx, name, p.VersioningConfiguration, prior.VersioningConfiguration); err != nil {
		return err
	}
	if err := h.lock(ctx, name, p, prior); err != nil {
		return err
	}
	if err := h.setLifecycle(ctx, name, p.LifecycleConfiguration, prior.LifecycleConfiguration); err != nil {
		return err
	}
	if err := h.setCORS(ctx, name, p.CorsConfiguration, prior.CorsConfiguration); err != nil {
		return err
	}
	if err := h.setWebsite(ctx, name, p.WebsiteConfiguration, prior.WebsiteConfiguration); err != nil {
		return err
	}
	return h.notify(ctx, name, p.NotificationConfiguration, prior.NotificationConfiguration)
}

func (h bucketHandler) encrypt(ctx context.Context, name string, p, prior *bucketEncryption) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		_, err := h.svc.DeleteBucketEncryption(ctx, &api.DeleteBucketEncryptionInput{Bucket: name})
		return err
	}
	cfg := &api.ServerSideEncryptionConfiguration{}
	for _, rule := range p.Rules {
		out := api.ServerSideEncryptionRule{BucketKeyEnabled: rule.BucketKeyEnabled}
		if by := rule.ByDefault; by != nil {
			out.ApplyServerSideEncryptionByDefault = &api.ServerSideEncryptionByDefault{SSEAlgorithm: by.SSEAlgorithm, KMSMasterKeyID: by.KMSMasterKeyID}
		}
		cfg.Rules = append(cfg.Rules, out)
	}
	_, err := h.svc.PutBucketEncryption(ctx, &api.PutBucketEncryptionInput{Bucket: name, ServerSideEncryptionConfiguration: cfg})
	return err
}

func (h bucketHandler) block(ctx context.Context, name string, p, prior *publicAccess) error {
	if p == nil {
		if prior == nil {
			return nil
		}
		yes := true
		p = &publicAccess{&yes, &yes, &yes, &yes}
	}
	_, err := h.svc.PutPublicAccessBlock(ctx, &api.PutPublicAccessBlockInput{
		Bucket: name, PublicAccessBlockConfiguration: &api.PublicAccessBlockConfiguration{
			BlockPublicAcls: p.BlockPublicAcls, BlockPublicPolicy: p.BlockPublicPolicy,
			IgnorePublicAcls: p.IgnorePublicAcls, RestrictPublicBuckets: p.RestrictPublicBuckets,
		},
	})
	return err
}

func (h bucketHandler) version(ctx context.Context, name string, p, prior *versioning) error {
	status := ""
	switch {
	case p != nil:
		status = p.Status
	case prior != nil && prior.Status == versioningEnabled:
		status = versioningSuspended
	}
	if status == "" {
		return nil
	}
	_, err := h.svc.PutBucketVersioning(ctx, &api.PutBucketVersioningInput{
		Bucket: name, VersioningConfiguration: &api.VersioningConfiguration{Status: status},
	})
	return err
}

func (h bucketHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	name := r.PhysicalID
	head, err := h.svc.HeadBucket(ctx, &api.HeadBucketInput{Bucket: name})
	if err != nil {
		return nil, resource.Found(err, bucketName, name, fault.NoSuchBucket)
	}
	p := bucketProperties{BucketName: name}
	tags, err := h.tags(ctx, name)
	if err != nil {
		return nil, err
	}
	p.Tags = resource.OwnTags(tags)
	if err := h.settings(ctx, name, &p); err != nil {
		return nil, err
	}
	out, err := resource.Encode(p)
	if err != nil {
		return nil, err
	}
	maps.Copy(out, bucketResult(name, head.BucketRegion).Attributes)
	return out, nil
}

func (h bucketHandler) tags(ctx context.Context, name string) (map[string]string, error) {
	tags := map[string]string{}
	out, err := h.svc.GetBucketTagging(ctx, &api.GetBucketTaggingInput{Bucket: name})
	if fault.Is(err, fault.NoSuchTagSet) {
		return tags, nil
	}
	if err != nil {
		return nil, err
	}
	for _, t := range out.TagSet {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// settings reads what the bucket is set to.
func (h bucketHandler) settings(ctx context.Context, name string, p *bucketProperties) error {
	enc, err := h.svc.GetBucketEncryption(ctx, &api.GetBucketEncryptionInput{Bucket: name})
	if err != nil {
		return err
	}
	p.BucketEncryption = &bucketEncryption{}
	for _, rule := range enc.ServerSideEncryptionConfiguration.Rules {
		out := encryptionRule{BucketKeyEnabled: rule.BucketKeyEnabled}
		if by := rule.ApplyServerSideEncryptionByDefault; by != nil {
			out.ByDefault = &byDefault{by.SSEAlgorithm, by.KMSMasterKeyID}
		}
		p.BucketEncryption.Rules = append(p.BucketEncryption.Rules, out)
	}
	block, err := h.svc.GetPublicAccessBlock(ctx, &api.GetPublicAccessBlockInput{Bucket: name})
	switch {
	case err == nil:
		c := block.PublicAccessBlockConfiguration
		p.PublicAccessBlockConfiguration = &publicAccess{c.BlockPublicAcls, c.BlockPublicPolicy, c.IgnorePublicAcls, c.RestrictPublicBuckets}
	case !fault.Is(err, fault.NoSuchPublicAccessBlock):
		return err
	}
	own, err := h.svc.GetBucketOwnershipControls(ctx, &api.GetBucketOwnershipControlsInput{Bucket: name})
	switch {
	case err == nil:
		p.OwnershipControls = &ownershipControls{}
		for _, rule := range own.OwnershipControls.Rules {
			p.OwnershipControls.Rules = append(p.OwnershipControls.Rules, ownershipRule{rule.ObjectOwnership})
		}
	case !fault.Is(err, fault.OwnershipControlsNotFound):
		return err
	}
	v, err := h.svc.GetBucketVersioning(ctx, &api.GetBucketVersioningInput{Bucket: name})
	if err != nil {
		return err
	}
	if v.Status != "" {
		p.VersioningConfiguration = &versioning{v.Status}
	}
	return h.largeSettings(ctx, name, p)
}

func (h bucketHandler) largeSettings(ctx context.Context, name string, p *bucketProperties) (err error) {
	if err := h.getLock(ctx, name, p); err != nil {
		return err
	}
	if p.LifecycleConfiguration, err = h.getLifecycle(ctx, name); err != nil {
		return err
	}
	if p.CorsConfiguration, err = h.getCORS(ctx, name); err != nil {
		return err
	}
	if p.WebsiteConfiguration, err = h.getWebsite(ctx, name); err != nil {
		return err
	}
	p.NotificationConfiguration, err = h.getNotifications(ctx, name)
	return err
}

func (h bucketHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	p, err := decodeBucket(r.Properties)
	if err != nil {
		return cfn.Result{}, err
	}
	prior, err := decodeBucket(r.Prior)
	if err != nil {
		return cfn.Result{}, err
	}
	name := r.PhysicalID
	head, err := h.svc.HeadBucket(ctx, &api.HeadBucketInput{Bucket: name})
	if err != nil {
		return cfn.Result{}, resource.Found(err, bucketName, name, fault.NoSuchBucket)
	}
	result := bucketResult(name, head.BucketRegion)
	if err := h.configure(ctx, name, p, prior, resource.Tags(r, p.Tags)); err != nil {
		return result, err
	}
	if acl := canned[p.AccessControl]; acl != canned[prior.AccessControl] && acl != "" {
		_, err = h.svc.PutBucketAcl(ctx, &api.PutBucketAclInput{Bucket: name, ACL: acl})
	}
	return result, err
}

func (h bucketHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteBucket(ctx, &api.DeleteBucketInput{Bucket: r.PhysicalID})
	return resource.Gone(err, fault.NoSuchBucket)
}

func (h bucketHandler) list(ctx context.Context) ([]string, error) {
	const most = 10000
	limit := int32(most)
	in := &api.ListBucketsInput{MaxBuckets: &limit, BucketRegion: auth.From(ctx).Scope.Region}
	names := []string{}
	for {
		out, err := h.svc.ListBuckets(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, b := range out.Buckets {
			names = append(names, b.Name)
		}
		if in.ContinuationToken = out.ContinuationToken; in.ContinuationToken == "" {
			return names, nil
		}
	}
}
