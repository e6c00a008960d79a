package ec2

import (
	"github.com/slipway/slipway/fault"
)

// volumeKind is what a caller chooses of a volume. The host's disk is as fast as
// it is: IOPS and throughput are kept and checked, and bound nothing.
type volumeKind struct {
	Type       string `json:"type"`
	GiB        int64  `json:"gib"`
	IOPS       *int32 `json:"iops,omitempty"`
	Throughput *int32 `json:"throughput,omitempty"` // MiB/s
}

// volumeLimits are a type's bounds ("Amazon EBS volume types").
type volumeLimits struct {
	minGiB, maxGiB               int64
	minIOPS, maxIOPS             int32 // 0: may not be given
	perGiB                       int64 // IOPS for each GiB
	minThroughput, maxThroughput int32
}

var volumeTypes = map[string]volumeLimits{
	"gp2":      {minGiB: 1, maxGiB: 16384},
	"gp3":      {minGiB: 1, maxGiB: 65536, minIOPS: 3000, maxIOPS: 80000, perGiB: 500, minThroughput: 125, maxThroughput: 2000},
	"io1":      {minGiB: 4, maxGiB: 16384, minIOPS: 100, maxIOPS: 64000, perGiB: 50},
	"io2":      {minGiB: 4, maxGiB: 65536, minIOPS: 100, maxIOPS: 256000, perGiB: 1000},
	"st1":      {minGiB: 125, maxGiB: 16384},
	"sc1":      {minGiB: 125, maxGiB: 16384},
	"standard": {minGiB: 1, maxGiB: 1024},
}

// hostMaxGiB bounds what one file on the host can be.
const hostMaxGiB = 15 << 10

// check refuses what no volume of the type has. sized says that the size is
// known already.
func (k *volumeKind) check(sized bool) error {
	if k.Type == "" {
		k.Type = "gp2"
	}
	l, ok := volumeTypes[k.Type]
	if !ok {
		return fault.New(fault.InvalidParameterValue, "Value (%s) for parameter volumeType is invalid. Unknown volume type.", clip(k.Type, 64))
	}
	if sized && (k.GiB < l.minGiB || k.GiB > l.maxGiB) {
		return fault.New(fault.InvalidParameterValue, "Volume of %dGiB is %s for volume type %s; %s is %dGiB", k.GiB,
			pick(k.GiB < l.minGiB, "too small", "too large"), k.Type, pick(k.GiB < l.minGiB, "minimum", "maximum"), pick(k.GiB < l.minGiB, l.minGiB, l.maxGiB))
	}
	if sized && k.GiB > hostMaxGiB {
		return fault.New(fault.UnsupportedOperation, "Volumes of this host have at most %d GiB.", hostMaxGiB)
	}
	return firstError(k.checkIOPS(l, sized), k.checkThroughput(l))
}

func (k *volumeKind) checkIOPS(l volumeLimits, sized bool) error {
	if k.IOPS == nil {
		if k.Type == "io1" || k.Type == "io2" {
			return fault.New(fault.MissingParameter, "The request must contain the parameter iops for volume type %s", k.Type)
		}
		return nil
	}
	switch n := *k.IOPS; {
	case l.maxIOPS == 0:
		return fault.New(fault.InvalidParameterCombination, "The parameter iops is not supported for %s volumes.", k.Type)
	case n < l.minIOPS:
		return fault.New(fault.InvalidParameterValue, "Volume iops of %d is too low; minimum is %d.", n, l.minIOPS)
	case n > l.maxIOPS:
		return fault.New(fault.InvalidParameterValue, "Volume iops of %d is too high; maximum is %d.", n, l.maxIOPS)
	case sized && int64(n) > max(int64(l.minIOPS), k.GiB*l.perGiB):
		return fault.New(fault.InvalidParameterValue, "Iops to volume size ratio of %d is too high; maximum is %d.", int64(n)/max(1, k.GiB), l.perGiB)
	}
	return nil
}

func (k *volumeKind) checkThroughput(l volumeLimits) error {
	if k.Throughput == nil {
		return nil
	}
	switch n := *k.Throughput; {
	case l.maxThroughput == 0:
		return fault.New(fault.InvalidParameterCombination, "The parameter throughput is not supported for %s volumes.", k.Type)
	case n < l.minThroughput || n > l.maxThroughput:
		return fault.New(fault.InvalidParameterValue, "Throughput of %d MiB/s is out of range; it is %d to %d.", n, l.minThroughput, l.maxThroughput)
	}
	return nil
}

// settle gives what the caller left open its default, and checks the whole.
func (k *volumeKind) settle() error {
	if err := k.check(true); err != nil {
		return err
	}
	if k.Type == "gp3" {
		k.IOPS, k.Throughput = ptr(value(k.IOPS, 3000)), ptr(value(k.Throughput, 125))
	}
	return nil
}

// iops is what a volume is shown with: that of gp2 follows from its size.
func (k volumeKind) iops() *int32 {
	if k.Type == "gp2" {
		return ptr(int32(min(max(k.GiB*3, 100), 16000)))
	}
	return k.IOPS
}

func pick[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
