package iam

import (
	_ "embed" // awsmanaged.json
	"encoding/json"
	"iter"
	"regexp"
	"sync"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

const awsManagedPrefix = "arn:aws:iam::aws:policy"

var awsManagedForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws:iam::aws:policy/([\w+=,.@-]+/)*[\w+=,.@-]{1,128}$`)
})

// isAWSManaged reports whether an ARN is that of a policy which AWS manages.
// Slipway lets any of them be attached, so that templates deploy; it has the
// documents of those below, and the others grant nothing.
func isAWSManaged(policyARN string) bool { return awsManagedForm().MatchString(policyARN) }

// awsManagedText has the documents of the AWS-managed policies that people attach
// ("AWS Managed Policy Reference"), by the part of the ARN behind "policy".
//
//go:embed awsmanaged.json
var awsManagedText []byte

// awsManagedPolicy is a policy of AWS as it was when the reference was read.
type awsManagedPolicy struct {
	Created, Updated time.Time
	Version          string
	Document         json.RawMessage
}

// awsManaged reads the file on first use.
var awsManaged = sync.OnceValue(func() map[string]awsManagedPolicy {
	var all map[string]awsManagedPolicy
	if err := json.Unmarshal(awsManagedText, &all); err != nil {
		panic("iam: awsmanaged.json: " + err.Error()) // it is a part of the program, and a test reads it
	}
	return all
})

// known is a managed policy of either kind.
type known struct {
	*managed
	awsARN string // of AWS's own
}

// awsPolicyDate stands for the dates of the policies whose documents are not here.
var awsPolicyDate = time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)

func awsPolicy(policyARN string) known {
	path, name := splitPolicyARN(policyARN)
	p, ok := awsManaged()[path+name]
	if !ok {
		p = awsManagedPolicy{Created: awsPolicyDate, Updated: awsPolicyDate, Version: "v1"}
	}
	return known{&managed{
		Name: name, Path: path, ID: "ANPA" + arn.SuffixFrom(policyARN, 17), Created: p.Created, Updated: p.Updated,
		Versions: []version{{p.Version, string(p.Document), p.Updated}}, Default: p.Version,
	}, policyARN}
}

func (k known) describe(tx store.Tx, account string) (*api.Policy, error) {
	if k.awsARN == "" {
		return k.api(tx, account)
	}
	used, err := attachments(tx, account, k.awsARN)
	if err != nil {
		return nil, err
	}
	bounds, err := attachments(tx, account, "boundary:"+k.awsARN)
	if err != nil {
		return nil, err
	}
	out, err := k.api(tx, account)
	if err != nil {
		return nil, err
	}
	out.Arn = k.awsARN
	out.AttachmentCount, out.PermissionsBoundaryUsageCount = new(int32(used.count())), new(int32(bounds.count()))
	return out, nil
}

// anyPolicy finds a managed policy of either kind.
func (s *Service) anyPolicy(tx store.Tx, account, policyARN string) (known, error) {
	if isAWSManaged(policyARN) {
		return awsPolicy(policyARN), nil
	}
	p, err := findPolicy(tx, account, policyARN)
	return known{managed: p}, err
}

// everyPolicy yields the policies of a ListPolicies scope: "All", "AWS", "Local".
func (s *Service) everyPolicy(tx store.Tx, account, scope string) iter.Seq2[known, error] {
	return func(yield func(known, error) bool) {
		if scope != "Local" {
			for suffix := range awsManaged() {
				if !yield(awsPolicy(awsManagedPrefix+suffix), nil) {
					return
				}
			}
		}
		if scope == "AWS" {
			return
		}
		for e, err := range policies.Scan(tx, account+"/") {
			if !yield(known{managed: e.Value}, err) || err != nil {
				return
			}
		}
	}
}
