package organizations

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// handshake is an invitation of an account into an organization.
type handshake struct {
	ID, Organization, Management string
	Target                       string // account
	Party                        api.HandshakeParty
	State                        string // as it was last changed
	Notes                        string `json:",omitempty"`
	FeatureSet                   string
	Master                       known // the management account, as it invited
	Tags                         map[string]string
	Begun, Expires               time.Time
}

// An invitation waits this long, and is kept for the other time after that
// ("DescribeHandshake", AWS Organizations API Reference).
const (
	handshakeLife = 15 * 24 * time.Hour
	handshakeKept = 30 * 24 * time.Hour
)

// state is the state at a time.
func (h *handshake) state(now time.Time) string {
	if h.State == api.HandshakeStateOpen && now.After(h.Expires) {
		return api.HandshakeStateExpired
	}
	return h.State
}

// forgotten reports whether it is told of no more.
func (h *handshake) forgotten(now time.Time) bool { return !h.Expires.Add(handshakeKept).After(now) }

func (s *Service) handshakeOut(h *handshake) *api.Handshake {
	resources := []api.HandshakeResource{
		{Type: api.HandshakeResourceTypeOrganization, Value: h.Organization, Resources: []api.HandshakeResource{
			{Type: api.HandshakeResourceTypeMasterEmail, Value: h.Master.Email},
			{Type: api.HandshakeResourceTypeMasterName, Value: h.Master.Name},
			{Type: api.HandshakeResourceTypeOrganizationFeatureSet, Value: h.FeatureSet},
		}},
		{Type: h.Party.Type, Value: h.Party.Id},
	}
	if h.Notes != "" {
		resources = append(resources, api.HandshakeResource{Type: api.HandshakeResourceTypeNotes, Value: h.Notes})
	}
	o := organization{ID: h.Organization, Management: h.Management}
	return &api.Handshake{
		Id: h.ID, Arn: o.arnOf("handshake", "invite/"+h.ID), State: h.state(s.now()), Action: api.ActionTypeInvite,
		RequestedTimestamp: &h.Begun, ExpirationTimestamp: &h.Expires, Resources: resources,
		Parties: []api.HandshakeParty{{Id: strings.TrimPrefix(h.Organization, "o-"), Type: api.HandshakePartyTypeOrganization}, h.Party},
	}
}

// invited is the account that a party of an invitation stands for.
func invited(tx store.Tx, p *api.HandshakeParty) (string, error) {
	switch p.Type {
	case api.HandshakePartyTypeAccount:
		if !arn.IsAccount(p.Id) {
			return "", invalid("INVALID_PATTERN", "The account id %q is not one of 12 digits.", p.Id)
		}
		return p.Id, nil
	case api.HandshakePartyTypeEmail:
		h, err := emails.Get(tx, strings.ToLower(p.Id))
		if err != nil {
			return "", missing(err, fault.AccountNotFound, "You specified an email address that no account here has.")
		}
		return h.Account, nil
	}
	return "", invalid("INVALID_PARTY_TYPE_TARGET", "You specified the wrong type of entity (account, organization, or email) as a party.")
}

func handshakeBreaks(reason, format string, args ...any) error {
	return fault.New(fault.HandshakeConstraintViolation, format, args...).With("Reason", reason)
}

