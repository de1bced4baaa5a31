package reconcile_test

import (
	"testing"

	"github.com/belaybot/belay/bot/intake"
)

// TestPreviewSaysWhatADispatchThenDoes asks what would come of a dispatch while a
// ladder is open, and holds the answer against what comes of it.
func TestPreviewSaysWhatADispatchThenDoes(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "2.0.0", "2.1.0")
	foreseen := func(tag string) string {
		t.Helper()
		d, err := intake.New("acme/web", tag)
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.life.rec.Preview(t.Context(), d)
		if err != nil || len(list) != 1 || list[0].To != tag {
			t.Fatalf("%s: %+v, %v", tag, list, err)
		}
		return list[0].Reason
	}
	came := func(tag string) (reason string) {
		t.Helper()
		w.dispatch("acme/web", tag)
		w.eventually("something came of the dispatch of "+tag, func() bool {
			list, err := w.life.store.Dispatches(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Tag == tag && len(d.Outcomes) > 0 {
					reason = d.Outcomes[0].Reason
					return true
				}
			}
			return false
		})
		return reason
	}
	for _, tc := range []struct{ name, tag, want string }{
		{"nothing is open: it would be a new one", "2.0.0", ""},
		{"a version on the way of the ladder", "1.2.0", "an upgrade to 2.0.0 is open already"},
		{"a newer one moves the ladder's end", "2.1.0", "updates the upgrade that is open"},
	} {
		if got := foreseen(tc.tag); got != tc.want {
			t.Errorf("%s: foreseen %q, want %q", tc.name, got, tc.want)
		}
		if got := came(tc.tag); got != tc.want {
			t.Errorf("%s: it came to %q, want %q", tc.name, got, tc.want)
		}
		w.pullTo("1.1.0") // the open step is still the first
	}
}
