package platform

import (
	"context"
	"os"

	"github.com/slipway/slipway/store"
)

// kinds are the records that status counts, by their prefix in the store.
var kinds = map[string]string{
	"stacks":     "cloudformation/stack/",
	"instances":  "ec2/instance/",
	"buckets":    "s3/bucket/",
	"queues":     "sqs/queue/",
	"parameters": "ssm/parameter/",
	"roles":      "iam/role/",
}

func (p *Platform) status(ctx context.Context) (Status, error) {
	s := Status{
		Version: p.cfg.Version, Endpoint: p.endpoint, PID: os.Getpid(), Started: p.started, Dir: p.cfg.Dir,
		Driver: p.driver.Name(), Auth: p.closed(), Records: map[string]int{},
	}
	err := p.store.View(ctx, func(tx store.Tx) error {
		for kind, prefix := range kinds {
			n := 0
			for _, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
				if err != nil {
					return err
				}
				n++
			}
			s.Records[kind] = n
		}
		return nil
	})
	return s, err
}
