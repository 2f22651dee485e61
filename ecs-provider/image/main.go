// Command dog-names answers GET /dogs with a random dog name, as JSON over HTTP.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// The gateway waits 10 s for an answer.
	answerWithin = 8 * time.Second
	// An NLB drops idle connections after 350 s. If the service closed first, a request could meet the closing.
	idleTimeout = 360 * time.Second
	// An NLB goes on opening connections to a task that stops: for a minute after /healthz fails, for two after a
	// deregistration. For this long they are answered, and every answer asks its client to leave. The container's stop
	// timeout, of at most 120 s, must exceed drainFor + answerWithin.
	drainFor = 100 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", strings.ReplaceAll(err.Error(), "\n", "\nerror: "))
		if _, ok := errors.AsType[settingsError](err); ok {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends and then drains; nil means that no request was cut off.
func run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	settings, err := readSettings(getenv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(settings.host, settings.port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s is already in use: stop what listens there or set PORT", settings.port)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `{"time":"%s","message":"listening on %s"}`+"\n", time.Now().UTC().Format(timeFormat), listener.Addr())
	observe := unlogged
	if settings.accessLog {
		log := &accessLog{out: stdout}
		defer log.flush()
		observe = log.observe
	}
	service := newService(rand.IntN, observe)
	server := &http.Server{
		Handler: service,
		// Half to read a request and half to answer it: together answerWithin.
		ReadHeaderTimeout:            answerWithin / 2,
		ReadTimeout:                  answerWithin / 2,
		WriteTimeout:                 answerWithin / 2,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               16 << 10, // the gateway lets 10,240 bytes through and adds some of its own
		DisableGeneralOptionsHandler: true,     // it would answer "OPTIONS *" without JSON
	}
	drained := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		service.draining.Store(true)
		time.Sleep(settings.drain)
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		drained <- server.Shutdown(ctx)
	})
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-drained
}

type settings struct {
	host, port string
	accessLog  bool
	drain      time.Duration
}

// settingsError joins everything that is wrong with the environment.
type settingsError struct{ error }

func readSettings(getenv func(string) string) (settings, error) {
	var problems []error
	check := func(ok bool, name, expected string) {
		if !ok {
			problems = append(problems, fmt.Errorf("%s must be %s, not %q", name, expected, getenv(name)))
		}
	}
	host := getenv("HOST") // empty means every interface, as a container needs
	check(host == "" || net.ParseIP(host) != nil, "HOST", "an IP address such as 127.0.0.1")
	port := cmp.Or(getenv("PORT"), "8080")
	_, err := strconv.ParseUint(port, 10, 16)
	check(err == nil, "PORT", "a port number such as 8080")
	accessLog, ok := map[string]bool{"": true, "on": true, "off": false}[getenv("ACCESS_LOG")]
	check(ok, "ACCESS_LOG", "on or off")
	seconds, err := strconv.ParseUint(cmp.Or(getenv("DRAIN_SECONDS"), fmt.Sprint(drainFor.Seconds())), 10, 8)
	check(err == nil, "DRAIN_SECONDS", "a whole number from 0 to 255")
	if problems != nil {
		return settings{}, settingsError{errors.Join(problems...)}
	}
	return settings{host, port, accessLog, time.Duration(seconds) * time.Second}, nil
}
