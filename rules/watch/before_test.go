package watch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/watch"
)

func TestWhatWasUnhealthyBeforeIsNotTheUpgrades(t *testing.T) {
	before := watch.Before([]watch.Sample{
		{Kind: watch.HTTP, Name: "https://self-signed.example.org", State: watch.Bad},
		{Kind: watch.HTTP, Name: "https://web.example.org", State: watch.Good},
		{Kind: watch.Kuma, Name: "web", State: watch.Blind},
		{Kind: watch.Rollout, Name: "deployment web/web", State: watch.Fatal},
	})
	if diff := cmp.Diff([]string{"http https://self-signed.example.org"}, before); diff != "" {
		t.Fatal(diff)
	}
	got := watch.Since([]watch.Sample{
		{Kind: watch.HTTP, Name: "https://self-signed.example.org", State: watch.Bad, Detail: "certificate"},
		{Kind: watch.HTTP, Name: "https://web.example.org", State: watch.Bad},
		{Kind: watch.Rollout, Name: "deployment web/web", State: watch.Fatal},
	}, before)
	var states []watch.State
	for _, x := range got {
		states = append(states, x.State)
	}
	if diff := cmp.Diff([]watch.State{watch.Absent, watch.Bad, watch.Fatal}, states); diff != "" {
		t.Error(diff)
	}
	if x := watch.Since([]watch.Sample{{Kind: watch.HTTP, Name: "https://self-signed.example.org", State: watch.Good}}, before)[0]; x.State != watch.Good {
		t.Errorf("what is healthy now is %s", x.State)
	}
}
