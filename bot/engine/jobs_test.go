package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/store"
)

func TestADispatchIsPlannedIfItIsStored(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		planned := make(chan string, 10)
		var mu sync.Mutex
		tries := 0
		e := start(t, engine.Options{Store: s, Dispatch: func(_ context.Context, id string) error {
			mu.Lock()
			defer mu.Unlock()
			tries++
			switch tries {
			case 1:
				return errors.New("the mirror cannot be fetched")
			case 2:
				panic("at the second")
			}
			planned <- id
			return nil
		}})
		broken := errors.New("and then it broke")
		_, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "lost"}, func(ctx context.Context, tx *sql.Tx, id string) error {
			return errors.Join(e.DispatchTx(ctx, tx, id), broken)
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		id, isNew, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, e.DispatchTx)
		if err != nil || !isNew {
			t.Fatal(isNew, err)
		}
		select {
		case got := <-planned:
			if got != id {
				t.Errorf("%s was planned, not %s", got, id)
			}
		case <-time.After(patience):
			t.Fatal("it was not planned")
		}
		idle(t, s, "dispatch", 0)
		if tries != 3 {
			t.Errorf("%d tries; want 3", tries)
		}
	})
}

// TestMessagesHoldUpNothing has everybody's messages hang and fail while
// upgrades are looked at and dispatches planned.
func TestMessagesHoldUpNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s, w := open(t, state), newWatcher(t, nil)
		release, told, hangs := make(chan struct{}), make(chan string, 10), make(chan struct{}, 10)
		var once sync.Once
		planned := make(chan string, 1)
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a"), Workers: 1,
			Dispatch: func(_ context.Context, id string) error { planned <- id; return nil },
			Notify: func(_ context.Context, id string) error {
				hangs <- struct{}{}
				<-release
				err := error(nil)
				once.Do(func() { err = errors.New("the chat is down") })
				if err == nil {
					told <- id
				}
				return err
			}})
		for _, id := range []string{"u1", "u2", "u3"} {
			if err := e.Notify(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		<-hangs
		<-hangs
		wake(t, e, "u1")
		w.seen("u1", 1)
		if _, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, e.DispatchTx); err != nil {
			t.Fatal(err)
		}
		<-planned
		close(release)
		got := map[string]bool{}
		for range 3 {
			select {
			case id := <-told:
				got[id] = true
			case <-time.After(patience):
				t.Fatalf("only %v were told", got)
			}
		}
		if len(got) != 3 {
			t.Errorf("told: %v", got)
		}
	})
}

func TestNobodyIsToldWhereNobodyListens(t *testing.T) {
	s := open(t, store.Options{Dir: t.TempDir()})
	e := prepare(t, engine.Options{Store: s})
	if err := e.Notify(ctx, "u1"); err != nil {
		t.Fatal(err)
	}
	if n := jobs(t, s, "notify"); n != 0 {
		t.Errorf("%d messages wait for ever", n)
	}
}

func TestPeriodicWorkIsRepeatedWhateverItDoes(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		runs := make(chan struct{}, 100)
		n := 0
		start(t, engine.Options{Store: open(t, state), Periodic: []engine.Periodic{{Name: "often", Every: 50 * time.Millisecond, Run: func(context.Context) error {
			n++ // one at a time: the race detector watches
			runs <- struct{}{}
			switch n {
			case 1:
				return errors.New("not this time")
			case 2:
				panic("nor this time")
			}
			return nil
		}}}})
		for range 4 {
			select {
			case <-runs:
			case <-time.After(patience):
				t.Fatal("it is not repeated")
			}
		}
	})
}
