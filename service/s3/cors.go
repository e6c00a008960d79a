package s3

import (
	"context"
	"errors"
	"strings"

	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// corsConfigs are the rules of cross-origin requests, by bucket.
var corsConfigs = store.NewCollection[api.CORSConfiguration]("s3/cors")

const (
	maxCORSRules = 100
	maxRuleID    = 255
)

var corsMethods = map[string]bool{"GET": true, "PUT": true, "POST": true, "DELETE": true, "HEAD": true}

// checkCORS checks rules as PutBucketCors does.
func checkCORS(cfg *api.CORSConfiguration) error {
	if cfg == nil || len(cfg.CORSRules) == 0 {
		return malformedXML()
	}
	if len(cfg.CORSRules) > maxCORSRules {
		return invalidRequest("The number of CORS rules should not exceed allowed limit of %d rules.", maxCORSRules)
	}
	ids := map[string]bool{}
	for _, r := range cfg.CORSRules {
		if len(r.AllowedMethods) == 0 || len(r.AllowedOrigins) == 0 {
			return malformedXML()
		}
		for _, m := range r.AllowedMethods {
			if !corsMethods[m] {
				return invalidRequest("Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
			}
		}
		for _, o := range r.AllowedOrigins {
			if strings.Count(o, "*") > 1 {
				return invalidRequest("AllowedOrigin %q can not have more than one wildcard.", o)
			}
		}
		for _, h := range r.AllowedHeaders {
			if strings.Count(h, "*") > 1 {
				return invalidRequest("AllowedHeader %q can not have more than one wildcard.", h)
			}
		}
		for _, h := range r.ExposeHeaders {
			if strings.Contains(h, "*") {
				return invalidRequest("ExposeHeader %q contains wildcard. We currently do not support wildcard for ExposeHeader.", h)
			}
		}
		switch {
		case len(r.ID) > maxRuleID:
			return invalidRequest("ID length should not exceed allowed limit of %d characters", maxRuleID)
		case r.ID != "" && ids[r.ID]:
			return invalidRequest("Rule ID must be unique. Found same ID for more than one rule")
		case value(r.MaxAgeSeconds) < 0:
			return malformedXML()
		}
		ids[r.ID] = true
	}
	return nil
}

// PutBucketCors sets the bucket's rules of cross-origin requests.
func (s *Service) PutBucketCors(ctx context.Context, in *api.PutBucketCorsInput) (*api.PutBucketCorsOutput, error) {
	if _, err := s.bucket(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if err := checkCORS(in.CORSConfiguration); err != nil {
		return nil, err
	}
	err := s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		return corsConfigs.Put(c, b.Name, in.CORSConfiguration)
	})
	return &api.PutBucketCorsOutput{}, err
}

// setting reads a record of a bucket's settings, or gives the error of having none.
func setting[T any](ctx context.Context, s *Service, of *store.Collection[T], name, expected, code, message string) (*T, error) {
	var out *T
	err := s.store.View(ctx, func(tx store.Tx) error {
		b, err := lookup(ctx, tx, name, expected, "")
		if err != nil {
			return err
		}
		out, err = of.Get(tx, b.Name)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(code, "%s", message).With("BucketName", b.Name)
		}
		return err
	})
	return out, err
}

// GetBucketCors gives the bucket's rules.
func (s *Service) GetBucketCors(ctx context.Context, in *api.GetBucketCorsInput) (*api.GetBucketCorsOutput, error) {
	cfg, err := setting(ctx, s, corsConfigs, in.Bucket, in.ExpectedBucketOwner, fault.CORSConfigurationNotFound, "The CORS configuration does not exist")
	if err != nil {
		return nil, err
	}
	return &api.GetBucketCorsOutput{CORSRules: cfg.CORSRules}, nil
}

// DeleteBucketCors removes the rules; removing none is no error.
func (s *Service) DeleteBucketCors(ctx context.Context, in *api.DeleteBucketCorsInput) (*api.DeleteBucketCorsOutput, error) {
	err := s.changeSettings(ctx, in.Bucket, in.ExpectedBucketOwner, func(c *change, b *bucket) error {
		return ignoreNotFound(corsConfigs.Delete(c, b.Name))
	})
	return &api.DeleteBucketCorsOutput{}, err
}

// corsRequest is what a request says of its origin.
type corsRequest struct {
	origin, method string
	headers        []string // of a preflight, in lower case
}

// corsAnswer is what a rule answers.
type corsAnswer struct {
	origin      string // to allow: the request's, or "*"
	credentials bool
	methods     string
	headers     string
	expose      string
	maxAge      *int32
}

// answer finds the first rule that allows a request, nil for none.
func answerCORS(cfg *api.CORSConfiguration, r corsRequest) *corsAnswer {
	for i := range cfg.CORSRules {
		rule := &cfg.CORSRules[i]
		allowed := matchAny(rule.AllowedOrigins, r.origin)
		if allowed == "" || matchAny(rule.AllowedMethods, r.method) == "" || !headersAllowed(rule, r.headers) {
			continue
		}
		a := &corsAnswer{
			origin: r.origin, credentials: true, methods: strings.Join(rule.AllowedMethods, ", "),
			headers: strings.Join(r.headers, ", "), expose: strings.Join(rule.ExposeHeaders, ", "), maxAge: rule.MaxAgeSeconds,
		}
		if allowed == "*" {
			a.origin, a.credentials = "*", false
		}
		return a
	}
	return nil
}

func headersAllowed(rule *api.CORSRule, headers []string) bool {
	for _, h := range headers {
		ok := false
		for _, pattern := range rule.AllowedHeaders {
			ok = ok || matchStar(strings.ToLower(pattern), h)
		}
		if !ok {
			return false
		}
	}
	return true
}

// matchAny gives the first pattern that matches, or "".
func matchAny(patterns []string, s string) string {
	for _, p := range patterns {
		if matchStar(p, s) {
			return p
		}
	}
	return ""
}

// matchStar matches a pattern with at most one "*".
func matchStar(pattern, s string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}
