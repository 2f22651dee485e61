package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// ask sends the request as it stands, which http.Client would tidy, and returns the answer and its body.
func ask(t *testing.T, address, method, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	headers = append(headers, "Host: dogs", "Connection: close")
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\n%s\r\n\r\n", method, target, strings.Join(headers, "\r\n"))
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// serve starts the handler as run does and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.DisableGeneralOptionsHandler = true
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func first(int) int { return 0 }

func TestEveryAnswerIsJSON(t *testing.T) {
	const (
		male     = `{"name":"Ace","gender":"male"}` + "\n"
		female   = `{"name":"Abby","gender":"female"}` + "\n"
		healthy  = `{"status":"ok"}` + "\n"
		notFound = `{"message":"no such path"}` + "\n"
		onlyGet  = `{"message":"only GET and HEAD are allowed"}` + "\n"
	)
	address := serve(t, newService(first, unlogged))
	for _, test := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/dogs", 200, male},
		{"GET", "/dogs?gender=female", 200, male},
		{"GET", "/%64ogs", 200, male},
		{"GET", "http://elsewhere/dogs", 200, male},
		{"GET", "/dogs/males", 200, male},
		{"GET", "/dogs/females", 200, female},
		{"GET", "/healthz", 200, healthy},
		{"HEAD", "/dogs", 200, ""},
		{"GET", "/", 404, notFound},
		{"GET", "/cats", 404, notFound},
		{"POST", "/cats", 404, notFound},
		{"GET", "/dogs/", 404, notFound},
		{"GET", "/dogs/males/Ace", 404, notFound},
		{"GET", "/Dogs", 404, notFound},
		{"GET", "//dogs", 404, notFound},
		{"GET", "/dogs/../x", 404, notFound},
		{"GET", "/x/../dogs", 404, notFound},
		{"GET", "/x/%2e%2e/dogs", 404, notFound},
		{"GET", "/dogs%2Fmales", 404, notFound},
		{"GET", "/dogs%00", 404, notFound},
		{"CONNECT", "dogs:80", 404, notFound},
		{"OPTIONS", "*", 404, notFound},
		{"POST", "/dogs", 405, onlyGet},
		{"OPTIONS", "/dogs", 405, onlyGet},
		{"TRACE", "/dogs/males", 405, onlyGet},
		{"CONNECT", "/dogs/females", 405, onlyGet},
		{"DELETE", "/healthz", 405, onlyGet},
		{"get", "/dogs", 405, onlyGet},
	} {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			response, body := ask(t, address, test.method, test.target)
			if response.StatusCode != test.status || body != test.body {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, body, test.status, test.body)
			}
			if got := response.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if response.ContentLength <= 0 {
				t.Errorf("Content-Length %d", response.ContentLength)
			}
			allow := ""
			if test.status == http.StatusMethodNotAllowed {
				allow = "GET, HEAD"
			}
			if got := response.Header.Get("Allow"); got != allow {
				t.Errorf("Allow %q, want %q", got, allow)
			}
		})
	}
}

func TestNamesAreDistinctWords(t *testing.T) {
	for gender, names := range map[string][]string{"male": maleNames, "female": femaleNames} {
		if len(names) < 40 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			t.Errorf("%d %s names, or one of them twice", len(names), gender)
		}
		for _, body := range encode(gender, names) {
			var dog struct{ Name, Gender string }
			if err := json.Unmarshal(body, &dog); err != nil || !slices.Contains(names, dog.Name) || dog.Gender != gender {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}

var lists = []struct {
	path string
	dogs [][]byte
}{
	{"/dogs/males", encode("male", maleNames)},
	{"/dogs/females", encode("female", femaleNames)},
	{"/dogs", append(encode("male", maleNames), encode("female", femaleNames)...)},
}

func get(handler http.Handler, path string) string {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
	return recorder.Body.String()
}

// A source that counts through its range meets every dog exactly once: no list is cut short, none is favoured.
func TestEveryDogIsDrawn(t *testing.T) {
	for _, list := range lists {
		next := -1
		service := newService(func(n int) int {
			if n != len(list.dogs) {
				t.Errorf("%s draws from %d, want %d", list.path, n, len(list.dogs))
			}
			next++
			return next
		}, unlogged)
		for _, dog := range list.dogs {
			if got := get(service, list.path); got != string(dog) {
				t.Errorf("%s: got %s, want %s", list.path, got, dog)
			}
		}
	}
}

// The real generator with a fixed seed: chi-square stays below the value that chance exceeds once in 10,000 times.
func TestDrawIsEven(t *testing.T) {
	const each = 200
	limits := map[int]float64{50: 93, 100: 160} // by number of dogs, 49 and 99 degrees of freedom
	for _, list := range lists {
		service := newService(rand.New(rand.NewPCG(1, 2)).IntN, unlogged)
		seen := map[string]float64{}
		for range each * len(list.dogs) {
			seen[get(service, list.path)]++
		}
		chiSquare := 0.0
		for _, dog := range list.dogs {
			chiSquare += (seen[string(dog)] - each) * (seen[string(dog)] - each) / each
		}
		if limit := limits[len(list.dogs)]; len(seen) != len(list.dogs) || chiSquare > limit {
			t.Errorf("%s: %d of %d dogs, chi-square %.0f, limit %.0f", list.path, len(seen), len(list.dogs), chiSquare, limit)
		}
	}
}
