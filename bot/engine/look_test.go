package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/store"
)

func TestABurstOfWakesIsOneJobAndOneLook(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s, w := open(t, state), newWatcher(t, nil)
		e := prepare(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if err := e.Wake(ctx, fmt.Sprint("u", i%3)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := jobs(t, s, "reconcile"); n != 3 {
			t.Errorf("%d jobs for 3 upgrades", n)
		}
		run(t, e)
		idle(t, s, "reconcile", 0)
		for i := range 3 {
			if n := w.count(fmt.Sprint("u", i)); n != 1 {
				t.Errorf("u%d was looked at %d times", i, n)
			}
		}
	})
}

func TestAWakeDuringALookLeadsToOneOtherLook(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s, release := open(t, state), make(chan struct{})
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			if n == 1 {
				<-release
				return time.Now().Add(time.Hour), nil // older than the wake: not when to look next
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		wake(t, e, "u1")
		w.seen("u1", 1)
		for range 10 {
			wake(t, e, "u1")
		}
		if n := jobs(t, s, "reconcile"); n != 1 {
			t.Errorf("%d jobs while it is looked at", n)
		}
		close(release)
		w.seen("u1", 2)
		idle(t, s, "reconcile", 0)
		if n := w.count("u1"); n != 2 {
			t.Errorf("%d looks; want 2", n)
		}
	})
}

// TestNoWakeIsLost wakes upgrades all the time while they are looked at: after
// the last wake of each there is always another look.
func TestNoWakeIsLost(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		var mu sync.Mutex
		wanted, got := map[string]int{}, map[string]int{}
		w := newWatcher(t, func(_ context.Context, id string, _ int) (time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			got[id] = wanted[id] // what this look sees
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 50 {
					id := fmt.Sprint("u", (i+n)%4)
					mu.Lock()
					wanted[id]++
					mu.Unlock()
					if err := e.Wake(ctx, id); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		idle(t, s, "reconcile", 0)
		for id, n := range wanted {
			if got[id] != n {
				t.Errorf("%s: the last look saw %d of %d", id, got[id], n)
			}
		}
	})
}

func TestTheNextLookIsWhenTheLastOneSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		due := make(chan time.Time, 1)
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			switch n {
			case 1:
				at := time.Now().Add(400 * time.Millisecond)
				due <- at
				return at, nil
			case 2, 3:
				return time.Now().Add(time.Hour), nil
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		wake(t, e, "u1")
		at := w.seen("u1", 2)[1]
		if want := <-due; at.Before(want.Add(-time.Millisecond)) {
			t.Errorf("looked %s too early", want.Sub(at))
		}
		idle(t, s, "reconcile", 1) // in an hour
		wake(t, e, "u1")           // but something happens
		w.seen("u1", 3)
		idle(t, s, "reconcile", 1)
		wake(t, e, "u1")
		w.seen("u1", 4)
		idle(t, s, "reconcile", 0) // nothing more to wait for: the timers are gone
	})
}

// TestAShortWaitIsAShortWait holds that a look that is due soon does not wait
// for River's scheduler, which comes by every five seconds.
func TestAShortWaitIsAShortWait(t *testing.T) {
	for name, first := range map[string]func() (time.Time, error){
		"when the look asks for it":     func() (time.Time, error) { return time.Now().Add(soon), nil },
		"when its error says when":      func() (time.Time, error) { return time.Time{}, retryAt{time.Now().Add(soon)} },
		"when its error does not":       func() (time.Time, error) { return time.Time{}, errors.New("the connection was reset") },
		"when it was due a moment ago":  func() (time.Time, error) { return time.Now().Add(-time.Second), nil },
		"when it was due long ago":      func() (time.Time, error) { return time.Now().Add(-24 * time.Hour), nil },
		"when it asks for a retry, now": func() (time.Time, error) { return time.Time{}, retryAt{time.Now()} },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, state store.Options) {
				s := open(t, state)
				w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
					if n == 1 {
						return first()
					}
					return time.Time{}, nil
				})
				e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a"), Backoff: func(int) time.Duration { return soon }})
				wake(t, e, "u1")
				w.seen("u1", 1)
				for state := ""; w.count("u1") < 2; {
					err := s.DB().QueryRowContext(ctx, "SELECT state FROM river_job WHERE kind = 'reconcile' AND state NOT IN ('completed') ORDER BY id DESC LIMIT 1").Scan(&state)
					if err == nil && state == "scheduled" {
						t.Fatal("it waits for the scheduler")
					}
				}
				idle(t, s, "reconcile", 0)
			})
		})
	}
}

