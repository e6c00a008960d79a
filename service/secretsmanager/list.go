package secretsmanager

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

const maxPage = 100

func limitOf(asked *int32, most int) int {
	if asked == nil || *asked < 1 {
		return most
	}
	return min(int(*asked), most)
}

// listing is what a list of secrets is made by.
type listing struct {
	filters  []api.Filter
	deleted  bool   // those that are to be deleted, too
	sortBy   string // api.SortByType...; "": by creation
	desc     bool
	token    string
	limit    int
	position *position
}

// position is where a listing goes on: behind the secret that it names. Its JSON
// is the token, with the order that it is one of.
type position struct {
	By   string    `json:"b,omitempty"`
	Desc bool      `json:"d,omitempty"`
	At   time.Time `json:"t,omitzero"`
	Name string    `json:"n"`
}

func (l *listing) positionOf(sec *secret) position {
	p := position{By: l.sortBy, Desc: l.desc, Name: sec.Name}
	switch l.sortBy {
	case api.SortByTypeName:
	case api.SortByTypeLastAccessedDate:
		p.At = sec.Accessed
	case api.SortByTypeLastChangedDate:
		p.At = sec.Changed
	default:
		p.At = sec.Created
	}
	return p
}

func (l *listing) compare(a, b position) int {
	n := cmp.Or(a.At.Compare(b.At), strings.Compare(a.Name, b.Name))
	if l.desc {
		return -n
	}
	return n
}

func (l *listing) open() error {
	if l.token == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(l.token)
	l.position = &position{}
	if err != nil || json.Unmarshal(b, l.position) != nil || l.position.By != l.sortBy || l.position.Desc != l.desc {
		return badToken()
	}
	return nil
}

// found is a secret of a listing.
type found struct {
	place  place
	secret *secret
}

// list lists secrets of the caller's account.
func (s *Service) list(ctx context.Context, l listing) (page []found, next string, err error) {
	if err := l.open(); err != nil {
		return nil, "", err
	}
	keep, err := parseFilters(l.filters)
	if err != nil {
		return nil, "", err
	}
	scope := auth.From(ctx).Scope
	var all []found
	err = s.store.View(ctx, func(tx store.Tx) error {
		all = nil
		for e, err := range secrets.Scan(tx, scope.Key()+"/") {
			if err != nil {
				return err
			}
			switch sec := e.Value; {
			case !l.deleted && !sec.Deletion.IsZero(), !keep.match(sec):
			case l.position != nil && l.compare(l.positionOf(sec), *l.position) <= 0:
			default:
				all = append(all, found{place{scope, sec.Name}, sec})
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(all, func(a, b found) int { return l.compare(l.positionOf(a.secret), l.positionOf(b.secret)) })
	if len(all) > l.limit {
		all = all[:l.limit]
		b, err := json.Marshal(l.positionOf(all[l.limit-1].secret))
		if err != nil {
			return nil, "", err
		}
		next = base64.RawURLEncoding.EncodeToString(b)
	}
	return all, next, nil
}

// ListSecrets lists the account's secrets.
func (s *Service) ListSecrets(ctx context.Context, in *api.ListSecretsInput) (*api.ListSecretsOutput, error) {
	l := listing{
		filters: in.Filters, deleted: yes(in.IncludePlannedDeletion), sortBy: in.SortBy, desc: in.SortOrder == api.SortOrderTypeDesc,
		token: in.NextToken, limit: limitOf(in.MaxResults, maxPage),
	}
	if l.sortBy == api.SortByTypeCreatedDate {
		l.sortBy = ""
	}
	page, next, err := s.list(ctx, l)
	if err != nil {
		return nil, err
	}
	out := &api.ListSecretsOutput{SecretList: make([]api.SecretListEntry, 0, len(page)), NextToken: next}
	for _, f := range page {
		sec := f.secret
		entry := api.SecretListEntry{
			ARN: f.place.arn(sec.Suffix), Name: sec.Name, Description: sec.Description, KmsKeyId: sec.KeyID, Tags: sec.Tags,
			CreatedDate: &sec.Created, LastChangedDate: &sec.Changed, LastAccessedDate: moment(sec.Accessed), DeletedDate: moment(sec.Deletion),
			SecretVersionsToStages: sec.stages(),
		}
		if r := sec.Rotation; r != nil {
			entry.RotationEnabled, entry.RotationLambdaARN, entry.RotationRules = &r.Enabled, r.Lambda, &r.Rules
			entry.LastRotatedDate, entry.NextRotationDate = moment(r.Last), moment(r.Next)
		}
		out.SecretList = append(out.SecretList, entry)
	}
	return out, nil
}
