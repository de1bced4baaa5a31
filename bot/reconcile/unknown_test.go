package reconcile

import "testing"

// TestWithUnknown keeps what this belay does not know, and nothing that it does:
// what it took out of a record stays out, wherever in the record's types it is.
func TestWithUnknown(t *testing.T) {
	for _, tc := range []struct{ name, now, older, want string }{
		{"nothing unknown", `{"waits":"b"}`, `{"waits":"a"}`, `{"waits":"b"}`},
		{"what a newer belay noted stays", `{"waits":"b"}`, `{"waits":"a","tomorrow":[1]}`, `{"tomorrow":[1],"waits":"b"}`},
		{"what is taken out is out", `{"waits":"b"}`, `{"waits":"a","gone":"x","tomorrow":1}`, `{"tomorrow":1,"waits":"b"}`},
		{"and so is what was judged", `{"waits":"b"}`, `{"waits":"a","blockers":["x"],"risk":"caution","tomorrow":1}`, `{"tomorrow":1,"waits":"b"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := withUnknown([]byte(tc.now), []byte(tc.older)); err != nil || string(got) != tc.want {
				t.Errorf("%s, %v; want %s", got, err, tc.want)
			}
		})
	}
}
