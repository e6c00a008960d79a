package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// groupSpec is one of "groups".
type groupSpec struct {
	GID scalar `json:"gid"`
}

// userSpec is one of "users".
type userSpec struct {
	Groups  scalars `json:"groups"`
	UID     scalar  `json:"uid"`
	HomeDir scalar  `json:"homeDir"`
}

var errShared = errors.New("this instance shares its host's accounts, packages and services, and must not change them: run it in a sandbox")

// groups makes those that are not there.
func (h *host) groups(ctx context.Context, specs map[string]groupSpec) error {
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if err := h.group(ctx, name, specs[name]); err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
	}
	return nil
}

func (h *host) group(ctx context.Context, name string, spec groupSpec) error {
	there, err := h.there("/etc/group", name, spec.GID)
	if err != nil || there {
		return err
	}
	args := []string{"-r"}
	if spec.GID != "" {
		args = append(args, "-g", string(spec.GID))
	}
	h.info("Making group %s", name)
	return h.run(ctx, "groupadd", append(args, "--", name)...)
}

// there says whether a group or user is, with the id that is asked for.
func (h *host) there(file, name string, id scalar) (bool, error) {
	if h.shared {
		return false, errShared
	}
	if name == "" || strings.ContainsAny(name, ":\n/ ") || strings.HasPrefix(name, "-") {
		return false, errors.New("this is not a name")
	}
	if id != "" {
		if n, err := strconv.Atoi(string(id)); err != nil || n < 0 {
			return false, fmt.Errorf("id %q is not a number", string(id))
		}
	}
	a, ok, err := h.lookUpAccount(file, name)
	if err == nil && ok && id != "" && strconv.Itoa(a.id) != string(id) {
		err = fmt.Errorf("it is there with id %d, not %s", a.id, string(id))
	}
	return ok, err
}

// users makes those that are not there, as system users that cannot log in,
// and adds all of them to their groups.
func (h *host) users(ctx context.Context, specs map[string]userSpec) error {
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if err := h.user(ctx, name, specs[name]); err != nil {
			return fmt.Errorf("user %s: %w", name, err)
		}
	}
	return nil
}

func (h *host) user(ctx context.Context, name string, spec userSpec) error {
	there, err := h.there("/etc/passwd", name, spec.UID)
	if err != nil {
		return err
	}
	var groups []string
	for _, g := range spec.Groups {
		if strings.ContainsAny(string(g), ", \n") || g == "" {
			return fmt.Errorf("%q is not the name of a group", string(g))
		}
		groups = append(groups, string(g))
	}
	if there {
		if len(groups) == 0 {
			return nil
		}
		return h.run(ctx, "usermod", "-a", "-G", strings.Join(groups, ","), "--", name)
	}
	args := []string{"-M", "-r", "-s", "/sbin/nologin"}
	if spec.HomeDir != "" {
		args = append(args, "-d", string(spec.HomeDir))
	}
	if spec.UID != "" {
		args = append(args, "-u", string(spec.UID))
	}
	if len(groups) > 0 {
		args = append(args, "-G", strings.Join(groups, ","))
	}
	h.info("Making user %s", name)
	return h.run(ctx, "useradd", append(args, "--", name)...)
}
