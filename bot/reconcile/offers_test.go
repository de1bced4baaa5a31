package reconcile

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestTheDashboardIssueOffersWhatThePageOffers puts one upgrade on both.
func TestTheDashboardIssueOffersWhatThePageOffers(t *testing.T) {
	t.Parallel()
	way := func(change ...func(*ladder.Ladder)) *ladder.Ladder {
		l := &ladder.Ladder{From: "1.0.0", Rungs: []string{"1.1.0", "2.0.0"}, Place: 1}
		for _, f := range change {
			f(l)
		}
		return l
	}
	for _, tc := range []struct {
		name  string
		state lifecycle.State
		way   *ladder.Ladder
		step  bool
	}{
		{"a step with another ahead can be agreed to with it", lifecycle.Open, way(), true},
		{"what was agreed to is not asked again", lifecycle.Open, way(func(l *ladder.Ladder) { l.All = &ladder.Agreed{Login: "ana"} }), false},
		{"a ladder that stands can go on", lifecycle.Unverified, way(), true},
		{"but not twice", lifecycle.Unverified, way(func(l *ladder.Ladder) { l.Next = "u2" }), false},
		{"nothing is ahead of the last step", lifecycle.Open, way(func(l *ladder.Ladder) { l.Place = 2 }), false},
		{"nor where it goes there at once", lifecycle.Open, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := job{u: store.Upgrade{ID: "u1", State: string(tc.state), Final: tc.state.Final(), Pull: 7}, rec: record{Ladder: tc.way, Merge: merge{SHA: "0a1b"}}}
			data, err := json.Marshal(j.rec)
			if err != nil {
				t.Fatal(err)
			}
			j.u.Data = data
			page, err := Show(j.u)
			if err != nil {
				t.Fatal(err)
			}
			issue := j.onBoard().Offered
			if !slices.Equal(issue, page.Offers) {
				t.Errorf("the issue offers %q, the page %q", issue, page.Offers)
			}
			if slices.Contains(issue, command.Step) != tc.step {
				t.Errorf("the issue offers %q, steps among them: want %t", issue, tc.step)
			}
		})
	}
}
