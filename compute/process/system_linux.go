package process

import "github.com/slipway/slipway/compute"

// thisSystem is Linux: it answers on all of 127.0.0.0/8.
func thisSystem() system { return system{instances: 16, elastic: 20, marks: true} }

// Probe finds nothing that the driver needs and Linux lacks.
func Probe(string) []compute.Finding { return nil }
