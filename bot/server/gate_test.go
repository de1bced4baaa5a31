package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

const hookSecret = "a secret that nobody guesses"

// gate is belay's door with a state behind it and a queue that only notes.
type gate struct {
	t     testing.TB
	store *store.Store
	srv   *server.Server
	log   *bytes.Buffer

	mu         sync.Mutex
	woken      []string
	dispatched []string
	forgotten  []string
	broken     error // what the queue answers
}

func newGate(t testing.TB, change ...func(*server.Options)) *gate {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	g := &gate{t: t, store: st, log: &bytes.Buffer{}}
	opts := server.Options{Store: st, Queue: g, DiunToken: func() string { return "token" }, WebhookSecret: func() string { return hookSecret },
		Forget: func(name string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.forgotten = append(g.forgotten, name)
		}, Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&opts)
	}
	g.srv = server.New(opts)
	return g
}

// lose has the state answer with errors wherever a table is read or written,
// until what it returns is called.
func (g *gate) lose(table string) (mend func()) {
	g.t.Helper()
	rename := func(from, to string) {
		g.t.Helper()
		if _, err := g.store.DB().Exec("ALTER TABLE " + from + " RENAME TO " + to); err != nil {
			g.t.Fatal(err)
		}
	}
	rename(table, "lost")
	return func() { rename("lost", table) }
}

// Wake implements server.Queue.
func (g *gate) Wake(_ context.Context, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken == nil {
		g.woken = append(g.woken, id)
	}
	return g.broken
}

// DispatchTx implements server.Queue.
func (g *gate) DispatchTx(_ context.Context, _ *sql.Tx, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dispatched = append(g.dispatched, id)
	return nil
}

// took gives what was woken and forgotten since it was asked last, sorted.
func (g *gate) took() (woken, forgotten []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	woken, forgotten = g.woken, g.forgotten
	g.woken, g.forgotten = nil, nil
	slices.Sort(woken)
	slices.Sort(forgotten)
	return slices.Compact(woken), slices.Compact(forgotten)
}

// The commits of the upgrades in the state.
var (
	headA = strings.Repeat("a", 40)
	headB = strings.Repeat("b", 40)
)

// upgrades puts upgrades into the state: web (#7) and wiki (#8) of
// acme/home-ops, things (#7) of bo/things, and one that is over (#9).
func (g *gate) upgrades() {
	g.t.Helper()
	for _, u := range []store.Upgrade{
		{ID: "web", Repository: "acme/home-ops", Service: "web", Lane: "web", State: "open", Pull: 7, Data: []byte(`{"head":"` + headA + `"}`)},
		{ID: "wiki", Repository: "acme/home-ops", Service: "wiki", Lane: "wiki", State: "open", Pull: 8, Data: []byte(`{"head":"` + headB + `"}`)},
		{ID: "things", Repository: "bo/things", Service: "web", Lane: "web", State: "open", Pull: 7, Data: []byte(`{"head":"` + headA + `"}`)},
		{ID: "over", Repository: "acme/home-ops", Service: "blog", Lane: "blog", State: "verified", Pull: 9, Final: true, Data: []byte(`{"head":"` + headA + `"}`)},
	} {
		if _, _, err := g.store.CreateUpgrade(g.t.Context(), u); err != nil {
			g.t.Fatal(err)
		}
	}
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a webhook as GitHub does, changed where a test wants it so.
func (g *gate) post(event, guid, body string, change ...func(*http.Request)) (int, string) {
	g.t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/github/webhook", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", guid)
	req.Header.Set("X-Hub-Signature-256", sign([]byte(body)))
	for _, f := range change {
		f(req)
	}
	rec := httptest.NewRecorder()
	g.srv.Handler().ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}
