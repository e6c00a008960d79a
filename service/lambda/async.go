package lambda

import "context"

func (s *Service) enqueue(ctx context.Context, t *target, payload []byte, client string) error {
	return notBuilt("Invoke", "InvocationType Event")
}
