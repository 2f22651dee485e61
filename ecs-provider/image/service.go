package main

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
)

// service answers every request that the server accepts, in JSON.
type service struct {
	routes   *http.ServeMux
	notFound http.HandlerFunc
	draining atomic.Bool
}

// An endpoint answers a request and returns what it answered, for the access log.
type endpoint func(http.ResponseWriter, *http.Request) (status, bytes int)

// newService holds all routes. intN draws from [0, n); observe makes a handler of an endpoint.
func newService(intN func(n int) int, observe func(endpoint) http.HandlerFunc) *service {
	s := &service{routes: http.NewServeMux(), notFound: observe(notFound)}
	get := func(path string, answer http.HandlerFunc) {
		s.routes.HandleFunc("GET "+path, answer) // and HEAD
		s.routes.HandleFunc(path, observe(methodNotAllowed))
	}
	males, females := encode("male", maleNames), encode("female", femaleNames)
	get("/dogs", observe(draw(intN, slices.Concat(males, females))))
	get("/dogs/males", observe(draw(intN, males)))
	get("/dogs/females", observe(draw(intN, females)))
	get("/healthz", func(w http.ResponseWriter, _ *http.Request) { // not logged: load balancers ask all the time
		if s.draining.Load() { // so that they take this instance out
			writeError(w, http.StatusServiceUnavailable, "draining: send new connections elsewhere")
		} else {
			writeJSON(w, http.StatusOK, []byte(`{"status":"ok"}`+"\n"))
		}
	})
	s.routes.HandleFunc("/", s.notFound)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Server.SetKeepAlivesEnabled(false) would also cut idle connections, on which a request may be on its way.
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	// The mux would answer //dogs with a redirect and HTML, and * without a body.
	if p := r.URL.Path; !strings.HasPrefix(p, "/") || path.Clean(p) != p {
		s.notFound(w, r)
		return
	}
	s.routes.ServeHTTP(w, r)
}

// encode makes every answer beforehand, so that a request needs no marshalling.
func encode(gender string, names []string) [][]byte {
	bodies := make([][]byte, len(names))
	for i, name := range names {
		bodies[i] = fmt.Appendf(nil, `{"name":%q,"gender":%q}`+"\n", name, gender)
	}
	return bodies
}

func unlogged(answer endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { answer(w, r) }
}

// draw answers with any of the bodies, each equally likely.
func draw(intN func(n int) int, bodies [][]byte) endpoint {
	return func(w http.ResponseWriter, _ *http.Request) (status, bytes int) {
		return writeJSON(w, http.StatusOK, bodies[intN(len(bodies))])
	}
}

func notFound(w http.ResponseWriter, _ *http.Request) (status, bytes int) {
	return writeError(w, http.StatusNotFound, "no such path")
}

func methodNotAllowed(w http.ResponseWriter, _ *http.Request) (status, bytes int) {
	w.Header().Set("Allow", "GET, HEAD")
	return writeError(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
}

func writeJSON(w http.ResponseWriter, status int, body []byte) (int, int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // fails only when the client is gone
	return status, len(body)
}

func writeError(w http.ResponseWriter, status int, message string) (int, int) {
	return writeJSON(w, status, fmt.Appendf(nil, `{"message":%q}`+"\n", message))
}
