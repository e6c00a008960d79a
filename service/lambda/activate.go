package lambda

import (
	"context"
	"errors"
	"fmt"
	"sync"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

// parallelActivations bounds how many archives are unpacked at once.
const parallelActivations = 4

// activateAll makes the versions active, or failed, that wait for it: their code is
// unpacked, and their runtime is looked for on this host.
func (s *Service) activateAll(ctx context.Context) error {
	var waiting []store.Entry[version]
	err := s.store.View(ctx, func(tx store.Tx) error {
		waiting = waiting[:0]
		for e, err := range versions.ByIndex(tx, "unsettled", unsettled) {
			if err != nil {
				return err
			}
			waiting = append(waiting, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(waiting))
	room := make(chan struct{}, parallelActivations)
	for i, e := range waiting {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			errs[i] = s.settleVersion(ctx, e)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// settleVersion decides one version, as it was read.
func (s *Service) settleVersion(ctx context.Context, e store.Entry[version]) error {
	reason, code, err := s.prepare(ctx, &e.Value.settings)
	if err != nil {
		return fmt.Errorf("activate %s: %w", e.Key, err)
	}
	p := placeOf(e.Key)
	err = s.store.Update(ctx, func(tx store.Tx) error {
		now, err := versions.Entry(tx, e.Key)
		if errors.Is(err, store.ErrNotFound) || err == nil && now.Revision != e.Revision {
			// Deleted, or changed meanwhile: the change has woken the loop. A policy or
			// a publication changes the record, too.
			if err == nil {
				s.activate.Wake()
			}
			return nil
		}
		if err != nil {
			return err
		}
		now.Value.outcome(reason, code)
		return versions.Put(tx, e.Key, now.Value)
	})
	if err == nil && versionOf(e.Key) == latest {
		s.retire(p, latest)
	}
	return err
}

// outcome writes down how a creation or an update ended.
func (v *version) outcome(reason, code string) {
	updating := v.Update.Is == api.LastUpdateStatusInProgress
	switch {
	case reason == "":
		v.State, v.Update, v.Serving = activeState, successful, nil
	case updating:
		v.Update = status{Is: api.LastUpdateStatusFailed, Reason: reason, Code: code}
	default:
		v.State, v.Update = status{Is: api.StateFailed, Reason: reason, Code: code}, status{Is: api.LastUpdateStatusFailed, Reason: reason, Code: code}
	}
	v.Revision = arn.NewUUID()
}

// prepare makes sure that settings can run here. reason is why not.
func (s *Service) prepare(ctx context.Context, to *settings) (reason, code string, err error) {
	missing, err := s.lacks(to.Runtime)
	if err != nil {
		return "", "", err
	}
	if missing != "" {
		return fmt.Sprintf("This host cannot run %s: %s", to.Runtime, missing), api.StateReasonCodeInvalidRuntime, nil
	}
	for _, file := range to.files() {
		if _, err := s.code.unpack(ctx, file); err != nil {
			if isBad(err) {
				return "The code could not be unpacked: " + err.Error(), api.StateReasonCodeInvalidZipFileException, nil
			}
			return "", "", err
		}
	}
	return "", "", nil
}
