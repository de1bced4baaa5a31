package reconcile

import (
	"errors"
	"testing"

	"github.com/belaybot/belay/bot/store"
)

// alone is a reconciler with a state and nothing else.
func alone(t *testing.T) *Reconciler {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return New(Options{Store: s})
}

// TestAFreezeThatCannotBeReadIsAnError and no word that it is worth trying again
// at once: what fails waits longer and longer.
func TestAFreezeThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	r := alone(t)
	if err := r.opts.Store.Close(); err != nil {
		t.Fatal(err)
	}
	err := r.merge(t.Context(), &job{u: store.Upgrade{ID: "u1", Repository: "acme/home-ops"}})
	if err == nil || errors.As(err, new(*later)) {
		t.Errorf("merged without knowing whether the repository is frozen: %v", err)
	}
}
