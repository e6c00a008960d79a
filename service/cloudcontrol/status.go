package cloudcontrol

import (
	"context"
	"errors"
	"slices"

	api "github.com/slipway/slipway/api/cloudcontrol"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// GetResourceRequestStatus tells how far a request is.
func (s *Service) GetResourceRequestStatus(ctx context.Context, in *api.GetResourceRequestStatusInput) (*api.GetResourceRequestStatusOutput, error) {
	out := &api.GetResourceRequestStatusOutput{}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		r, err := find(tx, auth.From(ctx).Scope, in.RequestToken)
		if err != nil {
			return err
		}
		if out.ProgressEvent, err = s.event(r, true); err != nil {
			return err
		}
		out.HooksProgressEvent, err = s.hooksProgress(tx, r)
		return err
	})
	return out, err
}

// ListResourceRequests lists the requests of the last seven days, the newest first.
func (s *Service) ListResourceRequests(ctx context.Context, in *api.ListResourceRequestsInput) (*api.ListResourceRequestsOutput, error) {
	keep := func(*request) bool { return true }
	if f := in.ResourceRequestStatusFilter; f != nil {
		keep = func(r *request) bool {
			return (len(f.Operations) == 0 || slices.Contains(f.Operations, r.Operation)) &&
				(len(f.OperationStatuses) == 0 || slices.Contains(f.OperationStatuses, r.Status))
		}
	}
	out := &api.ListResourceRequestsOutput{ResourceRequestStatusSummaries: []api.ProgressEvent{}}
	err := s.cfg.Store.View(ctx, func(tx store.Tx) error {
		token, err := openToken(listingOfRequests, in.NextToken)
		if err != nil {
			return err
		}
		part, next, err := requests.Page(tx, auth.From(ctx).Scope.Key()+"/", token, sizeOf(in.MaxResults), keep)
		if errors.Is(err, store.ErrBadToken) {
			return fault.New(fault.ValidationException, "NextToken is not one of this listing")
		}
		if err != nil {
			return err
		}
		if next != "" {
			out.NextToken = makeToken(listingOfRequests, next)
		}
		for _, entry := range part {
			e, err := s.event(entry.Value, false)
			if err != nil {
				return err
			}
			out.ResourceRequestStatusSummaries = append(out.ResourceRequestStatusSummaries, *e)
		}
		return nil
	})
	return out, err
}

// listingOfRequests ties tokens to ListResourceRequests; they have the characters
// that its NextToken may have.
const listingOfRequests = "requests"

// CancelResourceRequest keeps a request from acting. One that acts already goes on
// to its end: stopping amid an action would leave what nobody knows of.
func (s *Service) CancelResourceRequest(ctx context.Context, in *api.CancelResourceRequestInput) (*api.CancelResourceRequestOutput, error) {
	out := &api.CancelResourceRequestOutput{}
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		r, err := find(tx, auth.From(ctx).Scope, in.RequestToken)
		switch {
		case err != nil:
			return err
		case r.ended():
			return fault.New(fault.ConcurrentModificationException, "The request %s is in status %s and cannot be canceled.", r.Token, r.Status)
		}
		r.Status = cancelRequested
		if err := requests.Put(tx, r.key(), r); err != nil {
			return err
		}
		out.ProgressEvent, err = s.event(r, true)
		return err
	})
	return out, err
}
