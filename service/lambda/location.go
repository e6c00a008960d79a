package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
)

// CodePath begins the addresses at which code can be had for a while. The platform
// mounts CodeHandler there.
const CodePath = "/_slipway/lambda/code/"

// locationLife is how long such an address is good ("GetFunction", AWS Lambda API
// Reference).
const locationLife = 10 * time.Minute

const locationPurpose = "lambda/location"

// sealedLocation is what an address says.
type sealedLocation struct {
	ID      string
	Size    int64
	Expires int64 // Unix seconds
}

// locate makes an address of an archive, for whoever has it.
func (s *Service) locate(ctx context.Context, file codeFile) (string, error) {
	plain, err := json.Marshal(sealedLocation{file.ID, file.Size, s.now().Add(locationLife).Unix()})
	if err != nil {
		return "", err
	}
	sealed, err := s.cfg.Ring.Seal(locationPurpose, plain)
	if err != nil {
		return "", err
	}
	base := auth.From(ctx).Endpoint
	if base == "" && s.cfg.Endpoint != nil {
		base = s.cfg.Endpoint()
	}
	return strings.TrimSuffix(base, "/") + CodePath + base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (s *Service) location(ctx context.Context, file codeFile) (*api.FunctionCodeLocation, error) {
	url, err := s.locate(ctx, file)
	return &api.FunctionCodeLocation{RepositoryType: "S3", Location: url}, err
}

// maxToken bounds the last part of an address.
const maxToken = 1024

// CodeHandler gives out the archives of addresses that are still good.
func (s *Service) CodeHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.URL.Path, CodePath)
		at, ok := s.openLocation(token)
		if !ok {
			http.Error(w, "This address is not one of code, or is not good any more: ask GetFunction for another.", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Only GET and HEAD are allowed here.", http.StatusMethodNotAllowed)
			return
		}
		f, err := os.Open(s.code.path(at.ID))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.Error(w, "The code is gone.", http.StatusNotFound)
			return
		case err != nil:
			s.log.Error("lambda code", "error", err)
			http.Error(w, "The code cannot be read.", http.StatusInternalServerError)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "application/zip")
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(f, 0, at.Size))
	})
}

func (s *Service) openLocation(token string) (at sealedLocation, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(token) > maxToken {
		return at, false
	}
	plain, err := s.cfg.Ring.Open(locationPurpose, sealed)
	if err != nil || json.Unmarshal(plain, &at) != nil {
		return at, false
	}
	return at, s.now().Unix() < at.Expires
}
