package auth

import (
	"net/url"
	"testing"
)

// A queue's path is what net/url makes of its URL, however it was found.
func FuzzQueuePath(f *testing.F) {
	for _, text := range []string{
		"", "/", "q", "http://", "http:///000000000000/q", "http://127.0.0.1:4566/000000000000/q", "https://sqs.us-east-1.amazonaws.com/123456789012/q.fifo",
		"http://h:80:90/a/q", "http://h:x/a/q", "http://:80/a/q", "http://h/a/q?x#y", "http://h/a/%71", "http://[::1]:80/a/q", "http://u@h/a/q",
		"HTTP://h/a/q", "http://h", "http://h:/a//q/", "http://h/a/../q", "http://h_1/a/q", "http://-./a/q", "//h/a/q", "http://h/a/q\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, ok := QueuePath(text)
		u, err := url.Parse(text)
		if ok != (err == nil) || ok && path != u.Path {
			t.Fatalf("QueuePath(%q) = %q, %t; net/url has %v, %v", text, path, ok, u, err)
		}
	})
}
