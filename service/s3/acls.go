package s3

import (
	"context"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
)

func malformedACL() error {
	return fault.New(fault.MalformedACL, "The XML you provided was not well-formed or did not validate against our published schema")
}

// readList is the list that a PutBucketAcl or PutObjectAcl brings, in its body
// or its headers, for what owner has in the bucket.
func readList(r aclRequest, body *api.AccessControlPolicy, owner string, b *bucket) ([]grant, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if body == nil {
		if !r.given() {
			return nil, fault.New(fault.MissingSecurityHeader, "Your request was missing a required header").With("MissingHeaderName", "x-amz-acl")
		}
		return r.grants(owner, b), nil
	}
	if r.given() {
		return nil, fault.New(fault.UnexpectedContent, "This request contains unsupported content")
	}
	if body.Owner == nil || body.Owner.ID == "" {
		return nil, malformedACL()
	}
	if body.Owner.ID != ownerID(owner) {
		return nil, accessDenied()
	}
	if len(body.Grants) > maxGrants {
		return nil, malformedACL()
	}
	list := []grant{}
	for _, given := range body.Grants {
		who := given.Grantee
		switch given.Permission {
		case fullControl, grantRead, grantWrite, grantReadACP, grantSetACP:
		default:
			return nil, malformedACL()
		}
		if who == nil {
			return nil, malformedACL()
		}
		var g grant
		var err error
		switch who.Type {
		case "CanonicalUser":
			g, err = newGrant("id", who.ID, given.Permission)
		case "Group":
			g, err = newGrant("uri", who.URI, given.Permission)
		case "AmazonCustomerByEmail":
			g, err = newGrant("emailAddress", who.EmailAddress, given.Permission)
		default:
			err = malformedACL()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

// onlyOwners reports whether a list says no more than that the owner has all.
func onlyOwners(list []grant, owner string) bool {
	return len(list) == 1 && list[0] == ownersGrant(owner)[0]
}

// GetBucketAcl gives the bucket's list.
func (s *Service) GetBucketAcl(ctx context.Context, in *api.GetBucketAclInput) (*api.GetBucketAclOutput, error) {
	b, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.GetBucketAclOutput{Owner: owner(b.Account), Grants: shownGrants(b.grants())}, nil
}

// PutBucketAcl sets the bucket's list. Where lists do not count, only the
// owner's full control is taken.
func (s *Service) PutBucketAcl(ctx context.Context, in *api.PutBucketAclInput) (*api.PutBucketAclOutput, error) {
	r := aclRequest{in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP}
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		list, err := readList(r, in.AccessControlPolicy, b.Account, b)
		if err != nil {
			return err
		}
		if !b.aclsOn() {
			if onlyOwners(list, b.Account) {
				return nil
			}
			return aclNotSupported()
		}
		if err := blockPublic(b, list); err != nil {
			return err
		}
		b.Grants = list
		return nil
	})
	return &api.PutBucketAclOutput{}, err
}

// GetObjectAcl gives the object's list.
func (s *Service) GetObjectAcl(ctx context.Context, in *api.GetObjectAclInput) (*api.GetObjectAclOutput, error) {
	b, o, err := s.object(ctx, target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "GET"})
	if err != nil {
		return nil, err
	}
	a := o.access(b)
	return &api.GetObjectAclOutput{Owner: owner(a.Owner), Grants: shownGrants(a.Grants)}, nil
}

// PutObjectAcl sets the object's list.
func (s *Service) PutObjectAcl(ctx context.Context, in *api.PutObjectAclInput) (*api.PutObjectAclOutput, error) {
	r := aclRequest{in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP}
	var b *bucket
	err := s.update(ctx, nil, func(c *change) (err error) {
		t := target{in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner, "PUT"}
		if b, err = lookupVersion(ctx, c, t); err != nil {
			return err
		}
		f, err := findToChange(c, b, t)
		if err != nil {
			return err
		}
		if err := belongs(ctx, b, f.object); err != nil {
			return err
		}
		a := f.object.access(b)
		list, err := readList(r, in.AccessControlPolicy, a.Owner, b)
		if err != nil {
			return err
		}
		if !b.aclsOn() {
			if onlyOwners(list, a.Owner) {
				return nil
			}
			return aclNotSupported()
		}
		if err := blockPublic(b, list); err != nil {
			return err
		}
		f.object.Access = &access{a.Owner, list}
		if err := f.put(c); err != nil {
			return err
		}
		return c.emit(ctx, b, eventACLPut, f.object)
	})
	if err != nil {
		return nil, s.conceal(ctx, b, err)
	}
	return &api.PutObjectAclOutput{}, nil
}
