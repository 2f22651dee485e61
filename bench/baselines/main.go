// Command servers plays what the benchmark compares with or leans on: PORT=8081 servers ROLE.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	roles := map[string]http.Handler{
		"constant": http.HandlerFunc(constant),
		"sample":   http.HandlerFunc(newSample(os.Stdout)),
		"dynamodb": &table{},
	}
	role, ok := roles[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "error: unknown role", os.Args[1])
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "error:", http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), role))
	os.Exit(1)
}

// constant is as fast as net/http gets with an answer of the service's size.
func constant(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"name":"Bruno","gender":"male"}` + "\n"))
}
