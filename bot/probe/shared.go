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

// get gives the answer of a key, asking for it where none is fresh. One caller that gives up does not end it for the others.
func (s *shared[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	if a, ok := s.fresh(key); ok {
		return a.value, a.err
	}
	done := s.flight.DoChan(key, func() (any, error) {
		if a, ok := s.fresh(key); ok { // another flight has just landed
			return a, nil
		}
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

func (s *shared[T]) fresh(key string) (answer[T], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.known[key]
	age := s.now().Sub(a.at)
	return a, ok && age >= 0 && age < s.keep
}
