package agent

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
)

// kind is what a part of user data is.
type kind string

const (
	script      kind = "script"
	cloudConfig kind = "cloud-config"
	bootHook    kind = "cloud-boothook"
	perBoot     kind = "x-shellscript-per-boot"
	include     kind = "x-include-url" // refused, by name
	unknown     kind = "unknown"
)

// types are the parts that a content type names.
var types = map[string]kind{
	"text/cloud-config": cloudConfig, "text/x-shellscript": script, "text/x-shellscript-per-instance": script,
	"text/x-shellscript-per-once": script, "text/x-shellscript-per-boot": perBoot, "text/cloud-boothook": bootHook,
	"text/x-include-url": include, "text/x-include-once-url": include,
}

// part is one piece of user data.
type part struct {
	kind kind
	text []byte
}

const (
	maxParts = 100
	maxDepth = 4
	// maxUnpacked bounds what a small gzip can become.
	maxUnpacked = 16 << 20
)

// userDataParts takes user data apart: gzip, base64 and MIME multi-part archives.
func userDataParts(data []byte) ([]part, error) {
	return splitParts(data, "", 0)
}

func splitParts(data []byte, contentType string, depth int) ([]part, error) {
	if depth > maxDepth {
		return nil, errors.New("user data is packed too deeply")
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		plain, err := gunzip(data)
		if err != nil {
			return nil, fmt.Errorf("user data is not whole gzip: %w", err)
		}
		return splitParts(plain, contentType, depth+1)
	}
	if k := kindOf(data, contentType); k != unknown {
		return []part{{k, data}}, nil
	}
	if header, body, ok := mimeHeader(data); ok {
		return splitMultipart(header, body, depth)
	}
	if plain, ok := unbase64(data); ok {
		return splitParts(plain, "", depth+1)
	}
	return []part{{unknown, data}}, nil
}

// kindOf goes by the content type where it says what to do, else by the first
// line, as cloud-init does.
func kindOf(data []byte, contentType string) kind {
	switch k := types[contentType]; {
	case k == perBoot, k == bootHook:
		return k
	case bytes.HasPrefix(data, []byte("#!")):
		return script
	case bytes.HasPrefix(data, []byte("#cloud-boothook")):
		return bootHook
	case bytes.HasPrefix(data, []byte("#include")):
		return include
	case bytes.HasPrefix(data, []byte("#cloud-config")) && !bytes.HasPrefix(data, []byte("#cloud-config-")):
		return cloudConfig
	case k != "":
		return k
	}
	return unknown
}

// mimeHeader reads the header of a multi-part archive.
func mimeHeader(data []byte) (textproto.MIMEHeader, *bufio.Reader, bool) {
	r := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(data, "\r\n")))
	// A mailbox line may come first, as in what Python's email package writes.
	if line, _ := r.Peek(5); string(line) == "From " {
		_, _ = r.ReadString('\n')
	}
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil || !strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "multipart/") {
		return nil, nil, false
	}
	return header, r, true
}

func splitMultipart(header textproto.MIMEHeader, body io.Reader, depth int) ([]part, error) {
	_, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, fmt.Errorf("user data: Content-Type %q names no boundary", header.Get("Content-Type"))
	}
	var parts []part
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("user data: MIME part %d: %w", len(parts)+1, err)
		}
		if len(parts) == maxParts {
			return nil, fmt.Errorf("user data has more than %d parts", maxParts)
		}
		text, err := io.ReadAll(transferDecoded(p))
		if err != nil {
			return nil, fmt.Errorf("user data: MIME part %d: %w", len(parts)+1, err)
		}
		contentType, inner, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		var found []part
		if strings.HasPrefix(contentType, "multipart/") && inner["boundary"] != "" && depth < maxDepth {
			found, err = splitMultipart(p.Header, bytes.NewReader(text), depth+1)
		} else {
			found, err = splitParts(text, contentType, depth+1)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, found...)
	}
}

func transferDecoded(p *multipart.Part) io.Reader {
	switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, p)
	case "quoted-printable":
		return quotedprintable.NewReader(p)
	}
	return p
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err == nil && len(plain) > maxUnpacked {
		err = fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)
	}
	return plain, err
}

// unbase64 undoes a second base64, which clients often add by mistake.
func unbase64(data []byte) ([]byte, bool) {
	plain, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil)))
	return plain, err == nil && len(plain) > 0
}
