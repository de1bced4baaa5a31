package main

import (
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
)

func TestWhatComesOfADispatch(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	upgrade := server.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "data", From: "1.0.0", To: "1.0.1", Pull: 7, Risk: "safe"}
	begun := server.Outcome{Repository: "acme/home-ops", Service: "data", Upgrade: "u1"}
	waits := server.Outcome{Repository: "acme/home-ops", Service: "blog", Reason: "connection refused", Stuck: "waits", Since: &since}
	for _, tc := range []struct {
		name             string
		d                server.Dispatch
		settled          bool
		outcomes, status string // what is printed of it by belay dispatch --wait, and by belay status
		err              string
	}{
		{name: "it has not been looked at", err: "belay status shows what it waits for", status: "acme/web:1.0.1: not planned yet\n"},
		{name: "one service waits, the other is upgraded", d: server.Dispatch{Outcomes: []server.Outcome{begun, waits}},
			outcomes: "data 1.0.0 → 1.0.1: acme/home-ops#7 (safe)\nwaits since 1 Mar 12:00: acme/home-ops blog: connection refused\n",
			status:   "acme/web:1.0.1: waits since 1 Mar 12:00: acme/home-ops blog: connection refused\n"},
		{name: "it was given up", d: server.Dispatch{Done: true, Outcomes: []server.Outcome{{Repository: "acme/home-ops", Service: "blog", Reason: "no such tag", Stuck: "given up", Path: "blog/main.tf", Line: 6}}}, settled: true,
			outcomes: "not planned: acme/home-ops blog (blog/main.tf:6): no such tag\n", status: "acme/web:1.0.1: acme/home-ops blog (blog/main.tf:6): no such tag\n"},
		{name: "it asks for nothing", d: server.Dispatch{Done: true, Outcomes: []server.Outcome{{Repository: "acme/home-ops", Reason: "not used"}}}, settled: true,
			outcomes: "nothing to do: acme/home-ops: not used\n", status: "acme/web:1.0.1: acme/home-ops: not used\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.d.ID, tc.d.Image, tc.d.Tag = "d1", "acme/web", "1.0.1"
			s := server.Status{Dispatches: []server.Dispatch{tc.d}, Upgrades: []server.Upgrade{upgrade}}
			if got := settled(s, "d1"); got != tc.settled {
				t.Errorf("settled: %t, want %t", got, tc.settled)
			}
			var out strings.Builder
			if err := printOutcomes(&out, s, "d1"); (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want an error with %q", err, tc.err)
			}
			if out.String() != tc.outcomes {
				t.Errorf("dispatch prints\n%swant\n%s", out.String(), tc.outcomes)
			}
			out.Reset()
			if err := printStatus(&out, s); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(out.String(), "\n"+tc.status) {
				t.Errorf("status prints\n%swant at its end\n%s", out.String(), tc.status)
			}
		})
	}
}
