package auth

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// s3Absent are keys of access points, batch jobs, replication and the like, which
// no request here has ("Actions, resources, and condition keys for Amazon S3",
// Service Authorization Reference).
var s3Absent = map[string]bool{
	"dataaccesspointarn": true, "dataaccesspointaccount": true, "accesspointnetworkorigin": true, "accessgrantsinstancearn": true,
	"accessgrantscope": true, "accessgrantslocationscope": true, "jobsuspendedcause": true, "existingjoboperation": true,
	"existingjobpriority": true, "requestjoboperation": true, "requestjobpriority": true, "deliverysourcearn": true, "logtype": true,
	"destinationregion": true, "isreplicationpauserequest": true, "inventoryaccessibleoptionalfields": true,
	"resourcearnbeingauthorized": true, "annotation-prefix": true, "max-annotation-results": true,
	"x-amz-object-annotation-directive": true, "object-lock-event-hold": true, "object-lock-event-hold-duration-days": true,
	"x-amz-bucket-namespace": true,
}

// signatureKey tells how the request was signed and came. A call that Slipway
// makes itself has no signature.
func (k *requestKeys) signatureKey(key string) ([]string, bool) {
	s := &k.call.Signature
	switch key {
	case "authtype":
		return one(s.Type), true
	case "signatureversion":
		if s.Type == "" {
			return nil, true
		}
		return []string{algorithm}, true
	case "signatureage": // in milliseconds
		if s.Time.IsZero() {
			return nil, s.Type == "" // a form says the day alone
		}
		return []string{strconv.FormatInt(k.call.now().Sub(s.Time).Milliseconds(), 10)}, true
	case "x-amz-content-sha256":
		return one(s.Payload), true
	case "tlsversion":
		return one(k.call.TLS), true
	}
	return nil, false
}

// creation says whether a PutObject makes an object, and not a part or the
// beginning of an upload ("Enforce conditional writes on Amazon S3 buckets").
func (k *requestKeys) creation() []string {
	if k.action != "s3:PutObject" {
		return nil
	}
	switch k.call.Operation {
	case "CreateMultipartUpload", "UploadPart", "UploadPartCopy":
		return []string{"false"}
	}
	return []string{"true"}
}

// retentionDays are the days, begun ones too, for which the request asks a
// version to be kept.
func (k *requestKeys) retentionDays() []string {
	for _, m := range []string{"Retention.RetainUntilDate", "ObjectLockRetainUntilDate"} {
		given := k.in.value(m)
		if len(given) == 0 {
			continue
		}
		until, err := time.Parse(time.RFC3339, given[0])
		if err != nil {
			return nil
		}
		return []string{strconv.Itoa(int(math.Ceil(until.Sub(k.call.now()).Hours() / 24)))}
	}
	return nil
}

func valuesFold(tags url.Values, name string) []string {
	for k, v := range tags {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[:1]
		}
	}
	return nil
}

// existingTag is a tag that the object has. Only actions that are about one object
// have it ("Tagging and access control policies", S3 User Guide).
func (k *requestKeys) existingTag(name string) ([]string, bool) {
	if !tagAware[k.action] {
		return nil, true
	}
	if k.iam == nil || strings.Contains(k.resource, "*") {
		return nil, false
	}
	source, ok := k.iam.Tags["s3"].(ObjectTags)
	if !ok {
		return nil, false
	}
	version := ""
	if strings.Contains(k.action, "Version") {
		version = k.in.text("VersionId")
		if v := k.own["s3:versionid"]; len(v) > 0 {
			version = v[0] // of a copy's source
		}
		if version == "" {
			return nil, false // one of a list
		}
	}
	tags, err := source.ObjectTags(k.ctx, k.resource, version)
	if err != nil {
		return nil, false
	}
	return TagFold(tags, name)
}

// tagAware are the actions that the tags of an existing object decide.
var tagAware = map[string]bool{
	"s3:GetObject": true, "s3:GetObjectVersion": true, "s3:GetObjectAcl": true, "s3:GetObjectVersionAcl": true,
	"s3:GetObjectTagging": true, "s3:GetObjectVersionTagging": true, "s3:PutObjectAcl": true, "s3:PutObjectVersionAcl": true,
	"s3:PutObjectTagging": true, "s3:PutObjectVersionTagging": true, "s3:DeleteObjectTagging": true,
	"s3:DeleteObjectVersionTagging": true, "s3:GetObjectAttributes": true, "s3:GetObjectVersionAttributes": true,
}
