package action

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// queue says which upgrade is looked at next, and when.
type queue struct {
	mu   sync.Mutex
	due  map[string]time.Time
	bell chan struct{} // something became due sooner
}

func newQueue() *queue { return &queue{due: map[string]time.Time{}, bell: make(chan struct{}, 1)} }

// set has an upgrade looked at, at a moment or sooner.
func (q *queue) set(id string, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if old, ok := q.due[id]; ok && old.Before(at) {
		return
	}
	q.due[id] = at
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

// next is the upgrade that is due first; false when there is none.
func (q *queue) next() (id string, at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for other, when := range q.due {
		if !ok || when.Before(at) || when.Equal(at) && other < id {
			id, at, ok = other, when, true
		}
	}
	return id, at, ok
}

// ids are all that are to be looked at.
func (q *queue) ids() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.due))
}

// take removes an upgrade, so that it can be set anew while it is looked at.
func (q *queue) take(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.due, id)
}

// wait returns at a moment, when something is due sooner, or when ctx ends.
func (q *queue) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-q.bell:
	case <-ctx.Done():
	}
}
