package ec2

import (
	"errors"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// BuiltinImage is the id of the built-in image in a scope's region: the same in
// every account and on every host. The public parameters of Amazon Linux and
// Debian images give this id.
func BuiltinImage(scope arn.Scope) string {
	return arn.IDFrom(prefixImage, "builtin/"+scope.Region)
}

// face is one name under which the built-in image is found: templates and tools
// look for images by the names and owners of the usual distributions.
type face struct {
	Name, Description, Owner, Alias string
}

// Owners of public images ("Find an AMI", and the distributions' own pages).
const (
	ownerAmazon = "137112412989"
	ownerDebian = "136693071363"
	ownerUbuntu = "099720109477"
)

// faces are the names of the built-in image, its own one first.
func faces() []face {
	arch, debian := "x86_64", "amd64"
	if hostArch() == arm {
		arch, debian = "arm64", "arm64"
	}
	const what = "Slipway's built-in image: this host's /usr under a fresh /etc"
	return []face{
		{"slipway-builtin-" + arch, what, ownerAmazon, "amazon"},
		{"al2023-ami-2023.6.20241031.0-kernel-6.1-" + arch, what, ownerAmazon, "amazon"},
		{"al2023-ami-minimal-2023.6.20241031.0-kernel-6.1-" + arch, what, ownerAmazon, "amazon"},
		{"amzn2-ami-hvm-2.0.20241031.0-" + arch + "-gp2", what, ownerAmazon, "amazon"},
		{"amzn2-ami-kernel-5.10-hvm-2.0.20241031.0-" + arch + "-gp2", what, ownerAmazon, "amazon"},
		{"debian-11-" + debian + "-20241104-1921", what, ownerDebian, ""},
		{"debian-12-" + debian + "-20241110-1927", what, ownerDebian, ""},
		{"debian-13-" + debian + "-20250814-2204", what, ownerDebian, ""},
		{"ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-" + debian + "-server-20241002", what, ownerUbuntu, "amazon"},
		{"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-" + debian + "-server-20241109", what, ownerUbuntu, "amazon"},
	}
}

const rootDevice = "/dev/xvda"

// builtinLower is the built-in image as a driver knows it.
const builtinLower = "builtin"

// builtinCreated is the date that the built-in image shows.
var builtinCreated = time.Date(2024, 11, 10, 0, 0, 0, 0, time.UTC)

// States of an image.
const (
	imagePending   = "pending"
	imageAvailable = "available"
	imageFailed    = "failed"
	imageDisabled  = "disabled"
	imageGone      = "deregistered"
)

// image is the record of an image that an account made.
type image struct {
	Scope       arn.Scope `json:"scope"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Location    string    `json:"location,omitempty"`
	Token       string    `json:"token,omitempty"`
	State       string    `json:"state"`
	Message     string    `json:"message,omitempty"`
	Created     time.Time `json:"created"`
	Mappings    []mapping `json:"mappings"`
	// Lower is what lies below the root volume's own files: "builtin", or the
	// snapshot of an imported root file system.
	Lower      string    `json:"lower"`
	Shared     sharing   `json:"shared"`
	Deprecated time.Time `json:"deprecated,omitzero"`
	Protected  bool      `json:"protected,omitempty"`
	Cooldown   bool      `json:"cooldown,omitempty"`
	FreeAfter  time.Time `json:"freeAfter,omitzero"` // when a cooldown ends
	Instance   string    `json:"instance,omitempty"` // that it was made of
	Source     string    `json:"source,omitempty"`   // image that it was copied from
	SourceZone string    `json:"sourceRegion,omitempty"`
	Launched   time.Time `json:"launched,omitzero"`
	alias      string    // of its owner
}

var images = noun[image]{
	prefix: prefixImage, id: func(v *image) string { return v.ID },
	kept: store.NewCollection("ec2/image",
		store.Index[image]{Name: "id", Keys: func(_ string, v *image) []string { return []string{v.Scope.Region + "/" + v.ID} }}),
}

// image is the built-in image under one of its names. It is public and
// belongs to nobody's account.
func (f face) image(scope arn.Scope) *image {
	return &image{
		Scope: arn.Scope{Account: f.Owner, Region: scope.Region}, ID: BuiltinImage(scope), Name: f.Name, Description: f.Description,
		Location: "amazon/" + f.Name, State: imageAvailable, Created: builtinCreated, Lower: builtinLower, Shared: sharing{Public: true}, alias: f.Alias,
		Mappings: []mapping{{Device: rootDevice, Kind: volumeKind{Type: "gp3", GiB: defaultRootGiB}}},
	}
}

// visibleImage finds an image that is the scope's, shared with it, or built in.
func (s *Service) visibleImage(tx store.Tx, scope arn.Scope, id string) (*image, error) {
	if err := checkID(prefixImage, id); err != nil {
		return nil, err
	}
	if id == BuiltinImage(scope) {
		return faces()[0].image(scope), nil
	}
	for e, err := range images.kept.ByIndex(tx, "id", scope.Region+"/"+id) {
		if err != nil {
			return nil, err
		}
		if v := e.Value; v.Scope == scope || v.Shared.allows(scope.Account) {
			return v, nil
		}
	}
	return nil, notFound(prefixImage, id)
}

// launchImage is a visible image that instances can be made of.
func (s *Service) launchImage(tx store.Tx, scope arn.Scope, id string) (*image, error) {
	v, err := s.visibleImage(tx, scope, id)
	if err == nil && v.State != imageAvailable {
		err = fault.New(fault.InvalidAMIIDUnavailable, "The image ID '%s' is not available: it is %s.", id, v.State)
	}
	return v, err
}

// launched notes that an account's own image was used.
func (v *image) launched(tx store.Tx, now time.Time) error {
	kept, err := images.kept.Get(tx, images.key(v.Scope, v.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil // built in
	}
	if err != nil {
		return err
	}
	kept.Launched = now
	return images.put(tx, kept.Scope, kept)
}

// rootSnapshot is the snapshot of an image's root device, if it has one.
func (v *image) rootSnapshot() string {
	for _, m := range v.Mappings {
		if m.Device == rootDevice {
			return m.Snapshot
		}
	}
	return ""
}

// uses reports whether an image needs a snapshot.
func (v *image) uses(snapshot string) bool {
	for _, m := range v.Mappings {
		if m.Snapshot == snapshot {
			return true
		}
	}
	return v.Lower == snapshot
}
