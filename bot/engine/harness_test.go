package engine_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
)

var ctx = context.Background()

// patience is how long a test waits for what is to happen on a busy machine.
const patience = time.Minute

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, state store.Options)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); f(t, store.Options{Dir: t.TempDir()}) })
	t.Run("PostgreSQL", func(t *testing.T) { t.Parallel(); f(t, store.Options{Database: postgres.New(t), Postgres: pool.Open}) })
}

// watcher sees every look of one or more engines.
type watcher struct {
	t    *testing.T
	look func(ctx context.Context, id string, n int) (time.Time, error) // the nth at an upgrade, from 1; nil: nothing to do

	mu      sync.Mutex
	changed chan struct{}
	looks   map[string][]time.Time
	active  map[string]bool
	byWhom  map[string]int
}

func newWatcher(t *testing.T, look func(ctx context.Context, id string, n int) (time.Time, error)) *watcher {
	return &watcher{t: t, look: look, changed: make(chan struct{}), looks: map[string][]time.Time{}, active: map[string]bool{}, byWhom: map[string]int{}}
}

// reconcile is what an engine calls; who names the engine.
func (w *watcher) reconcile(who string) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, id string) (time.Time, error) {
		w.mu.Lock()
		if w.active[id] {
			w.t.Errorf("two look at %s at the same time", id)
		}
		w.active[id] = true
		w.looks[id] = append(w.looks[id], time.Now())
		w.byWhom[who]++
		n := len(w.looks[id])
		w.tell()
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.active, id)
			w.tell()
		}()
		if w.look == nil {
			return time.Time{}, nil
		}
		return w.look(ctx, id, n)
	}
}

func (w *watcher) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits for something that is asked under the lock, after every look.
func (w *watcher) until(what string, f func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := f(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("never: %s", what)
		}
	}
}

// seen waits until an upgrade has been looked at n times, and returns when.
func (w *watcher) seen(id string, n int) []time.Time {
	w.t.Helper()
	w.until(id+" is looked at", func() bool { return len(w.looks[id]) >= n })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks[id]
}

func (w *watcher) count(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.looks[id])
}

func open(t *testing.T, state store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(ctx, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// prepare makes an engine, fast enough for tests.
func prepare(t *testing.T, opts engine.Options) *engine.Engine {
	t.Helper()
	if opts.Poll == 0 {
		opts.Poll = 10 * time.Millisecond
	}
	if opts.Log == nil {
		opts.Log = logger()
	}
	if opts.Dispatch == nil {
		opts.Dispatch = func(context.Context, string) error { return nil }
	}
	if opts.Reconcile == nil {
		opts.Reconcile = func(context.Context, string) (time.Time, error) { return time.Time{}, nil }
	}
	e, err := engine.New(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func logger() *slog.Logger {
	out := io.Discard
	if os.Getenv("BELAY_TEST_LOG") != "" {
		out = os.Stderr
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start prepares an engine and runs it until the test ends.
func start(t *testing.T, opts engine.Options) *engine.Engine {
	t.Helper()
	e := prepare(t, opts)
	run(t, e)
	return e
}

func run(t *testing.T, e *engine.Engine) {
	t.Helper()
	if err := e.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { halt(t, e) })
}

func halt(t *testing.T, e *engine.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func wake(t *testing.T, e *engine.Engine, id string) {
	t.Helper()
	if err := e.Wake(ctx, id); err != nil {
		t.Fatal(err)
	}
}

// jobs counts the unfinished jobs of a kind.
func jobs(t *testing.T, s *store.Store, kind string) int {
	t.Helper()
	var n int
	if err := s.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM river_job WHERE kind = '"+kind+"' AND state IN ('available', 'pending', 'running', 'retryable', 'scheduled')").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// idle waits until there are n unfinished jobs of a kind.
func idle(t *testing.T, s *store.Store, kind string, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); jobs(t, s, kind) != n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("there are %d %s jobs, never %d", jobs(t, s, kind), kind, n)
		}
	}
}
