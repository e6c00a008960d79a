package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources unpacks archives into folders, and names these.
func (h *host) sources(ctx context.Context, specs map[string]scalar) ([]string, error) {
	var done []string
	for _, dir := range slices.Sorted(maps.Keys(specs)) {
		if err := h.source(ctx, dir, string(specs[dir])); err != nil {
			return nil, fmt.Errorf("source of %s: %w", dir, err)
		}
		done = append(done, dir)
	}
	return done, nil
}

func (h *host) source(ctx context.Context, dir, from string) error {
	if err := checkPath(dir); err != nil {
		return err
	}
	file, err := h.fetcher.download(ctx, from, "", maxDownload)
	if err != nil {
		return err
	}
	defer remove(file)
	a, err := openArchive(file)
	if err != nil {
		return err
	}
	if ofGitHub(from) {
		a.strip = true
	}
	if err := a.check(); err != nil {
		return err
	}
	target := h.path(dir)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	h.info("Unpacking %s into %s", shorten(withoutQuery(from)), dir)
	return a.unpack(target)
}

// ofGitHub tells the archives of a repository, whose one top folder AWS's helper
// leaves out.
func ofGitHub(from string) bool {
	u, err := url.Parse(from)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return (host == "github.com" || host == "api.github.com" || host == "codeload.github.com") &&
		(strings.Contains(u.Path, "/zipball/") || strings.Contains(u.Path, "/tarball/"))
}

// withoutQuery leaves out what may be a signature.
func withoutQuery(from string) string {
	from, _, _ = strings.Cut(from, "?")
	return from
}

// checkPath takes the absolute path of a file or folder of the instance.
func checkPath(name string) error {
	switch {
	case strings.ContainsRune(name, 0):
		return errors.New("the path has a zero byte")
	case !filepath.IsAbs(name):
		return errors.New("the path is not absolute")
	case slices.Contains(strings.Split(filepath.ToSlash(name), "/"), ".."):
		return errors.New(`the path has ".." in it`)
	}
	return nil
}