// soon is a short wait.
const soon = 300 * time.Millisecond

func TestTimersSurviveARestart(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		due := time.Now().Add(7 * time.Second)
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			if n == 1 {
				return due, nil // further than what is scheduled at once
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		wake(t, e, "u1")
		w.seen("u1", 1)
		halt(t, e)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, state)
		start(t, engine.Options{Store: s, Reconcile: w.reconcile("b")})
		if at := w.seen("u1", 2)[1]; at.Before(due.Add(-time.Millisecond)) {
			t.Errorf("looked %s too early", due.Sub(at))
		}
	})
}

func TestPauseGrowsAndVaries(t *testing.T) {
	for _, row := range []struct {
		failed   int
		min, max time.Duration
	}{
		{0, 500 * time.Millisecond, time.Second}, {1, 500 * time.Millisecond, time.Second}, {2, time.Second, 2 * time.Second}, {5, 8 * time.Second, 16 * time.Second},
		{9, 128 * time.Second, 256 * time.Second}, {11, 5 * time.Minute, 10 * time.Minute}, {5000, 5 * time.Minute, 10 * time.Minute},
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := engine.Pause(row.failed)
			seen[d] = true
			if d < row.min || d > row.max {
				t.Errorf("after %d failures: %s, not between %s and %s", row.failed, d, row.min, row.max)
			}
		}
		if len(seen) < 100 {
			t.Errorf("after %d failures: only %d different pauses of 200", row.failed, len(seen))
		}
	}
}

func TestRetriesBackOffUntilALookSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			switch n {
			case 1, 2, 5:
				return time.Time{}, errors.New("GitHub answers 502")
			case 3:
				panic("an index out of range")
			case 4:
				return time.Now(), nil // after a success the pauses begin anew
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		wake(t, e, "u1")
		at := w.seen("u1", 6)
		for _, row := range []struct {
			after string
			gap   time.Duration
			least time.Duration
		}{
			{"the first failure", at[1].Sub(at[0]), 500 * time.Millisecond}, {"the second", at[2].Sub(at[1]), time.Second}, {"a panic", at[3].Sub(at[2]), 2 * time.Second},
			{"a failure after a success", at[5].Sub(at[4]), 500 * time.Millisecond},
		} {
			if row.gap < row.least {
				t.Errorf("after %s: again after %s, not %s", row.after, row.gap, row.least)
			}
		}
		idle(t, s, "reconcile", 0)
	})
}

// retryAt is an error that says when it is worth trying again.
type retryAt struct{ at time.Time }

func (e retryAt) Error() string      { return "rate limited" }
func (e retryAt) RetryAt() time.Time { return e.at }

func TestWhatSaysWhenToRetryIsObeyed(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		due := time.Now().Add(2 * time.Second)
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			if n == 1 {
				return time.Time{}, fmt.Errorf("merge: %w", retryAt{due})
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		wake(t, e, "u1")
		w.seen("u1", 1)
		wake(t, e, "u1") // while it may be looking still, or waits already
		idle(t, s, "reconcile", 1)
		wake(t, e, "u1")
		if at := w.seen("u1", 2)[1]; at.Before(due.Add(-time.Millisecond)) {
			t.Errorf("looked %s too early", due.Sub(at))
		}
		idle(t, s, "reconcile", 0)
	})
}

