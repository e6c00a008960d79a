// Package known names every operation of every service that Slipway serves or
// will serve, so that a call to one that is not built yet is answered with its
// name and in its protocol. The table (table.go) is generated; this file reads
// it. It imports api only and starts no goroutine.
package known

import (
	"strings"
	"sync"

	"github.com/slipway/slipway/api"
)

// Service is a service whose operations are known by name. Its embedded
// description has neither operations nor shapes.
type Service struct {
	api.Service
	Global bool // one endpoint for all regions, such as IAM's

	table string // "\nName" or "\nName METHOD URI needs" for each operation
	once  sync.Once
	ops   []Operation
}

// Operation is an operation's name and, for the REST protocols, its binding.
type Operation struct {
	Name   string
	Method string
	URI    string
	// Needs are the query parameters ("uploadId") and headers
	// ("x-amz-copy-source:") without which a request is for another operation.
	Needs []string
}

// Services lists all services by name.
func Services() []*Service { return services }

// Has reports whether the service has an operation of that name.
func (s *Service) Has(operation string) bool {
	if operation == "" || strings.ContainsAny(operation, " \n") {
		return false
	}
	at := strings.Index(s.table, "\n"+operation)
	if at < 0 {
		return false
	}
	for ; at >= 0; at = next(s.table, at, operation) {
		rest := s.table[at+1+len(operation):]
		if rest == "" || rest[0] == ' ' || rest[0] == '\n' {
			return true
		}
	}
	return false
}

func next(table string, at int, operation string) int {
	at++
	i := strings.Index(table[at:], "\n"+operation)
	if i < 0 {
		return -1
	}
	return at + i
}

// Operations lists the service's operations by name.
func (s *Service) Operations() []Operation {
	s.once.Do(func() {
		for line := range strings.SplitSeq(s.table[1:], "\n") {
			f := strings.Fields(line)
			op := Operation{Name: f[0]}
			if len(f) > 2 {
				op.Method, op.URI, op.Needs = f[1], f[2], f[3:]
			}
			s.ops = append(s.ops, op)
		}
	})
	return s.ops
}

// REST reports whether the service's operations are told apart by method and path.
func (s *Service) REST() bool { return s.Speaks(api.RESTJSON) || s.Speaks(api.RESTXML) }
