package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/generate"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// Statuses of generated templates and their resources ("GeneratedTemplateStatus",
// "GeneratedTemplateResourceStatus").
const (
	generatingCreate = "CREATE_IN_PROGRESS"
	generatingUpdate = "UPDATE_IN_PROGRESS"
	generated        = "COMPLETE"
	generationFailed = "FAILED"

	resourcePending = "PENDING"
)

// Limits of generated templates ("IaC generator quotas").
const (
	maxGenerated     = 1000
	maxGenerating    = 5
	maxGeneratedSize = 500 // resources
)

// generatedTemplate is a template that is made of resources that exist.
type generatedTemplate struct {
	ID                  string // ARN
	Name                string
	Scope               arn.Scope
	Status              string
	Reason              string
	Created             time.Time
	Updated             time.Time
	StackID             string
	Base                string `json:",omitempty"` // that stack's template
	DeletionPolicy      string
	UpdateReplacePolicy string
	Resources           []generatedResource
	Body                string // as it last was complete
	Caller              apply.Caller
	Round               int // of its generation, for the workflow's id
}

// generatedResource is a resource of a generated template.
type generatedResource struct {
	LogicalID  string
	Type       string
	PhysicalID string
	Identifier map[string]string
	Status     string
	Reason     string             `json:",omitempty"`
	Properties cfn.Properties     `json:",omitempty"` // as last read
	Warnings   []generate.Warning `json:",omitempty"`
}

// generatedTemplates are keyed by account, region and UUID.
var generatedTemplates = store.NewCollection[generatedTemplate]("cloudformation/generated",
	store.Index[generatedTemplate]{Name: "name", Keys: func(_ string, g *generatedTemplate) []string {
		return []string{g.Scope.Key() + "/" + g.Name}
	}})

func (g *generatedTemplate) key() string { return g.Scope.Key() + "/" + apply.UUID(g.ID) }

func (g *generatedTemplate) busy() bool {
	return g.Status == generatingCreate || g.Status == generatingUpdate
}

// findGenerated finds a generated template by its name or ARN.
func findGenerated(tx store.Tx, scope arn.Scope, nameOrID string) (*generatedTemplate, error) {
	missing := fault.New(fault.CFNGeneratedTemplateMissing, "The generated template %s does not exist", nameOrID)
	if !strings.HasPrefix(nameOrID, "arn:") {
		for e, err := range generatedTemplates.ByIndex(tx, "name", scope.Key()+"/"+nameOrID) {
			return e.Value, err
		}
		return nil, missing
	}
	g, err := generatedTemplates.Get(tx, scope.Key()+"/"+apply.UUID(nameOrID))
	if errors.Is(err, store.ErrNotFound) || err == nil && g.ID != nameOrID {
		return nil, missing
	}
	return g, err
}

