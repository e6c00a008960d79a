package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// launchToken remembers what a RunInstances call with a client token, or one
// that a durable step makes, has launched.
type launchToken struct {
	Hash      string   `json:"hash"` // of the request
	Instances []string `json:"instances"`
}

var launchTokens = store.NewCollection[launchToken]("ec2/clienttoken")

// launchTokenKey is where a call's idempotency is kept, "" where it has none.
func launchTokenKey(call auth.Call, clientToken string) string {
	switch {
	case clientToken != "":
		return call.Scope.Key() + "/client/" + arn.Hash(clientToken)
	case call.Token != "":
		return call.Scope.Key() + "/step/" + arn.Hash(call.Token)
	}
	return ""
}

// RunInstances launches instances. It answers once they are on record; a
// workflow for each starts it.
func (s *Service) RunInstances(ctx context.Context, in *api.RunInstancesInput) (*api.RunInstancesOutput, error) {
	call := auth.From(ctx)
	hash, err := requestHash(in)
	if err != nil {
		return nil, err
	}
	key := launchTokenKey(call, in.ClientToken)
	if views, err := s.launchedViews(ctx, call.Scope, key, hash); len(views) > 0 || err != nil {
		return runOutput(views), err
	}
	asked := in
	in, origin, err := s.templated(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := s.mayLaunch(ctx, asked, in, origin); err != nil {
		return nil, err
	}
	r, err := s.checkRun(ctx, call, in)
	if err != nil {
		return nil, err
	}
	r.originate(origin)
	if r.model.Profile, err = s.passProfile(ctx, call, r.profileName, r.profileARN); err != nil {
		return nil, err
	}
	var views []instanceView
	err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		views = nil
		made, err := s.launched(tx, call.Scope, key, hash)
		if err != nil {
			return err
		}
		if made == nil {
			if made, err = s.launch(tx, call, r, key, hash); err != nil {
				return err
			}
			if err := dryRun(in.DryRun); err != nil {
				return err
			}
		}
		views, err = s.views(tx, call.Scope, made)
		return err
	})
	if err != nil {
		return nil, err
	}
	return runOutput(views), nil
}

func runOutput(views []instanceView) *api.RunInstancesOutput {
	if len(views) == 0 {
		return nil
	}
	res := reservation(views)
	return &api.RunInstancesOutput{
		ReservationId: res.ReservationId, OwnerId: res.OwnerId, RequesterId: res.RequesterId, Groups: res.Groups, Instances: res.Instances,
	}
}

// launchedViews are what an earlier call with the same token made: it is found
// though what it was made of, such as a template, is gone meanwhile.
func (s *Service) launchedViews(ctx context.Context, scope arn.Scope, key, hash string) ([]instanceView, error) {
	if key == "" {
		return nil, nil
	}
	var views []instanceView
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		views = nil
		made, err := s.launched(tx, scope, key, hash)
		if err != nil || made == nil {
			return err
		}
		views, err = s.views(tx, scope, made)
		return err
	})
	return views, err
}

// requestHash tells whether two requests with one client token are the same.
func requestHash(in *api.RunInstancesInput) (string, error) {
	c := *in
	c.ClientToken, c.DryRun = "", nil
	b, err := json.Marshal(&c)
	return arn.Hash(string(b)), err
}

