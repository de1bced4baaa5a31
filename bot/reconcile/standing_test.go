package reconcile

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/policy"
)

// TestTroublesAreThoseOfEachStanding asks for many repositories at once, and for
// one after the other.
func TestTroublesAreThoseOfEachStanding(t *testing.T) {
	t.Parallel()
	r := alone(t)
	note := func(repository string, trouble error) {
		r.noteConfig(t.Context(), &job{u: store.Upgrade{Repository: repository}, home: &home{}}, "0a1b", policy.Default(), nil, trouble)
	}
	note("Acme/home-ops", errors.New("unknown key"))
	note("acme/right", nil)
	names := []string{"acme/home-ops", "acme/right", "acme/unseen"}
	got, err := r.Troubles(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, name := range names {
		s, err := r.Standing(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Trouble != "" {
			want[name] = s.Trouble
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 1 {
		t.Error(diff, got)
	}
	if err := r.opts.Store.Put(t.Context(), configKey("acme/right"), "{"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Troubles(t.Context(), names); err == nil {
		t.Error("what was kept and cannot be read is passed over")
	}
}
