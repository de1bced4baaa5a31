package lifecycle_test

import (
	"testing"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
)

func TestChecks(t *testing.T) {
	good := func(name string) lifecycle.Reported { return lifecycle.Reported{Name: name, State: lifecycle.Good} }
	bad := func(name string) lifecycle.Reported { return lifecycle.Reported{Name: name, State: lifecycle.Bad} }
	running := func(name string) lifecycle.Reported {
		return lifecycle.Reported{Name: name, State: lifecycle.Running}
	}
	own := lifecycle.Reported{Name: "belay/verify", State: lifecycle.Running, Own: true}
	type list = []lifecycle.Reported
	for _, tc := range []struct {
		name     string
		required []string
		reported list
		age      time.Duration
		want     lifecycle.Progress
	}{
		{"a required one that has not reported is waited for", []string{"ci"}, list{good("lint")}, time.Hour, lifecycle.Running},
		{"only the required one counts", []string{"ci"}, list{good("ci"), bad("lint"), running("docs")}, 0, lifecycle.Good},
		{"with none required all reported ones count", nil, list{good("ci"), bad("lint")}, 0, lifecycle.Bad},
		{"belay's own never count", nil, list{good("ci"), own}, 0, lifecycle.Good},
		{"nothing reported yet", nil, list{own}, time.Second, lifecycle.Running},
		{"nothing reports at all", nil, list{own}, time.Hour, lifecycle.Good},
		{"the same name from two sources counts by the worse", []string{"ci"}, list{good("ci"), bad("ci")}, 0, lifecycle.Bad},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lifecycle.Checks(tc.required, tc.reported, tc.age); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestReviews(t *testing.T) {
	approved := lifecycle.Opinion{State: "APPROVED", Login: "ana", OfHead: true, MayWrite: true}
	changes := lifecycle.Opinion{State: "CHANGES_REQUESTED", Login: "ana", MayWrite: true}
	with := func(o lifecycle.Opinion, f func(*lifecycle.Opinion)) lifecycle.Opinion { f(&o); return o }
	type list = []lifecycle.Opinion
	for _, tc := range []struct {
		name string
		in   list
		want lifecycle.Review
	}{
		{"nobody", nil, lifecycle.ReviewNone},
		{"approved", list{approved}, lifecycle.ReviewApproved},
		{"approved by somebody who may not write", list{with(approved, func(o *lifecycle.Opinion) { o.MayWrite = false })}, lifecycle.ReviewNone},
		{"approved by the bot", list{with(approved, func(o *lifecycle.Opinion) { o.Bot = true })}, lifecycle.ReviewNone},
		{"approved before the last push", list{with(approved, func(o *lifecycle.Opinion) { o.OfHead = false })}, lifecycle.ReviewNone},
		{"a later comment leaves the approval", list{approved, with(approved, func(o *lifecycle.Opinion) { o.State = "COMMENTED" })}, lifecycle.ReviewApproved},
		{"taken back", list{changes, approved}, lifecycle.ReviewApproved},
		{"dismissed", list{changes, with(changes, func(o *lifecycle.Opinion) { o.State = "DISMISSED" })}, lifecycle.ReviewNone},
		{"one asks for changes, another approves", list{changes, with(approved, func(o *lifecycle.Opinion) { o.Login = "bo" })}, lifecycle.ReviewChanges},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lifecycle.Reviews(tc.in); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestServes(t *testing.T) {
	for _, tc := range []struct {
		name           string
		started, ready time.Duration // before now; ready -1: not ready
		maxAge         time.Duration
		want           bool
	}{
		{"begun once it was ready", time.Minute, 2 * time.Minute, time.Hour, true},
		{"begun at that moment", time.Minute, time.Minute, time.Hour, true},
		{"begun before it was ready", 3 * time.Minute, 2 * time.Minute, time.Hour, false},
		{"too old", 2 * time.Hour, 3 * time.Hour, time.Hour, false},
		{"any age", 200 * time.Hour, 300 * time.Hour, 0, true},
		{"not ready", time.Minute, -1, time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ready := now.Add(-tc.ready)
			if tc.ready < 0 {
				ready = time.Time{}
			}
			if got := lifecycle.Serves(now, now.Add(-tc.started), ready, tc.maxAge); got != tc.want {
				t.Errorf("%v", got)
			}
		})
	}
}
