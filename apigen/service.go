package main

import (
	"bytes"
	"fmt"
)

const module = "github.com/slipway/slipway"

func (s *selection) writeService(w *bytes.Buffer) {
	fmt.Fprintf(w, `// Package %s is the %s API: types, the Service interface, and the tables
// by which package wire decodes, validates, calls and encodes.
package %s

import (
	"context"

	"%s/api"
	"%s/fault"
)

// Service is the API of %s, version %s.
type Service interface {
`, s.pkg, s.model.Metadata.ServiceID, s.pkg, module, module, s.model.Metadata.ServiceID, s.model.Metadata.APIVersion)
	for _, op := range s.ops {
		fmt.Fprintf(w, "%s(ctx context.Context, in *%sInput) (*%sOutput, error)\n", export(op.Name), export(op.Name), export(op.Name))
	}
	w.WriteString(`}

// Unimplemented answers NotImplemented to every operation. Implementations
// embed it and define the operations that they have.
type Unimplemented struct{}

func notBuilt(operation string) error {
	return fault.New(fault.NotImplemented, "` + s.name + `: operation %s is not implemented", operation)
}
`)
	for _, op := range s.ops {
		n := export(op.Name)
		fmt.Fprintf(w, "\nfunc (Unimplemented) %s(context.Context, *%sInput) (*%sOutput, error) {\nreturn nil, notBuilt(%q)\n}\n", n, n, n, op.Name)
	}
	w.WriteString(`
// Intercept surrounds every call of next with around.
func Intercept(next Service, around api.Interceptor) Service {
	return &intercepted{next, around}
}

type intercepted struct {
	next   Service
	around api.Interceptor
}

// Built reports whether an operation is implemented behind the interceptor.
func (s *intercepted) Built(operation string) bool { return api.Built(s.next, operation) }

func intercept[In, Out any](s *intercepted, ctx context.Context, operation string, in *In, call func(Service, context.Context, *In) (*Out, error)) (*Out, error) {
	out, err := s.around(ctx, "` + s.name + `", operation, in, func(ctx context.Context) (any, error) {
		return call(s.next, ctx, in)
	})
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}
`)
	for _, op := range s.ops {
		n := export(op.Name)
		fmt.Fprintf(w, "\nfunc (s *intercepted) %s(ctx context.Context, in *%sInput) (*%sOutput, error) {\nreturn intercept(s, ctx, %q, in, Service.%s)\n}\n", n, n, n, op.Name, n)
	}
}
