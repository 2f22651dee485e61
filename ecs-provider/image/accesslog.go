package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf16"
)

const (
	timeFormat    = "2006-01-02T15:04:05.000Z07:00"
	flushAfter    = 20 * time.Millisecond // what a kill -9 may lose
	maxFieldBytes = 256                   // of what a client chooses freely
)

// accessLog writes a line of JSON a request. One write for many lines saves a system call a request.
type accessLog struct {
	out   io.Writer
	mu    sync.Mutex
	lines []byte
}

func (l *accessLog) observe(answer endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status, bytes := answer(w, r)
		if r.Method == http.MethodHead {
			bytes = 0
		}
		l.add(r, status, bytes, start, time.Since(start))
	}
}

func (l *accessLog) add(r *http.Request, status, bytes int, start time.Time, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		time.AfterFunc(flushAfter, l.flush)
	}
	b := start.UTC().AppendFormat(append(l.lines, `{"time":"`...), timeFormat)
	b = appendString(append(b, `","requestId":`...), r.Header.Get("X-Request-Id"))
	if subject := r.Header.Get("X-Auth-Subject"); subject != "" {
		b = appendString(append(b, `,"subject":`...), subject)
	}
	b = appendString(append(b, `,"method":`...), r.Method)
	b = appendString(append(b, `,"path":`...), r.URL.EscapedPath())
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), int64(bytes), 10)
	b = strconv.AppendFloat(append(b, `,"durationMs":`...), float64(took.Microseconds())/1000, 'f', 3, 64)
	l.lines = append(b, "}\n"...)
}

func (l *accessLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Write(l.lines) // nobody to tell when stdout is gone
	l.lines = l.lines[:0]
}

// appendString appends s as JSON in printable ASCII, so that it can fool neither a line reader nor a terminal.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s[:min(len(s), maxFieldBytes)] {
		if ' ' <= r && r <= '~' && r != '"' && r != '\\' {
			b = append(b, byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return append(b, '"')
}
