package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is a stdout that may be read while the service writes.
type sink struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes.String()
}

// logged returns the line that a request leaves.
func logged(t *testing.T, method, target string, headers ...string) string {
	t.Helper()
	out := &sink{}
	log := &accessLog{out: out}
	ask(t, serve(t, newService(first, log.observe)), method, target, headers...)
	log.flush() // the answer leaves when the handler has returned, so the line is there
	return out.String()
}

func TestAccessLogLine(t *testing.T) {
	for name, test := range map[string]struct {
		method, target, headers, want string
	}{
		"plain":          {"GET", "/dogs", "", `"requestId":"","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"query is left":  {"GET", "/dogs?token=x", "", `"requestId":"","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"HEAD":           {"HEAD", "/dogs", "", `"requestId":"","method":"HEAD","path":"/dogs","status":200,"bytes":0`},
		"not found":      {"GET", "/cats", "", `"requestId":"","method":"GET","path":"/cats","status":404,"bytes":27`},
		"unclean path":   {"GET", "//dogs", "", `"requestId":"","method":"GET","path":"//dogs","status":404,"bytes":27`},
		"wrong method":   {"PUT", "/healthz", "", `"requestId":"","method":"PUT","path":"/healthz","status":405,"bytes":44`},
		"escaped path":   {"GET", "/%0A%22,é\"", "", `"requestId":"","method":"GET","path":"/%0A%22,%C3%A9%22","status":404,"bytes":27`},
		"request id":     {"GET", "/dogs", "\r\nx-request-id: JKJ=", `"requestId":"JKJ=","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"subject":        {"GET", "/dogs", "\r\nX-Auth-Subject: ann", `"requestId":"","subject":"ann","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"first of two":   {"GET", "/dogs", "\r\nX-Request-Id: a\r\nX-Request-Id: b", `"requestId":"a","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"quoted id":      {"GET", "/dogs", "\r\nX-Request-Id: a\"\\\tb", `"requestId":"a\u0022\u005c\u0009b","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"unicode id":     {"GET", "/dogs", "\r\nX-Request-Id: é🐕\u2028", `"requestId":"\u00e9\ud83d\udc15\u2028","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"not utf-8":      {"GET", "/dogs", "\r\nX-Request-Id: a\xff", `"requestId":"a\ufffd","method":"GET","path":"/dogs","status":200,"bytes":31`},
		"length bounded": {"GET", "/dogs", "\r\nX-Request-Id: " + strings.Repeat("a", 300), `"requestId":"` + strings.Repeat("a", maxFieldBytes) + `","method":"GET","path":"/dogs","status":200,"bytes":31`},
	} {
		t.Run(name, func(t *testing.T) {
			line := logged(t, test.method, test.target, "X-Other: x"+test.headers)
			want := `^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",` + regexp.QuoteMeta(test.want) + `,"durationMs":\d+\.\d{3}\}` + "\n$"
			if !regexp.MustCompile(want).MatchString(line) {
				t.Errorf("got %swant %s", line, want)
			}
			if !json.Valid([]byte(line)) {
				t.Error("not JSON")
			}
		})
	}
}

func TestHealthChecksAreNotLogged(t *testing.T) {
	out := &sink{}
	log := &accessLog{out: out}
	service := newService(first, log.observe)
	for _, method := range []string{"GET", "HEAD"} {
		service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/healthz", nil))
	}
	log.flush()
	if out.String() != "" {
		t.Errorf("logged %s", out)
	}
}

func TestLinesLeaveByThemselvesWholeAndOnce(t *testing.T) {
	const requests = 4 * 500
	out := &sink{}
	service := newService(first, (&accessLog{out: out}).observe)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range requests / 4 {
				service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/dogs", nil))
			}
		})
	}
	clients.Wait()
	for deadline := time.Now().Add(5 * time.Second); strings.Count(out.String(), "\n") < requests; {
		if time.Now().After(deadline) {
			t.Fatal("lines are missing")
		}
		time.Sleep(flushAfter)
	}
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			t.Fatalf("broken line %q", line)
		}
	}
}