// launched finds what an earlier call with the same token made.
func (s *Service) launched(tx store.Tx, scope arn.Scope, key, hash string) ([]*instance, error) {
	if key == "" {
		return nil, nil
	}
	t, err := launchTokens.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if t.Hash != hash {
		return nil, fault.New(fault.IdempotentParameterMatch, "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return loadInstances(tx, scope, t.Instances)
}

// launch writes the records and begins the workflows.
func (s *Service) launch(tx store.Tx, call auth.Call, r *runRequest, key, hash string) ([]*instance, error) {
	model := r.model
	if err := s.resolveModel(tx, call.Scope, r, &model); err != nil {
		return nil, err
	}
	if err := r.image.launched(tx, s.now()); err != nil {
		return nil, err
	}
	count, err := s.room(tx, call.Scope, r)
	if err != nil {
		return nil, err
	}
	sub, err := subnets.get(s, tx, call.Scope, model.Subnet)
	if err != nil {
		return nil, err
	}
	model.Reservation = newID(call, "r-", "reservation")
	if key != "" && call.Token == "" {
		model.Reservation = arn.IDFrom("r-", key)
	}
	var made []*instance
	for i := range count {
		in := model
		in.Index, in.Fixed = i, r.asked.IsValid()
		in.ID = instanceID(call, key, i)
		s.name(&in)
		if err = s.takeFirst(tx, *sub, r, &in); err != nil {
			if len(made) >= int(r.min) && fault.Is(err, fault.InsufficientFreeAddresses) && !in.Private.IsValid() {
				break
			}
			return nil, err
		}
		if err := firstError(s.takeFurther(tx, r, &in), s.begin(tx, &in, r)); err != nil {
			return nil, err
		}
		made = append(made, &in)
	}
	if key == "" {
		return made, nil
	}
	t := &launchToken{Hash: hash}
	for _, in := range made {
		t.Instances = append(t.Instances, in.ID)
	}
	return made, launchTokens.Insert(tx, key, t)
}

func instanceID(call auth.Call, key string, i int32) string {
	if key == "" {
		return arn.NewID(prefixInstance)
	}
	return arn.IDFrom(prefixInstance, fmt.Sprintf("%s/%d", key, i))
}

// name gives an instance the ids of what belongs to it alone.
func (s *Service) name(in *instance) {
	in.Interface = arn.IDFrom(prefixInterface, in.ID)
	in.Attachment = arn.IDFrom(prefixAttachment, in.ID)
	in.Root.ID = arn.IDFrom(prefixVolume, in.ID)
	if in.Profile != nil {
		p := *in.Profile
		p.Association = arn.IDFrom(prefixProfile, in.ID+"/"+p.ID)
		in.Profile = &p
	}
	in.Created = s.now()
	in.Launched = in.Created
}

// begin puts a new instance on record and begins its workflow.
func (s *Service) begin(tx store.Tx, in *instance, r *runRequest) error {
	in.enter(pending, nil, "")
	if in.MapPublic {
		var err error
		if in.Automatic, err = s.takeAutomatic(tx, claim{in.Scope, in.ID}); err != nil {
			return err
		}
	}
	if err := instances.Insert(tx, in.key(), in); err != nil {
		return err
	}
	if err := s.plug(tx, in, r.disks, r.tags["volume"]); err != nil {
		return err
	}
	tagged := map[string]string{"instance": in.ID, "network-interface": in.Interface}
	if r.first.id != "" {
		delete(tagged, "network-interface") // it has its own
	}
	for resourceType, id := range tagged {
		if err := putTags(tx, in.Scope, resourceType, id, r.tags[resourceType]); err != nil {
			return err
		}
	}
	return s.transition(tx, flowLaunch, in)
}

// resolveModel looks up what the request names: key pair and security groups.
func (s *Service) resolveModel(tx store.Tx, scope arn.Scope, r *runRequest, m *instance) error {
	if m.Key != "" {
		k, err := keyPairByName(tx, scope, m.Key)
		if err != nil {
			return err
		}
		m.PublicKey = k.Public
	}
	if err := s.resolvePlace(tx, scope, r, m); err != nil {
		return err
	}
	if err := s.resolveImage(tx, scope, r, m); err != nil {
		return err
	}
	var err error
	m.Groups, err = s.resolveGroups(tx, scope, m.VPC, r.groupIDs, r.groupNames)
	return err
}

// resolvePlace finds the subnet that a request names, or a default one.
func (s *Service) resolvePlace(tx store.Tx, scope arn.Scope, r *runRequest, m *instance) error {
	var sub *subnet
	var err error
	if r.first.id != "" {
		i, err := s.freeInterface(tx, scope, r.first.id)
		if err != nil {
			return err
		}
		r.subnet, r.groupIDs = i.Subnet, i.Groups
	}
	if r.subnet == "" {
		var home subnet
		if home, err = s.network(scope).pickSubnet(r.zone); err != nil {
			return err
		}
		r.subnet = home.ID
	}
	if sub, err = subnets.get(s, tx, scope, r.subnet); err != nil {
		return err
	}
	if r.zone != "" && r.zone != sub.Zone {
		return fault.New(fault.InvalidParameterValue, "The availability zone '%s' does not match the zone of subnet '%s'", clip(r.zone, 64), sub.ID)
	}
	m.VPC, m.Subnet, m.Zone = sub.VPC, sub.ID, sub.Zone
	m.MapPublic = value(r.public, sub.MapPublic)
	return nil
}

// resolveGroups finds groups of a VPC by id and name; none is its default group.
func (s *Service) resolveGroups(tx store.Tx, scope arn.Scope, vpc string, ids, names []string) ([]string, error) {
	var out []string
	add := func(g *group, err error) error {
		if err == nil && g.VPC != vpc {
			err = fault.New(fault.InvalidParameter, "Security group %s and subnet belong to different networks.", g.ID)
		}
		if err == nil && !contains(out, g.ID) {
			out = append(out, g.ID)
		}
		return err
	}
	for _, id := range ids {
		if err := add(s.groupByID(tx, scope, id)); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if err := add(s.groupByName(tx, scope, vpc, name)); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		g, err := s.groupByName(tx, scope, vpc, defaultGroupName)
		if err != nil {
			return nil, err
		}
		out = []string{g.ID}
	}
	if len(out) > maxGroupsPerInterface {
		return nil, fault.New(fault.GroupsPerInterfaceLimitExceeded, "The maximum number of security groups per interface (%d) has been reached.", maxGroupsPerInterface)
	}
	return out, nil
}

// room is how many of the instances asked for fit into the account's limit.
func (s *Service) room(tx store.Tx, scope arn.Scope, r *runRequest) (int32, error) {
	have, err := livingInstances(tx, scope)
	if err != nil {
		return 0, err
	}
	free := int32(max(0, s.maxInstances()-have))
	if free < r.min {
		return 0, fault.New(fault.InstanceLimitExceeded,
			"You have requested more instances (%d) than your current instance limit of %d allows.", have+int(r.min), s.maxInstances())
	}
	return min(free, r.max), nil
}
