package logs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	api "github.com/slipway/slipway/api/logs"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// group is a stored log group, without what its puts change (tally).
type group struct {
	Name      string
	ID        string // of this group and none of its name before or after it
	Created   int64  // ms
	Class     string
	Retention int32             `json:",omitempty"` // days; 0: for ever
	Protected bool              `json:",omitempty"` // from deletion
	Tags      map[string]string `json:",omitempty"`
	Token     string            `json:",omitempty"` // of the durable step that made it
	// Keys are the data keys of its KMS keys, oldest first: events are opened by the
	// one that they were sealed under.
	Keys []dataKey `json:",omitempty"`
	// Key is the one, by its place in Keys from 1, that new events are sealed under;
	// 0: Slipway's own.
	Key int `json:",omitempty"`
	// MetricFilters counts them.
	MetricFilters int            `json:",omitempty"`
	Subscriptions []subscription `json:",omitempty"`
}

// tally is what a group's puts change: the bytes that it holds.
type tally struct {
	Bytes int64 `json:"b"`
}

var (
	// groups are keyed by account, region and name.
	groups = store.NewCollection[group]("logs/group")
	// tallies are keyed by the group's id.
	tallies = store.NewCollection[tally](store.BulkPrefix + "logs/tally")
)

// place is where a group is kept.
type place struct {
	arn.Scope
	name string
}

func (p place) key() string { return p.Scope.Key() + "/" + p.name }

func (p place) arn() string { return p.ARN("logs", "log-group:"+p.name).String() }

// placeOf tells the place of a key of groups.
func placeOf(key string) place {
	account, rest, _ := strings.Cut(key, "/")
	region, name, _ := strings.Cut(rest, "/")
	return place{arn.Scope{Account: account, Region: region}, name}
}

func invalid(format string, args ...any) error {
	return fault.New(fault.InvalidParameterException, format, args...)
}

func noGroup() error {
	return fault.New(fault.ResourceNotFoundException, "The specified log group does not exist.")
}

// find finds a group.
func find(tx store.Tx, p place) (*group, error) {
	g, err := groups.Get(tx, p.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil, noGroup()
	}
	return g, err
}

var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// here is the place of a group that a call names.
func here(ctx context.Context, name string) place { return place{auth.From(ctx).Scope, name} }

// identified is the place of a group that a call names by a name or an identifier,
// which is a name or an ARN.
func identified(ctx context.Context, name, identifier string) (place, error) {
	switch {
	case name != "" && identifier != "":
		return place{}, invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	case name != "":
		return here(ctx, name), nil
	case identifier == "":
		return place{}, invalid("Either LogGroup name or LogGroup ARN must be specified.")
	case !strings.HasPrefix(identifier, "arn:"):
		return here(ctx, identifier), nil
	}
	return fromARN(ctx, identifier)
}

// fromARN is the place of a group by its ARN, with ":*" behind it or without.
func fromARN(ctx context.Context, text string) (place, error) {
	a, err := arn.Parse(text)
	name, ok := strings.CutPrefix(a.Resource, "log-group:")
	name = strings.TrimSuffix(name, ":*")
	scope := auth.From(ctx).Scope
	switch {
	case err != nil || !ok || a.Service != "logs" || !groupName.MatchString(name):
		return place{}, invalid("The ARN %s is not that of a log group.", text)
	case a.Account != scope.Account:
		return place{}, fault.New(fault.NotImplemented, "logs: log groups of other accounts are not built: there are no monitoring accounts")
	case a.Region != scope.Region:
		return place{}, noGroup()
	}
	return place{scope, name}, nil
}

// change changes a group.
func (s *Service) change(ctx context.Context, p place, fn func(tx store.Tx, g *group) error) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err != nil {
			return err
		}
		if err := fn(tx, g); err != nil {
			return err
		}
		return groups.Put(tx, p.key(), g)
	})
}

// newID names what an update makes. A revision is given out once.
func newID(tx store.Tx) string { return fmt.Sprintf("%016x", tx.Revision()) }