// CreateGeneratedTemplate begins to make a template.
func (s *Service) CreateGeneratedTemplate(ctx context.Context, in *cloudformation.CreateGeneratedTemplateInput) (*cloudformation.CreateGeneratedTemplateOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkName("generatedTemplateName", in.GeneratedTemplateName); err != nil {
		return nil, err
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	id := c.Scope.ARN("cloudformation", "generatedTemplate/"+arn.NewUUID()).String()
	err = s.update(ctx, func(l *apply.Ledger) error {
		g := &generatedTemplate{
			ID: id, Name: in.GeneratedTemplateName, Scope: c.Scope, Status: generatingCreate, Caller: caller,
			DeletionPolicy: cfn.PolicyRetain, UpdateReplacePolicy: cfn.PolicyRetain,
		}
		if _, err := findGenerated(l.Tx, c.Scope, g.Name); !fault.Is(err, fault.CFNGeneratedTemplateMissing) {
			if err == nil {
				err = fault.New(fault.CFNAlreadyExists, "The generated template %s already exists", g.Name)
			}
			return err
		}
		if err := roomForGenerated(l.Tx, c.Scope, true); err != nil {
			return err
		}
		if err := s.baseOn(l.Tx, g, in.StackName); err != nil {
			return err
		}
		g.Created = l.Now
		g.configure(in.TemplateConfiguration)
		if err := s.addResources(g, in.Resources); err != nil {
			return err
		}
		return s.beginGenerating(l, g)
	})
	return &cloudformation.CreateGeneratedTemplateOutput{GeneratedTemplateId: id}, err
}

// roomForGenerated holds the limits.
func roomForGenerated(tx store.Tx, scope arn.Scope, another bool) error {
	all, busy := 0, 0
	for e, err := range generatedTemplates.Scan(tx, scope.Key()+"/") {
		if err != nil {
			return err
		}
		all++
		if e.Value.busy() {
			busy++
		}
	}
	if another && all >= maxGenerated {
		return fault.New(fault.CFNLimitExceeded, "The limit of %d generated templates has been reached", maxGenerated)
	}
	if busy >= maxGenerating {
		return fault.New(fault.CFNConcurrentLimit, "The limit of %d templates that are generated at a time has been reached", maxGenerating)
	}
	return nil
}

// baseOn has a generated template begin with that of a stack.
func (s *Service) baseOn(tx store.Tx, g *generatedTemplate, stack string) error {
	if stack == "" {
		return nil
	}
	st, err := must(tx, g.Scope, stack, noStack)
	if err != nil {
		return err
	}
	if st.Version.TemplateKey == "" {
		return fault.New(fault.ValidationError, "Stack [%s] has no template", st.Name)
	}
	t, err := apply.Templates.Get(tx, st.Version.TemplateKey)
	if err == nil {
		g.StackID, g.Base = st.ID, t.Body
	}
	return err
}

// policies are the values of a template's configuration as templates have them.
var policies = map[string]string{"DELETE": cfn.PolicyDelete, "RETAIN": cfn.PolicyRetain}

func (g *generatedTemplate) configure(c *cloudformation.TemplateConfiguration) {
	if c != nil {
		g.DeletionPolicy = cmp.Or(policies[c.DeletionPolicy], g.DeletionPolicy)
		g.UpdateReplacePolicy = cmp.Or(policies[c.UpdateReplacePolicy], g.UpdateReplacePolicy)
	}
}

// addResources puts resources to be read into a generated template.
func (s *Service) addResources(g *generatedTemplate, in []cloudformation.ResourceDefinition) error {
	taken := map[string]bool{}
	if tmpl := g.base(); tmpl != nil {
		for _, r := range tmpl.Resources {
			taken[r.LogicalID] = true
		}
	}
	for _, r := range g.Resources {
		taken[r.LogicalID] = true
	}
	for _, d := range in {
		keys := s.importable(d.ResourceType)
		if keys == nil {
			return fault.New(fault.ValidationError, "Resource type %s cannot be in a generated template", d.ResourceType)
		}
		id, ok := s.types.PhysicalID(d.ResourceType, d.ResourceIdentifier)
		if !ok {
			return fault.New(fault.ValidationError, "A resource of type %s is identified by values of [%s], not of [%s].", d.ResourceType, strings.Join(keys, ", "), strings.Join(names(d.ResourceIdentifier), ", "))
		}
		if slices.ContainsFunc(g.Resources, func(r generatedResource) bool { return r.Type == d.ResourceType && r.PhysicalID == id }) {
			return fault.New(fault.ValidationError, "The resource of type %s with the identifier %s is in the generated template already", d.ResourceType, id)
		}
		logical := d.LogicalResourceId
		switch {
		case logical == "":
			logical = generate.LogicalID(d.ResourceType, id, func(id string) bool { return taken[id] })
		case !logicalID.MatchString(logical):
			return constraint("resources.logicalResourceId", logical, "Member must satisfy regular expression pattern: [a-zA-Z0-9]{1,255}")
		case taken[logical]:
			return fault.New(fault.ValidationError, "The logical id %s is in the generated template already", logical)
		}
		taken[logical] = true
		g.Resources = append(g.Resources, generatedResource{LogicalID: logical, Type: d.ResourceType, PhysicalID: id, Identifier: d.ResourceIdentifier, Status: resourcePending})
	}
	if len(g.Resources) > maxGeneratedSize {
		return fault.New(fault.CFNLimitExceeded, "A generated template has at most %d resources", maxGeneratedSize)
	}
	return nil
}

// beginGenerating has a template's pending resources read.
func (s *Service) beginGenerating(l *apply.Ledger, g *generatedTemplate) error {
	g.Updated, g.Reason = l.Now, ""
	g.Round++
	id := fmt.Sprintf("%s/%s/%d", generateWorkflow, g.key(), g.Round)
	return errors.Join(
		generatedTemplates.Put(l.Tx, g.key(), g),
		s.cfg.Workflows.Begin(l.Tx, generateWorkflow, id, generateParams{Template: g.key(), Round: g.Round}),
	)
}

// UpdateGeneratedTemplate changes what a generated template has.
func (s *Service) UpdateGeneratedTemplate(ctx context.Context, in *cloudformation.UpdateGeneratedTemplateInput) (*cloudformation.UpdateGeneratedTemplateOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.NewGeneratedTemplateName != "" {
		if err := checkName("newGeneratedTemplateName", in.NewGeneratedTemplateName); err != nil {
			return nil, err
		}
	}
	caller, err := s.principal(ctx, "")
	if err != nil {
		return nil, err
	}
	out := &cloudformation.UpdateGeneratedTemplateOutput{}
	return out, s.update(ctx, func(l *apply.Ledger) error {
		g, err := findGenerated(l.Tx, c.Scope, in.GeneratedTemplateName)
		if err != nil {
			return err
		}
		out.GeneratedTemplateId = g.ID
		if g.busy() {
			return fault.New(fault.ValidationError, "The generated template %s is %s", g.Name, g.Status)
		}
		if name := in.NewGeneratedTemplateName; name != "" && name != g.Name {
			if _, err := findGenerated(l.Tx, c.Scope, name); !fault.Is(err, fault.CFNGeneratedTemplateMissing) {
				if err == nil {
					err = fault.New(fault.CFNAlreadyExists, "The generated template %s already exists", name)
				}
				return err
			}
			g.Name = name
		}
		for _, id := range in.RemoveResources {
			at := slices.IndexFunc(g.Resources, func(r generatedResource) bool { return r.LogicalID == id })
			if at < 0 {
				return fault.New(fault.ValidationError, "The generated template has no resource %s", id)
			}
			g.Resources = slices.Delete(g.Resources, at, at+1)
		}
		if isTrue(in.RefreshAllResources) {
			for i := range g.Resources {
				g.Resources[i].Status = resourcePending
			}
		}
		if err := s.addResources(g, in.AddResources); err != nil {
			return err
		}
		if err := roomForGenerated(l.Tx, c.Scope, false); err != nil {
			return err
		}
		g.configure(in.TemplateConfiguration)
		g.Status, g.Caller = generatingUpdate, caller
		return s.beginGenerating(l, g)
	})
}

// DescribeGeneratedTemplate tells how far a generated template is, and what it has.
func (s *Service) DescribeGeneratedTemplate(ctx context.Context, in *cloudformation.DescribeGeneratedTemplateInput) (*cloudformation.DescribeGeneratedTemplateOutput, error) {
	c := auth.From(ctx)
	if _, err := s.call(ctx); err != nil {
		return nil, err
	}
	var out *cloudformation.DescribeGeneratedTemplateOutput
	err := s.view(ctx, func(tx store.Tx) error {
		g, err := findGenerated(tx, c.Scope, in.GeneratedTemplateName)
		if err == nil {
			out = describeGenerated(g)
		}
		return err
	})
	return out, err
}

func describeGenerated(g *generatedTemplate) *cloudformation.DescribeGeneratedTemplateOutput {
	var done, failed, processing, pending, warnings int32
	out := &cloudformation.DescribeGeneratedTemplateOutput{
		GeneratedTemplateId: g.ID, GeneratedTemplateName: g.Name, Status: g.Status, StatusReason: g.Reason, CreationTime: &g.Created,
		LastUpdatedTime: &g.Updated, StackId: g.StackID,
		TemplateConfiguration: &cloudformation.TemplateConfiguration{DeletionPolicy: strings.ToUpper(g.DeletionPolicy), UpdateReplacePolicy: strings.ToUpper(g.UpdateReplacePolicy)},
		Progress:              &cloudformation.TemplateProgress{ResourcesSucceeded: &done, ResourcesFailed: &failed, ResourcesProcessing: &processing, ResourcesPending: &pending},
		TotalWarnings:         &warnings,
	}
	for _, r := range g.Resources {
		switch r.Status {
		case generated:
			done++
		case generationFailed:
			failed++
		default:
			pending++
		}
		d := cloudformation.ResourceDetail{ResourceType: r.Type, LogicalResourceId: r.LogicalID, ResourceIdentifier: r.Identifier, ResourceStatus: r.Status, ResourceStatusReason: r.Reason}
		for _, w := range r.Warnings {
			warnings++
			detail := cloudformation.WarningDetail{Type: w.Type}
			for _, p := range w.Properties {
				detail.Properties = append(detail.Properties, cloudformation.WarningProperty{PropertyPath: p.Path, Required: &p.Required})
			}
			d.Warnings = append(d.Warnings, detail)
		}
		out.Resources = append(out.Resources, d)
	}
	return out
}

// GetGeneratedTemplate answers a generated template as it last was complete.
func (s *Service) GetGeneratedTemplate(ctx context.Context, in *cloudformation.GetGeneratedTemplateInput) (*cloudformation.GetGeneratedTemplateOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	if in.Format != "" && in.Format != "JSON" && in.Format != "YAML" {
		return nil, constraint("format", in.Format, "Member must satisfy enum value set: [JSON, YAML]")
	}
	out := &cloudformation.GetGeneratedTemplateOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		g, err := findGenerated(tx, c.Scope, in.GeneratedTemplateName)
		if err == nil {
			out.Status, out.TemplateBody = g.Status, g.Body
		}
		return err
	})
	if err == nil && in.Format == "YAML" && out.TemplateBody != "" {
		var body []byte
		body, err = generate.YAML([]byte(out.TemplateBody))
		out.TemplateBody = string(body)
	}
	return out, err
}

