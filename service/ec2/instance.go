package ec2

import (
	"errors"
	"net/netip"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/compute"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// state is where an instance is in its life ("Amazon EC2 instance state
// changes"):
//
//	pending -> running -> stopping -> stopped -> pending
//	any of them -> shutting-down -> terminated
type state string

const (
	pending      state = "pending"
	running      state = "running"
	stopping     state = "stopping"
	stopped      state = "stopped"
	shuttingDown state = "shutting-down"
	terminated   state = "terminated"
)

// code is the number that the API has for a state.
func (s state) code() int32 {
	switch s {
	case running:
		return 16
	case shuttingDown:
		return 32
	case terminated:
		return 48
	case stopping:
		return 64
	case stopped:
		return 80
	}
	return 0
}

func (s state) view() *api.InstanceState {
	return &api.InstanceState{Code: ptr(s.code()), Name: string(s)}
}

// ending says that nothing brings the instance back.
func (s state) ending() bool { return s == shuttingDown || s == terminated }

// reason is why an instance is in its state.
type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Reasons of EC2 ("StateReason" of the API reference).
var (
	userStopped = reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	selfStopped = reason{"Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
)

func serverError(what string) *reason {
	return &reason{"Server.InternalError", "Server.InternalError: " + what}
}

// Shutdown behaviours.
const (
	onShutdownStop      = "stop"
	onShutdownTerminate = "terminate"
)

// profile is the instance profile that an instance has.
type profile struct {
	ARN         string    `json:"arn"`
	ID          string    `json:"id"`
	Association string    `json:"association"`
	Since       time.Time `json:"since"`
}

// metadataOptions are the switches of the metadata service.
type metadataOptions struct {
	Tokens   string `json:"tokens"`   // "required" or "optional"
	Endpoint string `json:"endpoint"` // "enabled" or "disabled"
	Tags     string `json:"tags"`     // "enabled" or "disabled"
	HopLimit int32  `json:"hopLimit"`
}

// rootVolume is the root file system in the terms of EBS.
type rootVolume struct {
	ID   string `json:"id"`
	GiB  int64  `json:"gib"` // 0: the driver's default
	Type string `json:"type"`
}

// elastic is the elastic IP that an instance has.
type elastic struct {
	IP          netip.Addr `json:"ip"`
	Allocation  string     `json:"allocation"`
	Association string     `json:"association"`
}

// instance is the record of an instance.
type instance struct {
	Scope       arn.Scope       `json:"scope"`
	ID          string          `json:"id"`
	Reservation string          `json:"reservation"`
	Requester   string          `json:"requester,omitempty"`
	Index       int32           `json:"index"`
	ClientToken string          `json:"clientToken,omitempty"`
	Image       string          `json:"image"`
	Lower       string          `json:"lower,omitempty"` // the image as the driver knows it; see volume
	Type        string          `json:"type"`
	Key         string          `json:"key,omitempty"`
	PublicKey   string          `json:"publicKey,omitempty"` // the key pair's, as it was at launch
	Zone        string          `json:"zone"`
	Subnet      string          `json:"subnet"`
	VPC         string          `json:"vpc"`
	Private     netip.Addr      `json:"private"`
	Fixed       bool            `json:"fixed,omitempty"`     // the caller asked for that address
	Secondary   []netip.Addr    `json:"secondary,omitempty"` // further private addresses
	MapPublic   bool            `json:"mapPublic"`           // gets a public address at each start
	Automatic   netip.Addr      `json:"automatic"`           // that address; invalid while there is none
	Elastic     *elastic        `json:"elastic,omitempty"`
	Interface   string          `json:"interface"`             // eni-…
	Attachment  string          `json:"attachment"`            // eni-attach-…
	Description string          `json:"description,omitempty"` // of the network interface
	First       *firstInterface `json:"first,omitempty"`       // where the network interface can outlive the instance
	Groups      []string        `json:"groups"`
	UserData    []byte          `json:"userData,omitempty"`
	Profile     *profile        `json:"profile,omitempty"`
	Metadata    metadataOptions `json:"metadata"`
	Root        rootVolume      `json:"root"`
	OnShutdown  string          `json:"onShutdown"`
	KeepAlive   bool            `json:"keepAlive,omitempty"`   // DisableApiTermination
	KeepRunning bool            `json:"keepRunning,omitempty"` // DisableApiStop
	Monitored   bool            `json:"monitored,omitempty"`
	Optimized   bool            `json:"optimized,omitempty"` // EbsOptimized
	SourceCheck bool            `json:"sourceCheck"`
	Credits     string          `json:"credits,omitempty"`

	State      state     `json:"state"`
	Reason     *reason   `json:"reason,omitempty"`
	Transition string    `json:"transition,omitempty"`
	Launched   time.Time `json:"launched"` // the last start
	Created    time.Time `json:"created"`
	Ended      time.Time `json:"ended,omitzero"`

	// Generation counts the transitions that were asked for. A workflow acts
	// only for its own: one that was overtaken does nothing more.
	Generation int64           `json:"generation"`
	Handle     *compute.Handle `json:"handle,omitempty"`
	// Rebooting is the workflow that reboots the instance: until it ends, that
	// nothing runs on the host is no news.
	Rebooting string `json:"rebooting,omitempty"`
	Boot      string `json:"boot,omitempty"` // of the host, when it was last started

	volumes []*volume // where it was read with them; they have records of their own
}

var instances = store.NewCollection("ec2/instance",
	// "group": the instances that keep a security group from being deleted.
	store.Index[instance]{Name: "group", Keys: func(_ string, in *instance) []string {
		if in.State == terminated {
			return nil
		}
		keys := make([]string, 0, len(in.Groups))
		for _, g := range in.Groups {
			keys = append(keys, groupKey(in.Scope, g))
		}
		return keys
	}},
	// "id": a caller that has no scope, such as the metadata service.
	store.Index[instance]{Name: "id", Keys: func(_ string, in *instance) []string { return []string{in.ID} }},
	// "living": counted at each launch.
	store.Index[instance]{Name: "living", Keys: func(_ string, in *instance) []string {
		if in.State.ending() {
			return nil
		}
		return []string{in.Scope.Key()}
	}},
	store.Index[instance]{Name: "interface", Keys: func(_ string, in *instance) []string {
		return []string{in.Scope.Key() + "/" + in.Interface}
	}},
)

// CountInstances counts those that are not terminated, of all accounts.
func CountInstances(tx store.Tx) (int, error) {
	n := 0
	for e, err := range instances.Scan(tx, "") {
		if err != nil {
			return 0, err
		}
		if e.Value.State != terminated {
			n++
		}
	}
	return n, nil
}

func instanceKey(scope arn.Scope, id string) string { return scope.Key() + "/" + id }

func (in *instance) key() string { return instanceKey(in.Scope, in.ID) }

func (in *instance) save(tx store.Tx) error { return instances.Put(tx, in.key(), in) }

// public is the address by which the instance is reached from outside.
func (in *instance) public() netip.Addr {
	if in.Elastic != nil {
		return in.Elastic.IP
	}
	return in.Automatic
}

// enter moves the instance to a state that a call asked for, and makes every
// earlier workflow give up.
func (in *instance) enter(s state, why *reason, transition string) {
	in.State, in.Reason, in.Transition = s, why, transition
	in.Generation++
}

// loadInstance reads one instance.
func loadInstance(tx store.Tx, scope arn.Scope, id string) (*instance, error) {
	if err := checkID(prefixInstance, id); err != nil {
		return nil, err
	}
	in, err := instances.Get(tx, instanceKey(scope, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound(prefixInstance, id)
	}
	return in, err
}

// loadInstances reads instances by id, and names all that are missing at once.
func loadInstances(tx store.Tx, scope arn.Scope, ids []string) ([]*instance, error) {
	var out []*instance
	var lost []string
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		in, err := loadInstance(tx, scope, id)
		if err != nil && errIsMissing(err) {
			lost = append(lost, id)
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	if len(lost) > 0 {
		return nil, notFound(prefixInstance, lost...)
	}
	return out, nil
}

func errIsMissing(err error) bool { return fault.Is(err, fault.InvalidInstanceIDNotFound) }
