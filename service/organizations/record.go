package organizations

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/api/organizations"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// organization is an organization with its root, of which there is one.
type organization struct {
	ID         string
	Management string // account
	FeatureSet string
	Root       string
	RootTags   map[string]string    `json:",omitempty"`
	Types      []string             `json:",omitempty"` // policy types enabled
	Services   map[string]time.Time `json:",omitempty"` // with access, since when
	Token      string               `json:",omitempty"`
}

// unit is an organizational unit.
type unit struct {
	ID, Name, Parent string
	Tags             map[string]string `json:",omitempty"`
	Token            string            `json:",omitempty"`
}

// account is an account in an organization.
type account struct {
	ID, Name, Email string
	Parent          string
	State           string // api.AccountState...
	Method          string
	Joined          time.Time
	Tags            map[string]string    `json:",omitempty"`
	Delegated       map[string]time.Time `json:",omitempty"` // services it administers, since when
}

// membership is which organization an account is in.
type membership struct{ Organization string }

// known is what is remembered of an account in or out of organizations.
type known struct{ Name, Email string }

// holder is the account of an e-mail address.
type holder struct{ Account string }

// The records. What is of one organization is keyed by its id first.
var (
	organizationsByID = store.NewCollection[organization]("organizations/organization")
	memberships       = store.NewCollection[membership]("organizations/member") // by account
	knowns            = store.NewCollection[known]("organizations/known")       // by account
	emails            = store.NewCollection[holder]("organizations/email")      // by address, in lower case
	units             = store.NewCollection[unit]("organizations/unit")
	accounts          = store.NewCollection[account]("organizations/account")
	policies          = store.NewCollection[scp]("organizations/policy")
	attachments       = store.NewCollection[attachment]("organizations/attachment") // org/target/policy
	requests          = store.NewCollection[request]("organizations/request")
	handshakes        = store.NewCollection[handshake]("organizations/handshake") // by id alone
)

// Records begin the keys of all that changes which policies bind whom.
const Records = "organizations/"

// organizationOf is the organization that an account is in, nil for none.
func organizationOf(tx store.Tx, account string) (*organization, error) {
	m, err := memberships.Get(tx, account)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return organizationsByID.Get(tx, m.Organization)
}

// knownAs is the name and address of an account. One that nobody has named has its
// id for a name, and an address that leads nowhere.
func knownAs(tx store.Tx, account string) (known, error) {
	k, err := knowns.Get(tx, account)
	if errors.Is(err, store.ErrNotFound) {
		return known{Name: account, Email: "account-" + account + "@slipway.invalid"}, nil
	}
	if err != nil {
		return known{}, err
	}
	return *k, nil
}

// join puts an account into an organization.
func join(tx store.Tx, o *organization, a *account) error {
	if err := memberships.Insert(tx, a.ID, &membership{o.ID}); err != nil {
		return err
	}
	if err := accounts.Put(tx, o.ID+"/"+a.ID, a); err != nil {
		return err
	}
	return attachDefault(tx, o, a.ID)
}

// part takes an account out of its organization.
func part(tx store.Tx, o *organization, account string) error {
	if err := detachAll(tx, o, account); err != nil {
		return err
	}
	if err := memberships.Delete(tx, account); err != nil {
		return err
	}
	return accounts.Delete(tx, o.ID+"/"+account)
}

// pathOf is the chain of parents from the root down to a unit or the root itself.
func pathOf(tx store.Tx, o *organization, parent string) ([]string, error) {
	var up []string
	for parent != o.Root {
		u, err := units.Get(tx, o.ID+"/"+parent)
		if err != nil {
			return nil, err
		}
		up = append(up, u.ID)
		parent = u.Parent
	}
	up = append(up, o.Root)
	slices.Reverse(up)
	return up, nil
}

// pathText is a path as condition keys and descriptions tell it.
func pathText(o *organization, path []string, last ...string) string {
	return o.ID + "/" + strings.Join(append(slices.Clip(path), last...), "/") + "/"
}

// isParent reports whether an id is the root or a unit of the organization.
func isParent(tx store.Tx, o *organization, id string) (bool, error) {
	if id == o.Root {
		return true, nil
	}
	_, err := units.Get(tx, o.ID+"/"+id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (o *organization) enabled(kind string) bool { return slices.Contains(o.Types, kind) }

func (o *organization) allFeatures() bool {
	return o.FeatureSet == organizations.OrganizationFeatureSetAll
}

// idFrom makes an id of n small letters and digits, the same for one token.
func idFrom(token string, n int) string {
	if token == "" {
		return strings.ToLower(arn.NewSuffix(n))
	}
	return strings.ToLower(arn.SuffixFrom(token, n))
}
