package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/policy"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// managed is a stored customer-managed policy.
type managed struct {
	Name        string
	Path        string
	ID          string
	Description string `json:",omitempty"`
	Created     time.Time
	Updated     time.Time
	Versions    []version // oldest first
	Default     string    // version id
	Next        int       // number of the next version
	Tags        []api.Tag `json:",omitempty"`
	Token       string    `json:",omitempty"`
}

type version struct {
	ID       string // "v1"
	Document string
	Created  time.Time
}

var policies = noun[managed]{
	store.NewCollection[managed]("iam/policy"),
	"Policy", "Policy %s was not found.", "policyName", 128,
	func(p *managed) string { return p.Name }, "PoliciesPerAccount", 1500,
}

const (
	maxManagedSize = 6144
	maxVersions    = 5
)

func (p *managed) arn(account string) string { return globalARN(account, "policy"+p.Path+p.Name) }

func (p *managed) version(id string) *version {
	for i := range p.Versions {
		if p.Versions[i].ID == id {
			return &p.Versions[i]
		}
	}
	return nil
}

func (v *version) api(isDefault bool) *api.PolicyVersion {
	return &api.PolicyVersion{VersionId: v.ID, CreateDate: &v.Created, IsDefaultVersion: &isDefault}
}

func (p *managed) api(tx store.Tx, account string) (*api.Policy, error) {
	users, err := attachments(tx, account, p.arn(account))
	if err != nil {
		return nil, err
	}
	bounds, err := attachments(tx, account, "boundary:"+p.arn(account))
	if err != nil {
		return nil, err
	}
	return &api.Policy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.arn(account), Path: p.Path, DefaultVersionId: p.Default,
		AttachmentCount: new(int32(users.count())), PermissionsBoundaryUsageCount: new(int32(bounds.count())),
		IsAttachable: new(true), Description: p.Description, CreateDate: &p.Created, UpdateDate: &p.Updated, Tags: p.Tags,
	}, nil
}

// attached are the entities that use a managed policy.
type attached struct {
	roles  []*role
	users  []*user
	groups []*group
}

func (a attached) count() int { return len(a.roles) + len(a.users) + len(a.groups) }

func attachments(tx store.Tx, account, policyARN string) (attached, error) {
	var out attached
	value := account + "/" + policyARN
	for e, err := range roles.ByIndex(tx, "policy", value) {
		if err != nil {
			return out, err
		}
		out.roles = append(out.roles, e.Value)
	}
	for e, err := range users.ByIndex(tx, "policy", value) {
		if err != nil {
			return out, err
		}
		out.users = append(out.users, e.Value)
	}
	for e, err := range groups.ByIndex(tx, "policy", value) {
		if err != nil {
			return out, err
		}
		out.groups = append(out.groups, e.Value)
	}
	return out, nil
}

func noPolicy(policyARN string) error {
	return fault.New(fault.NoSuchEntity, "Policy %s was not found.", policyARN)
}

// findPolicy finds a customer-managed policy by its ARN.
func findPolicy(tx store.Tx, account, policyARN string) (*managed, error) {
	_, name := splitPolicyARN(policyARN)
	p, err := policies.Get(tx, nounKey(account, name))
	if errors.Is(err, store.ErrNotFound) || err == nil && p.arn(account) != policyARN {
		return nil, noPolicy(policyARN)
	}
	return p, err
}

// attachable says whether a policy can be attached in the account.
func attachable(tx store.Tx, account, policyARN string) error {
	if isAWSManaged(policyARN) {
		return nil
	}
	_, err := findPolicy(tx, account, policyARN)
	if fault.Is(err, fault.NoSuchEntity) {
		return fault.New(fault.NoSuchEntity, "Policy %s does not exist or is not attachable.", policyARN)
	}
	return err
}

func (s *Service) checkBoundary(ctx context.Context, policyARN string) error {
	if policyARN == "" {
		return nil
	}
	return s.store.View(ctx, func(tx store.Tx) error {
		err := attachable(tx, auth.From(ctx).Scope.Account, policyARN)
		if fault.Is(err, fault.NoSuchEntity) {
			return fault.New(fault.NoSuchEntity, "Scope ARN: %s does not exist or is not attachable.", policyARN)
		}
		return err
	})
}

func checkManaged(text string) error {
	if err := checkDocument(text, policy.Managed); err != nil {
		return err
	}
	if policySize(text) > maxManagedSize {
		return fault.New(fault.LimitExceeded, "Cannot exceed quota for PolicySize: %d", maxManagedSize)
	}
	return nil
}

