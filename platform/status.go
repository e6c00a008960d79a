package platform

import (
	"context"
	"os"

	"github.com/slipway/slipway/service/cloudformation"
	"github.com/slipway/slipway/service/ec2"
	"github.com/slipway/slipway/store"
)

// counts are how status counts each kind of record. A service counts its own
// where some of its records are of what is gone.
var counts = map[string]func(tx store.Tx) (int, error){
	"stacks":     cloudformation.CountStacks,
	"instances":  ec2.CountInstances,
	"buckets":    documents("s3/bucket/"),
	"queues":     documents("sqs/queue/"),
	"parameters": documents("ssm/parameter/"),
	"roles":      documents("iam/role/"),
}

// documents counts those whose keys have the prefix.
func documents(prefix string) func(tx store.Tx) (int, error) {
	return func(tx store.Tx) (int, error) {
		n := 0
		for _, err := range tx.Scan(prefix, store.PrefixEnd(prefix)) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}
}

func (p *Platform) status(ctx context.Context) (Status, error) {
	s := Status{
		Version: p.cfg.Version, Endpoint: p.endpoint, PID: os.Getpid(), Started: p.started, Dir: p.cfg.Dir,
		Driver: p.driver.Name(), Auth: p.closed(), Records: map[string]int{},
	}
	err := p.store.View(ctx, func(tx store.Tx) error {
		for kind, count := range counts {
			n, err := count(tx)
			if err != nil {
				return err
			}
			s.Records[kind] = n
		}
		return nil
	})
	return s, err
}
