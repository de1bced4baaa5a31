package lifecycle

import (
	"slices"
	"testing"
)

func TestShut(t *testing.T) {
	ready := Observed{State: Open, Automerge: true, Turn: true, Merging: Window{Open: true}, Pull: Pull{State: PullOpen, Checks: Good, Mergeable: MergeClean}}
	for _, tc := range []struct {
		name string
		with func(*Observed)
		want []string
	}{
		{"everything is open", func(*Observed) {}, nil},
		{"a failed check and no review", func(o *Observed) { o.Pull.Checks, o.Automerge = Bad, false },
			[]string{"a check failed", "waits for an approving review, or /upgrade approve"}},
		{"held outside the window", func(o *Observed) { o.Held, o.Merging.Open = true, false }, []string{"held", "waits for the window in which belay merges"}},
		{"over", func(o *Observed) { o.State, o.Held = Verified, true }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := ready
			tc.with(&o)
			if got := Shut(o); !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestReached holds the trail against the table: what is recorded of an action
// leads to the state in which it leaves the upgrade.
func TestReached(t *testing.T) {
	for _, r := range Table() {
		if r.To == "" || r.Do == Wait && r.To == "" {
			continue
		}
		what := string(r.Do)
		if r.Do == Enter || r.Do == Wait {
			what = string(r.To)
		}
		if got, ok := Reached(what); !ok || got != r.To {
			t.Errorf("%q reaches %q, and the table says %q", what, got, r.To)
		}
	}
	if _, ok := Reached("command"); ok {
		t.Error("a command is no state")
	}
}
