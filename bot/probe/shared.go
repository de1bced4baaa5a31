package probe

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// shared keeps answers for a moment, by key: fifty watches that look at the
// same time ask once. Failures are kept as well, so that a server that is down
// is not asked fifty times either.
type shared[T any] struct {
	keep time.Duration
	now  func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	known  map[string]answer[T]
}

type answer[T any] struct {
	at    time.Time
	value T
	err   error
}

// get gives the answer of a key, asking for it where none is fresh. at is when
// it was asked for. One caller that gives up does not end it for the others.
func (s *shared[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	a, ok := s.known[key]
	s.mu.Unlock()
	if age := s.now().Sub(a.at); ok && age >= 0 && age < s.keep {
		return a.value, a.err
	}
	done := s.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		a := answer[T]{at: s.now()}
		a.value, a.err = ask(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.known == nil {
			s.known = map[string]answer[T]{}
		}
		for k, old := range s.known { // nothing is kept for repositories that are gone
			if a.at.Sub(old.at) > time.Hour {
				delete(s.known, k)
			}
		}
		s.known[key] = a
		return a, nil
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case r := <-done:
		a, _ := r.Val.(answer[T])
		return a.value, a.err
	}
}
