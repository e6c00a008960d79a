package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/slipway/slipway/compute"
)

// A backup asks the Slipway that runs on the folder to copy its volumes: who holds
// up the writers of a volume must be the one that attaches, grows and snapshots it,
// and that lets them go on when it is started after a crash.

// askCopy has the Slipway that runs on a data folder copy a volume to a path in a
// backup's folder there; compute.ErrGone where it has no such volume.
func askCopy(ctx context.Context, dir, id, path string) error {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	query := url.Values{"volume": {id}, "to": {filepath.ToSlash(name)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://slipway/copy?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := controlClient(dir).Do(req)
	if err != nil {
		return fmt.Errorf("ask the Slipway that runs on %s: %w", dir, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch resp.StatusCode {
	case http.StatusNoContent:
		return err
	case http.StatusGone:
		return compute.ErrGone
	case http.StatusNotFound:
		return errors.New("the Slipway that runs is of an earlier version, which copies no volumes: restart it in place ('kill -USR2')")
	}
	return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
}

// serveCopy copies a volume for a backup. Who may open the control socket may read
// the data folder.
func (p *Platform) serveCopy(w http.ResponseWriter, r *http.Request) {
	id, name := r.FormValue("volume"), r.FormValue("to")
	path, ok := stagedName(p.cfg.Dir, name)
	if !ok || !diskID().MatchString(id) {
		http.Error(w, "give a volume, and the place in a backup's folder that it is copied to", http.StatusBadRequest)
		return
	}
	copier, ok := p.driver.(compute.VolumeCopier)
	if !ok {
		w.WriteHeader(http.StatusGone)
		return
	}
	switch err := copier.CopyVolume(r.Context(), id, path); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, compute.ErrGone):
		w.WriteHeader(http.StatusGone)
	default:
		p.cfg.Logger.Error("copy a volume for a backup", "volume", id, "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// stagedName is where a copy may be put: at "copy" in the folder of a backup.
func stagedName(dir, name string) (path string, ok bool) {
	stage, file, _ := strings.Cut(name, "/")
	digits, ok := strings.CutPrefix(stage, stagePrefix)
	ok = ok && digits != "" && strings.Trim(digits, "0123456789") == "" && file == "copy"
	return filepath.Join(dir, stage, file), ok
}
