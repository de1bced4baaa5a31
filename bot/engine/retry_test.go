package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/store"
)

// limited says when it is worth trying again, as GitHub's rate limits do.
type limited struct{ at time.Time }

func (l limited) Error() string      { return "the rate limit is used up" }
func (l limited) RetryAt() time.Time { return l.at }

// start runs an engine on a state of its own.
func start(t *testing.T, opts engine.Options) *engine.Engine {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	opts.Store, opts.Poll = st, 10*time.Millisecond
	e, err := engine.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestALookIsRepeated checks that no look is lost that could not be finished or
// that asked for another one, and that a short wait is a short wait.
func TestALookIsRepeated(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() (time.Time, error){
		"when its error says when": func() (time.Time, error) { return time.Time{}, limited{time.Now().Add(200 * time.Millisecond)} },
		"when its error does not":  func() (time.Time, error) { return time.Time{}, errors.New("the connection was reset") },
		"when it asks for it":      func() (time.Time, error) { return time.Now().Add(200 * time.Millisecond), nil },
		"when that was asked for in the past": func() (time.Time, error) {
			return time.Now().Add(-time.Second), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var looks atomic.Int32
			began := time.Now()
			again := make(chan time.Duration, 1)
			e := start(t, engine.Options{Backoff: func(int) time.Duration { return 200 * time.Millisecond }, Reconcile: func(context.Context, string) (time.Time, error) {
				if looks.Add(1) == 1 {
					began = time.Now()
					return first()
				}
				again <- time.Since(began)
				return time.Time{}, nil
			}})
			if err := e.Wake(t.Context(), "u1"); err != nil {
				t.Fatal(err)
			}
			select {
			case after := <-again:
				if name != "when that was asked for in the past" && after < 200*time.Millisecond {
					t.Errorf("the second look came after %s, too soon", after)
				}
			case <-time.After(4 * time.Second): // River's own timers look every five
				t.Fatal("there was no second look within four seconds")
			}
		})
	}
}
