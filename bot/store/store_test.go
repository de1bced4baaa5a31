package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
)

var (
	ctx  = context.Background()
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// clock is a time that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// place is where a state is kept.
type place struct {
	opts  store.Options
	clock *clock
}

// open opens the state. On SQLite it has to be closed before it is opened again.
func (p place) open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(ctx, p.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, f func(t *testing.T, p place)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		c := &clock{now: noon}
		f(t, place{store.Options{Dir: t.TempDir(), Now: c.Now}, c})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		c := &clock{now: noon}
		f(t, place{store.Options{Database: postgres.New(t), Postgres: pool.Open, Now: c.Now}, c})
	})
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestADispatchIsStoredOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		d := store.Dispatch{Image: "docker.io/acme/web", Tag: "1.0.1", Digest: "sha256:aa", Status: "new", Provider: "kubernetes", HubLink: "https://example.org", Source: "diun", Repository: "acme/home-ops"}
		jobs := 0
		then := func(context.Context, *sql.Tx, string) error { jobs++; return nil }
		id, isNew, err := s.AddDispatch(ctx, d, then)
		if err != nil || !isNew {
			t.Fatal(isNew, err)
		}
		for range 3 {
			again, isNew, err := s.AddDispatch(ctx, d, then)
			if err != nil || isNew || again != id {
				t.Errorf("the same again: %s, new %v, %v; want %s", again, isNew, err, id)
			}
		}
		if jobs != 1 {
			t.Errorf("%d jobs for one dispatch", jobs)
		}
		d.ID, d.Received = id, noon
		same(t, "the dispatch", d, must[store.Dispatch](t)(s.Dispatch(ctx, id)))
		if _, err := s.Dispatch(ctx, "d0"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		for what, other := range map[string]store.Dispatch{
			"another tag":        {Image: d.Image, Tag: "1.0.2", Digest: d.Digest, Repository: d.Repository},
			"another digest":     {Image: d.Image, Tag: d.Tag, Digest: "sha256:bb", Repository: d.Repository},
			"another repository": {Image: d.Image, Tag: d.Tag, Digest: d.Digest, Repository: "bo/home-ops"},
		} {
			if _, isNew, err := s.AddDispatch(ctx, other, nil); err != nil || !isNew {
				t.Errorf("%s is another dispatch: %v, %v", what, isNew, err)
			}
		}
	})
}

func TestADispatchAndItsJobAreStoredTogetherOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		broken := errors.New("no job")
		for range 2 {
			id, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, func(context.Context, *sql.Tx, string) error { return broken })
			if !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			if _, err := s.Dispatch(ctx, id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the dispatch is there: %v", err)
			}
		}
		func() {
			defer func() { _ = recover() }()
			_, _, _ = s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, func(context.Context, *sql.Tx, string) error { panic("in the middle") })
		}()
		if _, isNew, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, nil); err != nil || !isNew {
			t.Errorf("after a panic: %v, %v", isNew, err)
		}
	})
}

// TestWhatFailsTakesNobodyAlong has transactions that fail, panic and succeed
// wait for the writer together.
func TestWhatFailsTakesNobodyAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		broken := errors.New("broken")
		var wg sync.WaitGroup
		for i := range 90 {
			wg.Go(func() {
				defer func() { _ = recover() }()
				_, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: fmt.Sprint(i)}, func(context.Context, *sql.Tx, string) error {
					switch i % 3 {
					case 1:
						return broken
					case 2:
						panic("broken")
					}
					return nil
				})
				if (err == nil) != (i%3 == 0) || i%3 == 1 && !errors.Is(err, broken) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		all := must[[]store.Dispatch](t)(s.Dispatches(ctx, 1000))
		if len(all) != 30 {
			t.Errorf("%d were stored; want 30", len(all))
		}
		for _, d := range all {
			if n, err := strconv.Atoi(d.Tag); err != nil || n%3 != 0 {
				t.Errorf("%s was stored", d.Tag)
			}
		}
	})
}

func TestDispatchesOfManySendersAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		var mu sync.Mutex
		fresh, jobs := 0, 0
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				_, isNew, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: fmt.Sprint(i % 10)}, func(context.Context, *sql.Tx, string) error {
					mu.Lock()
					defer mu.Unlock()
					jobs++
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if isNew {
					fresh++
				}
			})
		}
		wg.Wait()
		if all := must[[]store.Dispatch](t)(s.Dispatches(ctx, 1000)); fresh != 10 || jobs != 10 || len(all) != 10 {
			t.Errorf("%d new, %d jobs, %d stored; want 10 each", fresh, jobs, len(all))
		}
	})
}

func TestWhatADispatchLedTo(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		var ids []string
		for i := range 3 {
			id, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: fmt.Sprint(i)}, nil)
			ok(t, err)
			ids = append(ids, id)
			p.clock.pass(time.Second)
		}
		var many []store.Outcome // more than one statement takes
		for i := range 1203 {
			many = append(many, store.Outcome{Repository: "acme/one", Service: fmt.Sprint("s", i), Reason: "not newer", Path: "main.tf", Line: i, At: noon})
		}
		ok(t, s.SetOutcomes(ctx, ids[0], "acme/one", []store.Outcome{{Reason: "will be replaced"}}))
		ok(t, s.SetOutcomes(ctx, ids[0], "acme/one", many))
		two := []store.Outcome{{Repository: "acme/two", Service: "web", Upgrade: "u1", At: noon}}
		ok(t, s.SetOutcomes(ctx, ids[0], "acme/two", two))
		ok(t, s.SetOutcomes(ctx, ids[1], "acme/one", nil))
		same(t, "outcomes", append(slices.Clone(many), two...), must[store.Dispatch](t)(s.Dispatch(ctx, ids[0])).Outcomes)
		ok(t, s.FinishDispatch(ctx, ids[0]))

		list := must[[]store.Dispatch](t)(s.Dispatches(ctx, 2))
		same(t, "the newest two", []string{ids[2], ids[1]}, []string{list[0].ID, list[1].ID})
		all := must[[]store.Dispatch](t)(s.Dispatches(ctx, 100))
		same(t, "none of another source", 0, len(must[[]store.Dispatch](t)(s.DispatchesFrom(ctx, "elsewhere", 100))))
		same(t, "all of the same source", len(all), len(must[[]store.Dispatch](t)(s.DispatchesFrom(ctx, all[0].Source, 100))))
		same(t, "outcomes in the list", 1204, len(all[2].Outcomes))
		open := must[[]store.Dispatch](t)(s.UnfinishedDispatches(ctx))
		same(t, "not planned yet, oldest first", []string{ids[1], ids[2]}, []string{open[0].ID, open[1].ID})
		if err := s.SetOutcomes(ctx, "d0", "acme/one", many); err == nil {
			t.Error("outcomes of a dispatch that is not there were taken")
		}
	})
}