// CreatePolicy makes a customer-managed policy.
func (s *Service) CreatePolicy(ctx context.Context, in *api.CreatePolicyInput) (*api.CreatePolicyOutput, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := merge(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	call := auth.From(ctx)
	now := s.now().UTC().Truncate(time.Second)
	p := &managed{
		Name: in.PolicyName, Path: path, ID: auth.UniqueID("ANPA", 17), Description: in.Description, Created: now, Updated: now,
		Versions: []version{{"v1", in.PolicyDocument, now}}, Default: "v1", Next: 2, Tags: tags, Token: call.Token,
	}
	p, err = create(ctx, s, policies, in.PolicyName, p, func(p *managed) string { return p.Token })
	if fault.Is(err, fault.EntityAlreadyExists) {
		return nil, fault.New(fault.EntityAlreadyExists, "A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
	}
	if err != nil {
		return nil, err
	}
	return &api.CreatePolicyOutput{Policy: &api.Policy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.arn(call.Scope.Account), Path: p.Path, DefaultVersionId: p.Default,
		AttachmentCount: new(int32(0)), PermissionsBoundaryUsageCount: new(int32(0)), IsAttachable: new(true),
		CreateDate: &p.Created, UpdateDate: &p.Updated, Tags: p.Tags,
	}}, nil
}

// GetPolicy describes a managed policy.
func (s *Service) GetPolicy(ctx context.Context, in *api.GetPolicyInput) (*api.GetPolicyOutput, error) {
	out := &api.GetPolicyOutput{}
	account := auth.From(ctx).Scope.Account
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := s.anyPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		out.Policy, err = p.describe(tx, account)
		if err == nil && out.Policy.Tags == nil {
			out.Policy.Tags = []api.Tag{} // this operation alone tells of none
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListPolicies lists the managed policies: the account's own, AWS's, or both.
func (s *Service) ListPolicies(ctx context.Context, in *api.ListPoliciesInput) (*api.ListPoliciesOutput, error) {
	account := auth.From(ctx).Scope.Account
	byARN := map[string]*api.Policy{}
	var arns []string
	err := s.store.View(ctx, func(tx store.Tx) error {
		clear(byARN)
		arns = nil
		for p, err := range s.everyPolicy(tx, account, in.Scope) {
			if err != nil {
				return err
			}
			o, err := p.describe(tx, account)
			if err != nil {
				return err
			}
			used := *o.AttachmentCount > 0
			switch in.PolicyUsageFilter {
			case "PermissionsPolicy":
				used = *o.AttachmentCount > 0
			case "PermissionsBoundary":
				used = *o.PermissionsBoundaryUsageCount > 0
			}
			if (in.OnlyAttached != nil && *in.OnlyAttached || in.PolicyUsageFilter != "") && !used || !underPath(in.PathPrefix, o.Path) {
				continue
			}
			o.Tags, o.Description = nil, ""
			byARN[o.Arn] = o
			arns = append(arns, o.Arn)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(arns)
	page, next := pageOf(arns, in.Marker, in.MaxItems)
	out := &api.ListPoliciesOutput{Policies: []api.Policy{}, Marker: next, IsTruncated: new(next != "")}
	for _, a := range page {
		out.Policies = append(out.Policies, *byARN[a])
	}
	return out, nil
}

// editPolicy changes a customer-managed policy.
func (s *Service) editPolicy(ctx context.Context, policyARN string, fn func(tx store.Tx, p *managed) error) error {
	account := auth.From(ctx).Scope.Account
	if isAWSManaged(policyARN) {
		return fault.New(fault.AccessDenied, "User: %s is not authorized to change policy %s: it is managed by AWS", auth.From(ctx).Principal.ARN, policyARN)
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		p, err := findPolicy(tx, account, policyARN)
		if err != nil {
			return err
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		return policies.Put(tx, nounKey(account, p.Name), p)
	})
}

// CreatePolicyVersion adds a version, and may make it the default.
func (s *Service) CreatePolicyVersion(ctx context.Context, in *api.CreatePolicyVersionInput) (*api.CreatePolicyVersionOutput, error) {
	if err := checkManaged(in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &api.CreatePolicyVersionOutput{}
	err := s.editPolicy(ctx, in.PolicyArn, func(_ store.Tx, p *managed) error {
		if len(p.Versions) == maxVersions {
			return fault.New(fault.LimitExceeded, "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := version{fmt.Sprintf("v%d", p.Next), in.PolicyDocument, s.now().UTC().Truncate(time.Second)}
		p.Next++
		p.Versions = append(p.Versions, v)
		p.Updated = v.Created
		if in.SetAsDefault != nil && *in.SetAsDefault {
			p.Default = v.ID
		}
		out.PolicyVersion = v.api(p.Default == v.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func noVersion(policyARN, id string) error {
	return fault.New(fault.NoSuchEntity, "Policy %s version %s does not exist or is not attachable.", policyARN, id)
}

// GetPolicyVersion tells a version's document.
func (s *Service) GetPolicyVersion(ctx context.Context, in *api.GetPolicyVersionInput) (*api.GetPolicyVersionOutput, error) {
	out := &api.GetPolicyVersionOutput{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := s.anyPolicy(tx, auth.From(ctx).Scope.Account, in.PolicyArn)
		if err != nil {
			return err
		}
		v := p.version(in.VersionId)
		if v == nil {
			return noVersion(in.PolicyArn, in.VersionId)
		}
		if v.Document == "" {
			return fault.New(fault.NotImplemented, "GetPolicyVersion: Slipway has no document of %s.", in.PolicyArn)
		}
		out.PolicyVersion = v.api(p.Default == v.ID)
		out.PolicyVersion.Document = escaped(v.Document)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListPolicyVersions lists a policy's versions, the newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, in *api.ListPolicyVersionsInput) (*api.ListPolicyVersionsOutput, error) {
	out := &api.ListPolicyVersionsOutput{Versions: []api.PolicyVersion{}}
	err := s.store.View(ctx, func(tx store.Tx) error {
		out.Versions = nil
		p, err := s.anyPolicy(tx, auth.From(ctx).Scope.Account, in.PolicyArn)
		if err != nil {
			return err
		}
		skip := 0
		if in.Marker != "" {
			if skip, err = strconv.Atoi(in.Marker); err != nil || skip < 0 || skip > len(p.Versions) {
				return badMarker(in.Marker)
			}
		}
		all := slices.Clone(p.Versions)
		slices.Reverse(all)
		rest := all[skip:]
		page := rest[:min(len(rest), pageSize(in.MaxItems))]
		for i := range page {
			out.Versions = append(out.Versions, *page[i].api(page[i].ID == p.Default))
		}
		if len(page) < len(rest) {
			out.Marker = strconv.Itoa(skip + len(page))
		}
		out.IsTruncated = new(out.Marker != "")
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetDefaultPolicyVersion says which version is in force.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, in *api.SetDefaultPolicyVersionInput) (*api.SetDefaultPolicyVersionOutput, error) {
	return &api.SetDefaultPolicyVersionOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ store.Tx, p *managed) error {
		if p.version(in.VersionId) == nil {
			return noVersion(in.PolicyArn, in.VersionId)
		}
		p.Default, p.Updated = in.VersionId, s.now().UTC().Truncate(time.Second)
		return nil
	})
}

// DeletePolicyVersion removes a version that is not the default.
func (s *Service) DeletePolicyVersion(ctx context.Context, in *api.DeletePolicyVersionInput) (*api.DeletePolicyVersionOutput, error) {
	return &api.DeletePolicyVersionOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ store.Tx, p *managed) error {
		if p.version(in.VersionId) == nil {
			return noVersion(in.PolicyArn, in.VersionId)
		}
		if in.VersionId == p.Default {
			return fault.New(fault.DeleteConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(v version) bool { return v.ID == in.VersionId })
		p.Updated = s.now().UTC().Truncate(time.Second)
		return nil
	})
}

// DeletePolicy removes a policy that nothing uses.
func (s *Service) DeletePolicy(ctx context.Context, in *api.DeletePolicyInput) (*api.DeletePolicyOutput, error) {
	account := auth.From(ctx).Scope.Account
	return &api.DeletePolicyOutput{}, s.store.Update(ctx, func(tx store.Tx) error {
		p, err := findPolicy(tx, account, in.PolicyArn)
		if err != nil {
			return err
		}
		o, err := p.api(tx, account)
		if err != nil {
			return err
		}
		if *o.AttachmentCount > 0 || *o.PermissionsBoundaryUsageCount > 0 {
			return fault.New(fault.DeleteConflict, "Cannot delete a policy attached to entities.")
		}
		if len(p.Versions) > 1 {
			return fault.New(fault.DeleteConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "+
				"The default version is deleted with the policy.")
		}
		return policies.drop(tx, account, p.Name)
	})
}

// TagPolicy puts tags on a customer-managed policy.
func (s *Service) TagPolicy(ctx context.Context, in *api.TagPolicyInput) (*api.TagPolicyOutput, error) {
	return &api.TagPolicyOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ store.Tx, p *managed) (err error) {
		p.Tags, err = merge(ctx, p.Tags, in.Tags)
		return err
	})
}

// UntagPolicy takes tags off a customer-managed policy.
func (s *Service) UntagPolicy(ctx context.Context, in *api.UntagPolicyInput) (*api.UntagPolicyOutput, error) {
	return &api.UntagPolicyOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ store.Tx, p *managed) error {
		p.Tags = without(p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists a customer-managed policy's tags.
func (s *Service) ListPolicyTags(ctx context.Context, in *api.ListPolicyTagsInput) (*api.ListPolicyTagsOutput, error) {
	var tags []api.Tag
	err := s.store.View(ctx, func(tx store.Tx) error {
		p, err := findPolicy(tx, auth.From(ctx).Scope.Account, in.PolicyArn)
		if err == nil {
			tags = p.Tags
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := pageTags(tags, in.Marker, in.MaxItems)
	return &api.ListPolicyTagsOutput{Tags: page, Marker: next, IsTruncated: new(next != "")}, nil
}
