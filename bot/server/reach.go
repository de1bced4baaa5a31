package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/belaybot/belay/bot/github"
)

// reach is what somebody may see: repositories in lower case, with whether they
// may write there.
type reach struct {
	may map[string]bool
	all bool // everything: nobody signs in
	at  time.Time
}

// reads reports whether a repository may be shown.
func (r reach) reads(repository string) bool {
	_, ok := r.may[strings.ToLower(repository)]
	return ok || r.all
}

func (r reach) writes(repository string) bool { return r.may[strings.ToLower(repository)] }

// reaches keeps for some minutes what GitHub said of each session.
type reaches struct {
	ask func(ctx context.Context, token string) (map[string]bool, error)
	now func() time.Time

	group singleflight.Group
	mu    sync.Mutex
	known map[string]reach // by session
}

const (
	reachFor   = 3 * time.Minute  // what GitHub said is believed
	reachStale = 15 * time.Minute // and as long as it cannot be asked
)

// of says what a session may see. It returns github.ErrSignIn when GitHub no
// longer knows its token.
func (r *reaches) of(ctx context.Context, s session) (reach, error) {
	r.mu.Lock()
	known, ok := r.known[s.ID]
	r.mu.Unlock()
	if ok && r.now().Sub(known.at) < reachFor {
		return known, nil
	}
	// Whoever asks first may go away: the others still want the answer.
	got, err, _ := r.group.Do(s.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		may, err := r.ask(ctx, s.Token)
		if err != nil {
			return reach{}, err
		}
		fresh := reach{may: make(map[string]bool, len(may)), at: r.now()}
		for name, writes := range may {
			fresh.may[strings.ToLower(name)] = writes
		}
		r.keep(s.ID, fresh)
		return fresh, nil
	})
	switch {
	case err == nil:
		return got.(reach), nil
	case errors.Is(err, github.ErrSignIn):
		r.forget(s.ID)
	case ok && r.now().Sub(known.at) < reachStale:
		return known, nil
	}
	return reach{}, err
}

func (r *reaches) keep(id string, fresh reach) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, known := range r.known {
		if r.now().Sub(known.at) > reachStale {
			delete(r.known, old)
		}
	}
	r.known[id] = fresh
}

func (r *reaches) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, id)
}