// InviteAccountToOrganization invites an account.
func (s *Service) InviteAccountToOrganization(ctx context.Context, in *api.InviteAccountToOrganizationInput) (*api.InviteAccountToOrganizationOutput, error) {
	tags, err := mergeTags(ctx, nil, in.Tags)
	if err != nil {
		return nil, err
	}
	out := &api.InviteAccountToOrganizationOutput{}
	err = s.update(ctx, managed, func(tx store.Tx, o *organization) error {
		target, err := invited(tx, in.Target)
		if err != nil {
			return err
		}
		if in, err := organizationOf(tx, target); err != nil || in != nil {
			if err == nil {
				err = handshakeBreaks("ALREADY_IN_AN_ORGANIZATION", "The account that you want to invite is already in an organization.")
			}
			return err
		}
		if err := s.uninvited(tx, o, target); err != nil {
			return err
		}
		master, err := knownAs(tx, o.Management)
		if err != nil {
			return err
		}
		h := &handshake{
			ID: "h-" + idFrom("", 12), Organization: o.ID, Management: o.Management, Target: target, Party: *in.Target,
			State: api.HandshakeStateOpen, Notes: in.Notes, FeatureSet: o.FeatureSet, Master: master, Tags: tags,
			Begun: s.now(), Expires: s.now().Add(handshakeLife),
		}
		out.Handshake = s.handshakeOut(h)
		return handshakes.Put(tx, h.ID, h)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// uninvited refuses a second invitation of an account, and removes those of all
// organizations that are forgotten.
func (s *Service) uninvited(tx store.Tx, o *organization, target string) error {
	var old []string
	for e, err := range handshakes.Scan(tx, "") {
		if err != nil {
			return err
		}
		switch h := e.Value; {
		case h.forgotten(s.now()):
			old = append(old, h.ID)
		case h.Organization == o.ID && h.Target == target && h.state(s.now()) == api.HandshakeStateOpen:
			return fault.New(fault.DuplicateHandshake, "A handshake with the same action and target already exists.")
		}
	}
	for _, id := range old {
		if err := handshakes.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// handshakeOf finds a handshake for one of its parties.
func handshakeOf(ctx context.Context, tx store.Tx, id string) (*handshake, error) {
	h, err := handshakes.Get(tx, id)
	self := auth.From(ctx).Scope.Account
	if errors.Is(err, store.ErrNotFound) || err == nil && h.Target != self && h.Management != self {
		return nil, fault.New(fault.HandshakeNotFound, "You specified a handshake that doesn't exist.")
	}
	return h, err
}

// settle brings an open handshake to its end, by the party that may.
func (s *Service) settle(ctx context.Context, id, state string, byTarget bool, then func(tx store.Tx, h *handshake) error) (*api.Handshake, error) {
	var out *api.Handshake
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		h, err := handshakeOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if by := h.Target == auth.From(ctx).Scope.Account; by != byTarget {
			return noAccess()
		}
		switch now := h.state(s.now()); now {
		case api.HandshakeStateOpen:
		case state:
			return fault.New(fault.HandshakeAlreadyInState, "The specified handshake is already in the requested state.")
		default:
			return fault.New(fault.InvalidHandshakeTransition, "You can't perform the operation on the handshake in its current state, %s.", now)
		}
		if then != nil {
			if err := then(tx, h); err != nil {
				return err
			}
		}
		h.State = state
		out = s.handshakeOut(h)
		return handshakes.Put(tx, h.ID, h)
	})
	return out, err
}

// AcceptHandshake lets the caller's account into the organization.
func (s *Service) AcceptHandshake(ctx context.Context, in *api.AcceptHandshakeInput) (*api.AcceptHandshakeOutput, error) {
	h, err := s.settle(ctx, in.HandshakeId, api.HandshakeStateAccepted, true, func(tx store.Tx, h *handshake) error {
		already, err := organizationOf(tx, h.Target)
		if err != nil {
			return err
		}
		if already != nil {
			return handshakeBreaks("ALREADY_IN_AN_ORGANIZATION", "The account is already in an organization.")
		}
		o, err := organizationsByID.Get(tx, h.Organization)
		if err != nil {
			return err
		}
		n, err := countOf(tx, accounts, o.ID+"/")
		if err != nil {
			return err
		}
		if n >= maxAccounts {
			return handshakeBreaks("ACCOUNT_NUMBER_LIMIT_EXCEEDED", "The organization has the allowed number of accounts already.")
		}
		who, err := knownAs(tx, h.Target)
		if err != nil {
			return err
		}
		return join(tx, o, &account{
			ID: h.Target, Name: who.Name, Email: who.Email, Parent: o.Root, State: api.AccountStateActive,
			Method: api.AccountJoinedMethodInvited, Joined: s.now(), Tags: h.Tags,
		})
	})
	if err != nil {
		return nil, err
	}
	return &api.AcceptHandshakeOutput{Handshake: h}, nil
}

// DeclineHandshake refuses an invitation.
func (s *Service) DeclineHandshake(ctx context.Context, in *api.DeclineHandshakeInput) (*api.DeclineHandshakeOutput, error) {
	h, err := s.settle(ctx, in.HandshakeId, api.HandshakeStateDeclined, true, nil)
	if err != nil {
		return nil, err
	}
	return &api.DeclineHandshakeOutput{Handshake: h}, nil
}

// CancelHandshake takes an invitation back.
func (s *Service) CancelHandshake(ctx context.Context, in *api.CancelHandshakeInput) (*api.CancelHandshakeOutput, error) {
	h, err := s.settle(ctx, in.HandshakeId, api.HandshakeStateCanceled, false, nil)
	if err != nil {
		return nil, err
	}
	return &api.CancelHandshakeOutput{Handshake: h}, nil
}

// cancelAll takes the invitations of an organization that ends back.
func cancelAll(tx store.Tx, o *organization) error {
	var open []*handshake
	for e, err := range handshakes.Scan(tx, "") {
		if err != nil {
			return err
		}
		if e.Value.Organization == o.ID && e.Value.State == api.HandshakeStateOpen {
			open = append(open, e.Value)
		}
	}
	for _, h := range open {
		h.State = api.HandshakeStateCanceled
		if err := handshakes.Put(tx, h.ID, h); err != nil {
			return err
		}
	}
	return nil
}

// DescribeHandshake describes a handshake to one of its parties.
func (s *Service) DescribeHandshake(ctx context.Context, in *api.DescribeHandshakeInput) (*api.DescribeHandshakeOutput, error) {
	out := &api.DescribeHandshakeOutput{}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		h, err := handshakeOf(ctx, tx, in.HandshakeId)
		if err == nil {
			out.Handshake = s.handshakeOut(h)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) listHandshakes(tx store.Tx, filter *api.HandshakeFilter, token string, most *int32, mine func(*handshake) bool) ([]api.Handshake, string, error) {
	none := filter != nil && (filter.ActionType != "" && filter.ActionType != api.ActionTypeInvite || filter.ParentHandshakeId != "")
	page, next, err := pageOf(tx, handshakes, "", token, most, func(h *handshake) bool {
		return !none && mine(h) && !h.forgotten(s.now())
	})
	out := []api.Handshake{}
	for _, h := range page {
		out = append(out, *s.handshakeOut(h))
	}
	return out, next, err
}

// ListHandshakesForAccount lists the invitations of the caller's account.
func (s *Service) ListHandshakesForAccount(ctx context.Context, in *api.ListHandshakesForAccountInput) (*api.ListHandshakesForAccountOutput, error) {
	out := &api.ListHandshakesForAccountOutput{}
	self := auth.From(ctx).Scope.Account
	err := s.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		out.Handshakes, out.NextToken, err = s.listHandshakes(tx, in.Filter, in.NextToken, in.MaxResults, func(h *handshake) bool { return h.Target == self })
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListHandshakesForOrganization lists the invitations that an organization sent.
func (s *Service) ListHandshakesForOrganization(ctx context.Context, in *api.ListHandshakesForOrganizationInput) (*api.ListHandshakesForOrganizationOutput, error) {
	out := &api.ListHandshakesForOrganizationOutput{}
	err := s.view(ctx, readable, func(tx store.Tx, o *organization) (err error) {
		out.Handshakes, out.NextToken, err = s.listHandshakes(tx, in.Filter, in.NextToken, in.MaxResults, func(h *handshake) bool { return h.Organization == o.ID })
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
