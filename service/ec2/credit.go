package ec2

import (
	"context"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// The credit options of burstable instances are kept and told. No credits are
// counted: an instance may always use the CPUs of its type.

// creditFamilies are the families whose default option an account may choose.
var creditFamilies = []string{"t2", "t3", "t3a", "t4g"}

const (
	standardCredits  = "standard"
	unlimitedCredits = "unlimited"
)

// creditsOfLaunch is the option that a launch of a type begins with, "" where
// the type is not burstable.
func (v *settings) creditsOfLaunch(instanceType string) string {
	t, _ := findType(instanceType)
	switch {
	case t.family == nil || !t.family.burst:
		return ""
	case v.Credits[t.family.name] != "":
		return v.Credits[t.family.name]
	case t.family.name == "t2":
		return standardCredits
	}
	return unlimitedCredits
}

func checkCreditOption(parameter, c string) error {
	if c != standardCredits && c != unlimitedCredits {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter %s is invalid. Expecting standard or unlimited.", clip(c, 64), parameter)
	}
	return nil
}

func checkCreditFamily(name string) error {
	if name == "" {
		return fault.New(fault.MissingParameter, "The request must contain the parameter InstanceFamily")
	}
	if !contains(creditFamilies, name) {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter InstanceFamily is invalid. Expecting t2, t3, t3a or t4g.", clip(name, 64))
	}
	return nil
}

// GetDefaultCreditSpecification tells the option of new instances of a family.
func (s *Service) GetDefaultCreditSpecification(ctx context.Context, in *api.GetDefaultCreditSpecificationInput) (*api.GetDefaultCreditSpecificationOutput, error) {
	if err := firstError(checkCreditFamily(in.InstanceFamily), dryRun(in.DryRun)); err != nil {
		return nil, err
	}
	v, err := s.readSettings(ctx)
	if err != nil {
		return nil, err
	}
	return &api.GetDefaultCreditSpecificationOutput{InstanceFamilyCreditSpecification: &api.InstanceFamilyCreditSpecification{
		InstanceFamily: in.InstanceFamily, CpuCredits: v.creditsOfLaunch(in.InstanceFamily + ".micro"),
	}}, nil
}

// ModifyDefaultCreditSpecification chooses the option of new instances of a family.
func (s *Service) ModifyDefaultCreditSpecification(ctx context.Context, in *api.ModifyDefaultCreditSpecificationInput) (*api.ModifyDefaultCreditSpecificationOutput, error) {
	if err := firstError(checkCreditFamily(in.InstanceFamily), checkCreditOption("CpuCredits", in.CpuCredits)); err != nil {
		return nil, err
	}
	err := s.changeSettings(ctx, in.DryRun, func(v *settings) {
		if v.Credits == nil {
			v.Credits = map[string]string{}
		}
		v.Credits[in.InstanceFamily] = in.CpuCredits
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyDefaultCreditSpecificationOutput{InstanceFamilyCreditSpecification: &api.InstanceFamilyCreditSpecification{
		InstanceFamily: in.InstanceFamily, CpuCredits: in.CpuCredits,
	}}, nil
}

// ModifyInstanceCreditSpecification changes the option of instances, each for
// itself: it tells which were changed and which were not.
func (s *Service) ModifyInstanceCreditSpecification(ctx context.Context, in *api.ModifyInstanceCreditSpecificationInput) (*api.ModifyInstanceCreditSpecificationOutput, error) {
	if n := len(in.InstanceCreditSpecifications); n == 0 || n > maxNamed {
		return nil, fault.New(fault.InvalidParameterValue, "A call must name between 1 and %d instances.", maxNamed)
	}
	for _, c := range in.InstanceCreditSpecifications {
		if err := checkCreditOption("InstanceCreditSpecification.CpuCredits", c.CpuCredits); err != nil {
			return nil, err
		}
	}
	scope := auth.From(ctx).Scope
	var out *api.ModifyInstanceCreditSpecificationOutput
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		out = &api.ModifyInstanceCreditSpecificationOutput{
			SuccessfulInstanceCreditSpecifications:   []api.SuccessfulInstanceCreditSpecificationItem{},
			UnsuccessfulInstanceCreditSpecifications: []api.UnsuccessfulInstanceCreditSpecificationItem{},
		}
		for _, c := range in.InstanceCreditSpecifications {
			i, err := loadInstance(tx, scope, c.InstanceId)
			switch {
			case err == nil && i.State != running && i.State != stopped:
				err = wrongState(i, "given another credit option")
			case err == nil && i.Credits == "":
				err = fault.New("InstanceCreditSpecification.NotSupported", "The instance '%s' is of a type without CPU credits.", i.ID)
			case err == nil:
				i.Credits = c.CpuCredits
				err = i.save(tx)
			}
			if f, refused := fault.As(err); refused {
				out.UnsuccessfulInstanceCreditSpecifications = append(out.UnsuccessfulInstanceCreditSpecifications, api.UnsuccessfulInstanceCreditSpecificationItem{
					InstanceId: c.InstanceId, Error: &api.UnsuccessfulInstanceCreditSpecificationItemError{Code: f.Code, Message: f.Message},
				})
				continue
			}
			if err != nil {
				return err
			}
			out.SuccessfulInstanceCreditSpecifications = append(out.SuccessfulInstanceCreditSpecifications,
				api.SuccessfulInstanceCreditSpecificationItem{InstanceId: c.InstanceId})
		}
		return dryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
