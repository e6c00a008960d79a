package secretsmanager

import (
	"context"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

// lacking are the operations that are not built, and what they wait for.
var lacking = map[string]string{
	"ReplicateSecretToRegions":     "secrets are not replicated yet",
	"RemoveRegionsFromReplication": "secrets are not replicated yet",
	"StopReplicationToReplica":     "secrets are not replicated yet",
}

func lacks(operation string) error {
	return fault.New(fault.NotImplemented, "secretsmanager: operation %s is not implemented: %s", operation, lacking[operation])
}

// Built tells of these operations that their methods only refuse.
func (s *Service) Built(operation string) bool { return lacking[operation] == "" }

// ReplicateSecretToRegions is not built.
func (s *Service) ReplicateSecretToRegions(context.Context, *api.ReplicateSecretToRegionsInput) (*api.ReplicateSecretToRegionsOutput, error) {
	return nil, lacks("ReplicateSecretToRegions")
}

// RemoveRegionsFromReplication is not built.
func (s *Service) RemoveRegionsFromReplication(context.Context, *api.RemoveRegionsFromReplicationInput) (*api.RemoveRegionsFromReplicationOutput, error) {
	return nil, lacks("RemoveRegionsFromReplication")
}

// StopReplicationToReplica is not built.
func (s *Service) StopReplicationToReplica(context.Context, *api.StopReplicationToReplicaInput) (*api.StopReplicationToReplicaOutput, error) {
	return nil, lacks("StopReplicationToReplica")
}