// CreateLogGroup makes a log group.
func (s *Service) CreateLogGroup(ctx context.Context, in *api.CreateLogGroupInput) (*api.CreateLogGroupOutput, error) {
	p := here(ctx, in.LogGroupName)
	call := auth.From(ctx)
	g := group{
		Name: in.LogGroupName, Class: in.LogGroupClass, Protected: yes(in.DeletionProtectionEnabled), Created: s.now().UnixMilli(), Token: call.Token,
	}
	switch {
	case !groupName.MatchString(g.Name): // templates bring names that no model has bounded
		return nil, invalid("Invalid LogGroup or LogStream name: 1 to 512 of the characters a-z, A-Z, 0-9, '_', '-', '/', '.' and '#'.")
	case strings.HasPrefix(g.Name, "aws/"):
		return nil, invalid("Log groups starting with AWS/ are reserved for AWS.")
	case g.Class == api.LogGroupClassDelivery:
		return nil, fault.New(fault.NotImplemented, "CreateLogGroup: the log class DELIVERY is not built.")
	case g.Class == "":
		g.Class = api.LogGroupClassStandard
	}
	var err error
	if g.Tags, err = merge(ctx, nil, in.Tags); err != nil {
		return nil, err
	}
	if in.KmsKeyId != "" {
		k, err := s.newDataKey(ctx, p, in.KmsKeyId)
		if err != nil {
			return nil, err
		}
		g.Keys, g.Key = []dataKey{k}, 1
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		was, err := groups.Get(tx, p.key())
		switch {
		case err == nil && call.Token != "" && was.Token == call.Token:
			return nil
		case err == nil:
			return fault.New(fault.ResourceAlreadyExists, "The specified log group already exists")
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		g.ID = newID(tx)
		return groups.Put(tx, p.key(), &g)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateLogGroupOutput{}, nil
}

// DeleteLogGroup deletes a group with all that it holds. What it holds is out of
// reach at once; the sweep removes it.
func (s *Service) DeleteLogGroup(ctx context.Context, in *api.DeleteLogGroupInput) (*api.DeleteLogGroupOutput, error) {
	p := here(ctx, in.LogGroupName)
	err := s.store.Update(ctx, func(tx store.Tx) error {
		g, err := find(tx, p)
		if err != nil {
			return err
		}
		if g.Protected {
			return fault.New(fault.ValidationException, "The specified log group has deletion protection enabled. Disable it before you delete the log group.")
		}
		if err := dropMetricFilters(tx, p); err != nil {
			return err
		}
		if err := discard(tx, g.ID); err != nil {
			return err
		}
		return groups.Delete(tx, p.key())
	})
	if err != nil {
		return nil, err
	}
	s.sweep.Wake()
	return &api.DeleteLogGroupOutput{}, nil
}

// PutLogGroupDeletionProtection says whether a group may be deleted.
func (s *Service) PutLogGroupDeletionProtection(ctx context.Context, in *api.PutLogGroupDeletionProtectionInput) (*api.PutLogGroupDeletionProtectionOutput, error) {
	p, err := identified(ctx, "", in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, p, func(_ store.Tx, g *group) error {
		g.Protected = yes(in.DeletionProtectionEnabled)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutLogGroupDeletionProtectionOutput{}, nil
}

// retentions are the days that a retention may have.
var retentions = map[int32]bool{
	1: true, 3: true, 5: true, 7: true, 14: true, 30: true, 60: true, 90: true, 120: true, 150: true, 180: true, 365: true, 400: true, 545: true,
	731: true, 1096: true, 1827: true, 2192: true, 2557: true, 2922: true, 3288: true, 3653: true,
}

// PutRetentionPolicy says how long a group's events are kept.
func (s *Service) PutRetentionPolicy(ctx context.Context, in *api.PutRetentionPolicyInput) (*api.PutRetentionPolicyOutput, error) {
	if !retentions[*in.RetentionInDays] {
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: "+
			"[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]", *in.RetentionInDays)
	}
	err := s.change(ctx, here(ctx, in.LogGroupName), func(_ store.Tx, g *group) error {
		g.Retention = *in.RetentionInDays
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.sweep.Wake()
	return &api.PutRetentionPolicyOutput{}, nil
}

// DeleteRetentionPolicy keeps a group's events for ever.
func (s *Service) DeleteRetentionPolicy(ctx context.Context, in *api.DeleteRetentionPolicyInput) (*api.DeleteRetentionPolicyOutput, error) {
	err := s.change(ctx, here(ctx, in.LogGroupName), func(_ store.Tx, g *group) error {
		g.Retention = 0
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRetentionPolicyOutput{}, nil
}
