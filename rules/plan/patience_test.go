package plan_test

import (
	"testing"
	"time"

	"github.com/belaybot/belay/rules/plan"
)

func TestTroubleWaits(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name    string
		lasting bool
		after   time.Duration
		want    bool
	}{
		{"what passes is tried again", false, 0, true},
		{"for almost a day", false, plan.Patience - time.Second, true},
		{"and no longer", false, plan.Patience, false},
		{"nor after the clock was set back is it given up", false, -time.Hour, true},
		{"an answer that stays ends at once", true, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := (plan.Trouble{Lasting: tc.lasting, Since: noon}).Waits(noon.Add(tc.after)); got != tc.want {
				t.Errorf("waits: %t, want %t", got, tc.want)
			}
		})
	}
}
