package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
)

// newSample answers in the shape of the 2021 sample's handler: a random name, a structured line through a logger, JSON
// marshalled for each request. The sample logged with logrus; slog, the standard library's, is faster.
func newSample(out io.Writer) http.HandlerFunc {
	names := []string{"Ace", "Archie", "Bailey", "Bandit", "Bear", "Benji", "Bruno", "Buddy", "Max", "Winston"}
	log := slog.New(slog.NewJSONHandler(out, nil))
	return func(w http.ResponseWriter, _ *http.Request) {
		dog := struct{ Name, Gender string }{names[rand.IntN(len(names))], "male"}
		log.Info("generated new dog name", "name", dog.Name, "gender", dog.Gender)
		body, err := json.Marshal(dog)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}
}
