package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// table answers the three calls of the todo service as DynamoDB does, a page in time that does not grow with the table.
// Emulators that were tried sort or copy the whole table for each page: they would be what is measured.
type table struct {
	mu    sync.RWMutex
	items []item
	index map[string]int
}

type value struct{ S string }

type key struct {
	ID value `json:"id"`
}

type item struct {
	key
	Data  value `json:"data"`
	Token value `json:"token,omitzero"`
}

type call struct {
	Item                   item
	Key, ExclusiveStartKey key
	Limit                  int
}

func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if size, ok := strings.CutPrefix(r.URL.Path, "/fill/"); ok {
		t.fill(w, size)
		return
	}
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"__type": "SerializationException", "message": err.Error()})
		return
	}
	switch target := r.Header.Get("X-Amz-Target"); target {
	case "DynamoDB_20120810.PutItem":
		t.put(w, c)
	case "DynamoDB_20120810.GetItem":
		t.get(w, c)
	case "DynamoDB_20120810.Scan":
		t.scan(w, c)
	default:
		answer(w, http.StatusBadRequest, map[string]any{"__type": "UnknownOperationException", "message": target})
	}
}

// fill makes a new table of that many todos.
func (t *table) fill(w http.ResponseWriter, size string) {
	n, err := strconv.Atoi(size)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items, t.index = make([]item, 0, n), make(map[string]int, n)
	for i := range n {
		t.add(item{key: key{value{fmt.Sprintf("%08x", i)}}, Data: value{"walk the dog"}})
	}
	answer(w, http.StatusOK, n)
}

func (t *table) add(i item) {
	t.index[i.ID.S] = len(t.items)
	t.items = append(t.items, i)
}

func (t *table) put(w http.ResponseWriter, c call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, taken := t.index[c.Item.ID.S]; taken {
		failed := "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
		answer(w, http.StatusBadRequest, map[string]any{"__type": failed, "Item": t.items[at]})
		return
	}
	t.add(c.Item)
	answer(w, http.StatusOK, struct{}{})
}

func (t *table) get(w http.ResponseWriter, c call) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if at, ok := t.index[c.Key.ID.S]; ok {
		answer(w, http.StatusOK, map[string]item{"Item": t.items[at]})
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (t *table) scan(w http.ResponseWriter, c call) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	first := 0
	if after := c.ExclusiveStartKey.ID.S; after != "" {
		first = t.index[after] + 1
	}
	page := map[string]any{}
	items := t.items[first:]
	if c.Limit > 0 && c.Limit < len(items) {
		items = items[:c.Limit]
		page["LastEvaluatedKey"] = items[c.Limit-1].key
	}
	page["Items"], page["Count"], page["ScannedCount"] = items, len(items), len(items)
	answer(w, http.StatusOK, page)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
