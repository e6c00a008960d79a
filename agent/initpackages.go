package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// packageOrder is AWS's: the system's packages before those of languages.
var packageOrder = []string{"rpm", "apt", "yum", "zypper", "rubygems", "python"}

// packages installs by each manager what is not there, and names what it has
// installed.
func (h *host) packages(ctx context.Context, specs map[string]map[string]scalars) (map[string][]string, error) {
	for _, manager := range slices.Sorted(maps.Keys(specs)) {
		switch {
		case manager == "msi":
			return nil, errors.New("packages: msi is for Windows only")
		case !slices.Contains(packageOrder, manager):
			return nil, fmt.Errorf("packages: there is no manager %q", manager)
		case len(specs[manager]) > 0 && h.shared:
			return nil, fmt.Errorf("packages: %s: %w", manager, errShared)
		}
	}
	done := map[string][]string{}
	for _, manager := range packageOrder {
		updated := false
		for _, name := range slices.Sorted(maps.Keys(specs[manager])) {
			versions := []string{""}
			if l := specs[manager][name]; len(l) > 0 {
				versions = versions[:0]
				for _, v := range l {
					versions = append(versions, string(v))
				}
			}
			for _, version := range versions {
				did, err := h.install(ctx, manager, name, version, &updated)
				if err != nil {
					return nil, fmt.Errorf("packages: %s: %s: %w", manager, name, err)
				}
				if did {
					done[manager] = append(done[manager], name)
				}
			}
		}
	}
	return done, nil
}

// install installs one version, or any where none is given; did says whether it
// was not there.
func (h *host) install(ctx context.Context, manager, name, version string, updated *bool) (did bool, err error) {
	if name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(version, "-") {
		return false, errors.New("this is not a package")
	}
	if h.installed(ctx, manager, name, version) {
		h.debug("package %s %s is there", name, version)
		return false, nil
	}
	with := func(separator string) string {
		if version == "" {
			return name
		}
		return name + separator + version
	}
	h.info("Installing %s package %s", manager, with(" "))
	switch manager {
	case "rpm": // the version is where the package is
		if version == "" {
			return false, errors.New("give the URL of the package")
		}
		err = h.run(ctx, "rpm", "-U", "--quiet", "--replacepkgs", version)
	case "apt":
		if !*updated {
			if err := h.run(ctx, "apt-get", "-q", "update"); err != nil {
				return false, err
			}
			*updated = true
		}
		err = h.run(ctx, "apt-get", "-q", "-y", "install", "--", with("="))
	case "yum":
		tool := "yum"
		if onPath("dnf") {
			tool = "dnf"
		}
		err = h.run(ctx, tool, "-y", "install", with("-"))
	case "zypper":
		err = h.run(ctx, "zypper", "--non-interactive", "install", "--", with("="))
	case "rubygems":
		args := []string{"install", "--no-document", name}
		if version != "" {
			args = append(args, "--version", version)
		}
		err = h.run(ctx, "gem", args...)
	case "python":
		err = h.run(ctx, "pip3", "install", "--quiet", "--disable-pip-version-check", with("=="))
	}
	return err == nil, err
}

// installed says whether a package is surely there; where it cannot tell, its
// manager does.
func (h *host) installed(ctx context.Context, manager, name, version string) bool {
	switch {
	case manager == "apt" && onPath("dpkg-query"):
		out, err := commandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", "--", name).Output()
		status, found, _ := strings.Cut(string(out), " ")
		return err == nil && strings.HasPrefix(status, "ii") && (version == "" || strings.TrimSpace(found) == version)
	case manager == "yum" && onPath("rpm"):
		query := name
		if version != "" {
			query += "-" + version
		}
		return commandContext(ctx, "rpm", "-q", "--", query).Run() == nil
	}
	return false
}
