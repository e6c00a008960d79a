package cloudformation

import (
	"context"
	"errors"
	"regexp"

	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/generate"
	"github.com/slipway/slipway/cfn/plan"
	"github.com/slipway/slipway/cfn/template"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// generateWorkflow is the workflow that makes templates. Reading changes nothing.
const generateWorkflow = "cloudformation/generate"

type generateParams struct {
	Template string
	Round    int
}

// logicalID is the form of logical ids.
var logicalID = regexp.MustCompile(`^[a-zA-Z0-9]{1,255}$`)

// generatedAtOnce is how many resources of a template are read at a time.
const generatedAtOnce = 5

// readBack is what a resource has told.
type readBack struct {
	Properties cfn.Properties
	Failure    string
}

// generate is the workflow. One that fails for good leaves no template in progress
// for ever.
func (s *Service) generate(f *workflow.Flow, p generateParams) error {
	err := s.generateTemplate(f, p)
	if err == nil || interrupted(f, err) {
		return err
	}
	reason := s.said("generated template", p.Template, err)
	_, err = workflow.Tx(f, "failed", func(tx store.Tx) (bool, error) {
		g, err := generatingIn(tx, p)
		if err != nil || g == nil {
			return false, err
		}
		g.Status, g.Reason, g.Updated = generationFailed, reason, s.cfg.Now()
		return true, generatedTemplates.Put(tx, p.Template, g)
	})
	return err
}

func (s *Service) generateTemplate(f *workflow.Flow, p generateParams) error {
	g, err := s.generating(f.Context(), p)
	if err != nil || g == nil {
		return err
	}
	var branches []workflow.Branch
	for _, r := range g.Resources {
		if r.Status != resourcePending {
			continue
		}
		branches = append(branches, workflow.Branch{Name: r.LogicalID, Run: func(f *workflow.Flow) error {
			out, err := workflow.Step(f, "read", func(ctx context.Context, token string) (readBack, error) {
				return s.readBack(contextOf(ctx, s, g.Caller, g.Scope, "CreateGeneratedTemplate", token), g, r)
			})
			if interrupted(f, err) {
				return err
			}
			if err != nil {
				out.Failure = s.said("read of "+r.Type, p.Template, err)
			}
			_, err = workflow.Tx(f, "keep", func(tx store.Tx) (bool, error) { return true, s.keepRead(tx, p, r.LogicalID, out) })
			return err
		}})
	}
	if err := f.Parallel(generatedAtOnce, branches...); err != nil {
		return err
	}
	_, err = workflow.Tx(f, "end", func(tx store.Tx) (bool, error) { return true, s.endGenerating(tx, p) })
	return err
}

// generating is the template that a workflow makes; nil: it is gone, or done.
func (s *Service) generating(ctx context.Context, p generateParams) (g *generatedTemplate, err error) {
	err = s.view(ctx, func(tx store.Tx) error {
		g, err = generatingIn(tx, p)
		return err
	})
	return g, err
}

func generatingIn(tx store.Tx, p generateParams) (*generatedTemplate, error) {
	g, err := generatedTemplates.Get(tx, p.Template)
	if errors.Is(err, store.ErrNotFound) || err == nil && (g.Round != p.Round || !g.busy()) {
		return nil, nil
	}
	return g, err
}

// readBack reads a resource, as the template's caller.
func (s *Service) readBack(ctx context.Context, g *generatedTemplate, r generatedResource) (readBack, error) {
	actual, err := s.runner.Read(ctx, &apply.Stack{Scope: g.Scope}, g.Caller, plan.Resource{LogicalID: r.LogicalID, Type: r.Type, PhysicalID: r.PhysicalID})
	if _, classified := fault.As(err); classified {
		return readBack{Failure: firstLine(err)}, nil
	}
	if err == nil && !s.types.Found(r.Type, r.Identifier, actual) {
		return readBack{Failure: "The resource was not found."}, nil
	}
	return readBack{Properties: actual}, err
}

func (s *Service) keepRead(tx store.Tx, p generateParams, logicalID string, out readBack) error {
	g, err := generatingIn(tx, p)
	if err != nil || g == nil {
		return err
	}
	for i := range g.Resources {
		r := &g.Resources[i]
		if r.LogicalID != logicalID {
			continue
		}
		r.Status, r.Reason, r.Properties = generated, out.Failure, out.Properties
		if out.Failure != "" {
			r.Status = generationFailed
		}
	}
	return g.fitting(generatedTemplates.Put(tx, p.Template, g))
}

// endGenerating writes the template of what was read.
func (s *Service) endGenerating(tx store.Tx, p generateParams) error {
	g, err := generatingIn(tx, p)
	if err != nil || g == nil {
		return err
	}
	var resources []generate.Resource
	for _, r := range g.Resources {
		if r.Status == generated {
			resources = append(resources, generate.Resource{LogicalID: r.LogicalID, Type: r.Type, PhysicalID: r.PhysicalID, Properties: r.Properties})
		}
	}
	var base *template.Node
	if tmpl := g.base(); tmpl != nil {
		base = tmpl.Root
	}
	body, warnings := generate.Template(base, resources, generate.Config{ID: g.ID, DeletionPolicy: g.DeletionPolicy, UpdateReplacePolicy: g.UpdateReplacePolicy}, s.cfg.Schemas.Lookup)
	for i := range g.Resources {
		g.Resources[i].Warnings = warnings[g.Resources[i].LogicalID]
	}
	g.Body, g.Status, g.Updated = string(body), generated, s.cfg.Now()
	if failed := len(g.Resources) - len(resources); failed > 0 && len(resources) == 0 {
		g.Status, g.Reason = generationFailed, "None of the template's resources could be read."
	}
	return g.fitting(generatedTemplates.Put(tx, p.Template, g))
}

// fitting says of a record that cannot be kept that its resources are too large.
func (g *generatedTemplate) fitting(err error) error {
	if errors.Is(err, store.ErrTooLarge) {
		return fault.New(fault.CFNLimitExceeded, "The resources of %s have more properties than a generated template can keep", g.Name)
	}
	return err
}

// base is the template that the resources are added to, nil if there is none.
func (g *generatedTemplate) base() *template.Template {
	if g.Base == "" {
		return nil
	}
	tmpl, _ := template.ParseProcessed([]byte(g.Base))
	return tmpl
}