// TestADashboardThatIsLimitedIsNotHurried: somebody waits for it, and GitHub has
// said until when it answers nothing.
func TestADashboardThatIsLimitedIsNotHurried(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		due := time.Now().Add(2 * time.Second)
		w := newWatcher(t, func(_ context.Context, _ string, n int) (time.Time, error) {
			if n == 1 {
				return time.Time{}, retryAt{due}
			}
			return time.Time{}, nil
		})
		look := w.reconcile("a")
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("b"), BoardEvery: time.Millisecond, Board: func(ctx context.Context, repository string) error {
			_, err := look(ctx, repository)
			return err
		}})
		now := func() {
			t.Helper()
			if err := e.Board(ctx, "acme/home-ops", true); err != nil {
				t.Fatal(err)
			}
		}
		now()
		w.seen("acme/home-ops", 1)
		now()
		idle(t, s, "board", 1)
		now()
		if at := w.seen("acme/home-ops", 2)[1]; at.Before(due.Add(-time.Millisecond)) {
			t.Errorf("edited %s too early", due.Sub(at))
		}
		idle(t, s, "board", 0)
	})
}

// TestPoisonedUpgradesBlockNobody has more upgrades that fail, panic and hang
// than there are workers.
func TestPoisonedUpgradesBlockNobody(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		w := newWatcher(t, func(ctx context.Context, id string, n int) (time.Time, error) {
			switch id[0] {
			case 'f':
				return time.Time{}, errors.New("always")
			case 'p':
				panic("always")
			case 'h':
				if n == 1 {
					return time.Time{}, errors.New("at first it fails")
				}
				<-ctx.Done()
				return time.Time{}, ctx.Err()
			}
			return time.Time{}, nil
		})
		e := prepare(t, engine.Options{Store: s, Reconcile: w.reconcile("a"), Workers: 2, Timeout: 10 * time.Minute})
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		poisoned := []string{"f1", "f2", "p1", "p2", "h1", "h2", "h3"}
		for _, id := range poisoned {
			wake(t, e, id)
		}
		w.until("as many hang as there are workers for what failed", func() bool {
			hanging := 0
			for id := range w.active {
				if id[0] == 'h' && len(w.looks[id]) > 1 {
					hanging++
				}
			}
			return hanging == 2
		})
		for round := range 3 {
			for i := range 10 {
				wake(t, e, fmt.Sprint("u", i))
			}
			for i := range 10 {
				w.seen(fmt.Sprint("u", i), round+1)
			}
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if err := e.Stop(short); err != nil { // those that hang are told to end
			t.Error(err)
		}
		if n := jobs(t, s, "reconcile"); n != len(poisoned) {
			t.Errorf("%d jobs are left for %d poisoned upgrades", n, len(poisoned))
		}
	})
}

func TestALookThatHangsIsEndedByItsTimeOutAndRepeated(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		w := newWatcher(t, func(ctx context.Context, _ string, n int) (time.Time, error) {
			if n < 3 {
				<-ctx.Done()
				return time.Time{}, ctx.Err()
			}
			return time.Time{}, nil
		})
		e := start(t, engine.Options{Store: s, Reconcile: w.reconcile("a"), Timeout: 200 * time.Millisecond})
		wake(t, e, "u1")
		at := w.seen("u1", 3)
		if d := at[2].Sub(at[1]); d < 1200*time.Millisecond {
			t.Errorf("again after %s: neither timed out nor paused", d)
		}
		idle(t, s, "reconcile", 0)
	})
}

func TestWhatIsToldToEndIsTakenUpAtTheNextStart(t *testing.T) {
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		w := newWatcher(t, func(ctx context.Context, _ string, n int) (time.Time, error) {
			if n == 1 {
				<-ctx.Done()
				return time.Time{}, ctx.Err()
			}
			return time.Time{}, nil
		})
		e := prepare(t, engine.Options{Store: s, Reconcile: w.reconcile("a")})
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		wake(t, e, "u1")
		w.seen("u1", 1)
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if err := e.Stop(short); err != nil {
			t.Error(err)
		}
		start(t, engine.Options{Store: s, Reconcile: w.reconcile("b")})
		w.seen("u1", 2)
	})
}
