package process

import "github.com/slipway/slipway/compute/keeper"

// remains looks at what runs of the instance. kill, once its first process has
// ended, kills what is left of that.
func (d *Driver) remains(in *keeper.Instance) (kill func(force bool)) { return d.sessionRemains(in) }
