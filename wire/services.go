package wire

import (
	"sync"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/known"
)

// service is one that the handler knows: mounted, or by its name only.
type service struct {
	desc    *api.Service // without operations where it is not mounted
	known   *known.Service
	impl    any
	maxBody int64
	bodies  map[string]int64 // of operations whose bounds are others
	routes  func() []restRoute
}

func (h *Handler) index() {
	h.byScope = map[string][]*service{}
	h.byTarget = map[string]*service{}
	h.byHost = map[string]*service{}
	h.byName = map[string]*service{}
	for _, k := range known.Services() {
		h.add(&service{desc: &k.Service, known: k, maxBody: h.cfg.MaxBody})
	}
	for _, m := range h.cfg.Services {
		s := h.byName[m.Desc.Name]
		if s == nil {
			s = &service{desc: m.Desc, maxBody: h.cfg.MaxBody}
			h.add(s)
		}
		s.desc, s.impl = m.Desc, m.Impl
		if m.MaxBody > 0 {
			s.maxBody = m.MaxBody
		}
		s.bodies = m.Bodies
	}
}

func (h *Handler) add(s *service) {
	s.routes = sync.OnceValue(s.compileRoutes)
	d := s.desc
	h.services = append(h.services, s)
	h.byName[d.Name] = s
	h.byScope[d.SigningName] = append(h.byScope[d.SigningName], s)
	if d.TargetPrefix != "" {
		h.byTarget[d.TargetPrefix] = s
	}
	for _, label := range []string{d.EndpointPrefix, d.SigningName, d.Name} {
		if h.byHost[label] == nil {
			h.byHost[label] = s
		}
	}
}

// rest reports whether operations are told apart by method and path.
func (s *service) rest() bool { return s.desc.Speaks(api.RESTJSON) || s.desc.Speaks(api.RESTXML) }

// has reports whether AWS has an operation of that name, built here or not.
func (s *service) has(operation string) bool {
	return s.desc.Operation(operation) != nil || s.known != nil && s.known.Has(operation)
}

// operation is the description of an operation that is mounted, or nil.
func (s *service) operation(name string) *api.Operation {
	if s.impl == nil {
		return nil
	}
	return s.desc.Operation(name)
}
