package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the tests start their own binary as the service.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_SERVICE") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type process struct {
	*exec.Cmd
	address string
	lines   *bufio.Scanner
	stderr  bytes.Buffer
}

// start runs the service as a process on a free port; variables override that.
func start(t *testing.T, variables ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0])}
	p.Env = append([]string{"TEST_AS_SERVICE=1", "HOST=127.0.0.1", "PORT=0"}, variables...)
	p.Stderr = &p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(stdout)
	if p.lines.Scan() {
		var line struct{ Time, Message string }
		if err := json.Unmarshal(p.lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		p.address = strings.TrimPrefix(line.Message, "listening on ")
	}
	return p
}

// end reads the rest of stdout, waits and returns the lines and the exit code.
func (p *process) end() (lines []string, code int) {
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	p.Wait()
	return lines, p.ProcessState.ExitCode()
}

// keepAlive returns a function that sends GET /dogs over one connection again and again.
func keepAlive(t *testing.T, address string) func() *http.Response {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	reader := bufio.NewReader(conn)
	return func() *http.Response {
		t.Helper()
		fmt.Fprint(conn, "GET /dogs HTTP/1.1\r\nHost: dogs\r\n\r\n")
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return response
	}
}

func TestDrainAnswersOpenAndNewConnectionsThenExits0(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p := start(t, "DRAIN_SECONDS=1")
			used, idle := keepAlive(t, p.address), keepAlive(t, p.address)
			for range 2 {
				if response := used(); response.StatusCode != 200 || response.Close {
					t.Fatalf("before: %d, close %v", response.StatusCode, response.Close)
				}
			}
			idle()

			signalled := time.Now()
			p.Process.Signal(signal)
			for { // until the signal has arrived
				if response := keepAlive(t, p.address)(); response.Close {
					break
				}
				if time.Since(signalled) > 5*time.Second {
					t.Fatal("nobody is asked to leave")
				}
			}
			for name, ask := range map[string]func() *http.Response{"used": used, "idle": idle} {
				if response := ask(); response.StatusCode != 200 || !response.Close {
					t.Errorf("%s connection during the drain: %d, close %v", name, response.StatusCode, response.Close)
				}
			}

			health, body := ask(t, p.address, "GET", "/healthz")
			if want := `{"message":"draining: send new connections elsewhere"}` + "\n"; health.StatusCode != 503 || body != want || !health.Close {
				t.Errorf("health during the drain: %d %q, close %v", health.StatusCode, body, health.Close)
			}

			lines, code := p.end()
			if took := time.Since(signalled); took < time.Second {
				t.Errorf("drained for %s only", took)
			}
			if code != 0 || p.stderr.Len() > 0 || len(lines) < 6 {
				t.Errorf("exit code %d, stderr %q, %d lines", code, &p.stderr, len(lines))
			}
		})
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := start(t, "DRAIN_SECONDS=15")
	signalled := time.Now()
	p.Process.Signal(syscall.SIGTERM)
	time.Sleep(100 * time.Millisecond) // two pending signals of a kind are one
	p.Process.Signal(syscall.SIGTERM)
	if _, code := p.end(); code == 0 || time.Since(signalled) > 10*time.Second {
		t.Errorf("exit code %d after %s", code, time.Since(signalled))
	}
}

func TestAccessLogIsCompleteOrOff(t *testing.T) {
	for value, want := range map[string]int{"on": 1, "off": 0} {
		p := start(t, "ACCESS_LOG="+value, "DRAIN_SECONDS=0")
		if response, _ := ask(t, p.address, "OPTIONS", "*"); response.StatusCode != 404 { // past the server's own answer
			t.Error(response.Status)
		}
		p.Process.Signal(syscall.SIGTERM)
		if lines, code := p.end(); code != 0 || len(lines) != want {
			t.Errorf("%s: exit code %d, logged %q", value, code, lines)
		}
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	p := start(t, "PORT="+port)
	_, code := p.end()
	want := "error: port " + port + " is already in use: stop what listens there or set PORT\n"
	if got := p.stderr.String(); code != 1 || got != want {
		t.Errorf("exit code %d, %q, want %q", code, got, want)
	}
}

func TestAllMalformedSettingsAreReportedAtOnce(t *testing.T) {
	p := start(t, "HOST=dogs", "PORT=http", "ACCESS_LOG=no", "DRAIN_SECONDS=-1")
	_, code := p.end()
	want := `error: HOST must be an IP address such as 127.0.0.1, not "dogs"
error: PORT must be a port number such as 8080, not "http"
error: ACCESS_LOG must be on or off, not "no"
error: DRAIN_SECONDS must be a whole number from 0 to 255, not "-1"
`
	if got := p.stderr.String(); code != 2 || got != want {
		t.Errorf("exit code %d, %q, want %q", code, got, want)
	}
}

func TestSettings(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want settings
	}{
		"defaults": {nil, settings{"", "8080", true, 100 * time.Second}},
		"network":  {map[string]string{"HOST": "::1", "PORT": "8081"}, settings{"::1", "8081", true, drainFor}},
		"log on":   {map[string]string{"ACCESS_LOG": "on"}, settings{"", "8080", true, drainFor}},
		"others":   {map[string]string{"ACCESS_LOG": "off", "DRAIN_SECONDS": "0"}, settings{"", "8080", false, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readSettings(func(name string) string { return test.env[name] })
			if err != nil || got != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
	for name, values := range map[string][]string{
		"HOST":          {"localhost", "127.0.0.1:80", " "},
		"PORT":          {"65536", "-1", "+80", "8080 ", "0x50"},
		"ACCESS_LOG":    {"ON", "0", "true"},
		"DRAIN_SECONDS": {"256", "1.5", "5s"},
	} {
		for _, value := range values {
			if _, err := readSettings(func(n string) string { return map[string]string{name: value}[n] }); err == nil {
				t.Errorf("%s=%q was accepted", name, value)
			}
		}
	}
}