// ListGeneratedTemplates lists the generated templates by name.
func (s *Service) ListGeneratedTemplates(ctx context.Context, in *cloudformation.ListGeneratedTemplatesInput) (*cloudformation.ListGeneratedTemplatesOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListGeneratedTemplatesOutput{Summaries: []cloudformation.TemplateSummary{}}
	err = s.view(ctx, func(tx store.Tx) error {
		var all []*generatedTemplate
		for e, err := range generatedTemplates.Scan(tx, c.Scope.Key()+"/") {
			if err != nil {
				return err
			}
			all = append(all, e.Value)
		}
		slices.SortFunc(all, func(a, b *generatedTemplate) int { return strings.Compare(a.Name, b.Name) })
		part, next, err := pageOf(all, size, "ListGeneratedTemplates", in.NextToken, func(g *generatedTemplate) string { return g.Name })
		for _, g := range part {
			n := int32(len(g.Resources))
			out.Summaries = append(out.Summaries, cloudformation.TemplateSummary{
				GeneratedTemplateId: g.ID, GeneratedTemplateName: g.Name, Status: g.Status, StatusReason: g.Reason,
				CreationTime: &g.Created, LastUpdatedTime: &g.Updated, NumberOfResources: &n,
			})
		}
		out.NextToken = next
		return err
	})
	return out, err
}

// DeleteGeneratedTemplate forgets a generated template.
func (s *Service) DeleteGeneratedTemplate(ctx context.Context, in *cloudformation.DeleteGeneratedTemplateInput) (*cloudformation.DeleteGeneratedTemplateOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	return &cloudformation.DeleteGeneratedTemplateOutput{}, s.update(ctx, func(l *apply.Ledger) error {
		g, err := findGenerated(l.Tx, c.Scope, in.GeneratedTemplateName)
		if err != nil {
			return err
		}
		return generatedTemplates.Delete(l.Tx, g.key())
	})
}
