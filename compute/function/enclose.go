package function

import (
	"context"
	"fmt"

	"github.com/slipway/slipway/compute"
)

// enclosure makes a blank enclosure, or takes one that is kept ready.
func (h *Host) enclosure(spec *Spec) (compute.Enclosure, error) {
	if e := h.spare.take(spec.Ephemeral); e != nil {
		return e, nil
	}
	ctx, cancel := context.WithTimeout(h.ctx, startPatience)
	defer cancel()
	select {
	case h.starts <- struct{}{}:
		defer func() { <-h.starts }()
	case <-ctx.Done():
		if h.ctx.Err() != nil {
			return nil, ErrStopped
		}
		return nil, fmt.Errorf("function: no execution environment within %v", startPatience)
	}
	e, err := h.make.Enclose(ctx, compute.EnclosureSpec{ID: "fn-" + randomHex(8), Temporary: spec.Ephemeral})
	if h.ctx.Err() != nil && err != nil {
		return nil, ErrStopped
	}
	return e, err
}

// blanks are enclosures that are kept ready.
type blanks struct{}

func (*blanks) take(int64) compute.Enclosure { return nil }
func (*blanks) close()                       {}
