package wire

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/known"
)

// restRoute is the HTTP binding of an operation.
type restRoute struct {
	name    string
	method  string
	steps   []string // "functions", "{FunctionName}", "{Key+}"
	query   [][2]string
	needs   []string
	literal int // steps that are no labels
	built   bool
}

// compileRoutes reads the bindings of all operations, built or not.
func (s *service) compileRoutes() []restRoute {
	ops := make([]known.Operation, 0, 64)
	if s.known != nil {
		ops = append(ops, s.known.Operations()...)
	} else {
		for i := range s.desc.Operations {
			op := &s.desc.Operations[i]
			ops = append(ops, known.Operation{Name: op.Name, Method: op.Method, URI: op.URI})
		}
	}
	routes := make([]restRoute, 0, len(ops))
	for _, op := range ops {
		path, query, _ := strings.Cut(op.URI, "?")
		r := restRoute{name: op.Name, method: op.Method, needs: op.Needs, built: s.operation(op.Name) != nil}
		r.steps = strings.Split(strings.Trim(path, "/"), "/")
		if path == "/" {
			r.steps = nil
		}
		for _, step := range r.steps {
			if !strings.HasPrefix(step, "{") {
				r.literal++
			}
		}
		for pair := range strings.SplitSeq(query, "&") {
			if name, value, _ := strings.Cut(pair, "="); name != "" {
				r.query = append(r.query, [2]string{name, value})
			}
		}
		routes = append(routes, r)
	}
	return routes
}

// restRequest is what routes are matched with.
type restRequest struct {
	method string
	steps  []string // of the escaped path; a trailing slash leaves an empty one
	query  url.Values
	header http.Header
}

// matchREST finds the operation that a request is for. Of several, that with
// the most literal steps counts, then the most of what sets it apart.
func (s *service) matchREST(q *restRequest) (name string, labels map[string]string) {
	best, bestScore := -1, -1
	routes := s.routes()
	for pass := range 2 { // the second pass forgives missing parameters
		for i := range routes {
			r := &routes[i]
			if r.method != q.method || !r.fits(q.steps) || !r.selects(q) || pass == 0 && !r.needed(q) && !r.chosen() {
				continue
			}
			score := r.literal*100 + len(r.query)*10 + len(r.needs)*2
			if pass == 1 {
				score = r.literal*100 + len(r.query)*10 - len(r.needs)*2
			}
			if r.built {
				score++
			}
			// S3 has two names for some requests: the longer one is today's
			// (GetBucketLifecycle, GetBucketLifecycleConfiguration).
			if score > bestScore || best >= 0 && score == bestScore && strings.HasPrefix(r.name, routes[best].name) {
				best, bestScore = i, score
			}
		}
		if best >= 0 {
			return routes[best].name, routes[best].labels(q.steps)
		}
	}
	return "", nil
}

func (r *restRoute) greedy() bool {
	return len(r.steps) > 0 && strings.HasSuffix(r.steps[len(r.steps)-1], "+}")
}

func (r *restRoute) fits(steps []string) bool {
	n := len(r.steps)
	if r.greedy() {
		if len(steps) < n || len(steps) == n && steps[n-1] == "" {
			return false
		}
	} else {
		if len(steps) == n+1 && steps[n] == "" {
			steps = steps[:n]
		}
		if len(steps) != n {
			return false
		}
	}
	for i, step := range r.steps {
		if strings.HasPrefix(step, "{") {
			if steps[i] == "" && !strings.HasSuffix(step, "+}") {
				return false
			}
		} else if step != steps[i] {
			return false
		}
	}
	return true
}

func (r *restRoute) selects(q *restRequest) bool {
	for _, c := range r.query {
		if v, ok := q.query[c[0]]; !ok || c[1] != "" && v[0] != c[1] {
			return false
		}
	}
	return true
}

// chosen reports whether a request that fits says by a value that it is for this
// operation, whatever it lacks.
func (r *restRoute) chosen() bool {
	return slices.ContainsFunc(r.query, func(c [2]string) bool { return c[1] != "" })
}

func (r *restRoute) needed(q *restRequest) bool {
	for _, need := range r.needs {
		if name, isHeader := strings.CutSuffix(need, ":"); isHeader {
			if q.header.Get(name) == "" {
				return false
			}
		} else if !q.query.Has(need) {
			return false
		}
	}
	return true
}

// labels are the path's labels, unescaped.
func (r *restRoute) labels(steps []string) map[string]string {
	labels := map[string]string{}
	for i, step := range r.steps {
		if !strings.HasPrefix(step, "{") {
			continue
		}
		name := strings.Trim(step, "{+}")
		value := steps[i]
		if strings.HasSuffix(step, "+}") {
			value = strings.Join(steps[i:], "/")
		}
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		labels[name] = value
	}
	return labels
}

// bucketOf is the bucket that a host names ("bucket.s3.localhost",
// "bucket.localhost"), or "". An address names none, nor does the service's
// own host ("s3.localhost", "s3.us-east-1.localhost"). It is asked only once the
// service is S3. rest is the host without the bucket.
func (h *Handler) bucketOf(hostport string) (bucket, rest string) {
	host, port := hostport, ""
	if i := strings.LastIndexByte(hostport, ':'); i >= 0 && !strings.HasSuffix(hostport, "]") {
		host, port = hostport[:i], hostport[i:]
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "", hostport
	}
	if strings.HasPrefix(host, "s3.") || strings.HasPrefix(host, "s3-") {
		return "", hostport
	}
	for _, mark := range []string{".s3.", ".s3-"} {
		if i := strings.LastIndex(host, mark); i > 0 {
			return host[:i], host[i+1:] + port
		}
	}
	for _, domain := range append([]string{"localhost"}, h.cfg.Domains...) {
		if sub, ok := strings.CutSuffix(host, "."+domain); ok {
			return sub, domain + port
		}
	}
	return "", hostport
}

// serviceOfHost finds the service that a host names ("sqs.us-east-1.localhost",
// "data-servicediscovery.localhost"), or nil.
func (h *Handler) serviceOfHost(host string) *service {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if strings.Contains(host, ".s3.") || strings.Contains(host, ".s3-") {
		return h.byName["s3"]
	}
	first, rest, _ := strings.Cut(host, ".")
	if first == "api" { // api.ecr.us-east-1...
		second, _, _ := strings.Cut(rest, ".")
		first += "." + second
	}
	if rest == "" {
		return nil
	}
	if s := h.byHost[first]; s != nil {
		return s
	}
	for _, prefix := range []string{"data-", "sync-", "streaming-"} {
		if name, ok := strings.CutPrefix(first, prefix); ok {
			return h.byHost[name]
		}
	}
	return nil
}

// steps splits an escaped path.
func steps(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func restProtocol(d *api.Service) protocol {
	if d.Speaks(api.RESTJSON) {
		return restJSON{}
	}
	return restXML{}
}
