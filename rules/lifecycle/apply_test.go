package lifecycle_test

import (
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

func TestApplied(t *testing.T) {
	type list = []lifecycle.Reported
	is := func(name string, state lifecycle.Progress) lifecycle.Reported {
		return lifecycle.Reported{Name: name, State: state}
	}
	good, bad, running := is("deploy", lifecycle.Good), is("deploy", lifecycle.Bad), is("deploy", lifecycle.Running)
	killed := lifecycle.CommitStatus("deploy", "error")
	skipped := lifecycle.Reported{Name: "deploy", State: lifecycle.Good, Cut: true} // as the sum of a pull request's checks has it
	deploy := []string{"deploy"}
	for _, tc := range []struct {
		name  string
		named []string
		own   list
		later []list
		want  lifecycle.Progress
	}{
		{"no check is named", nil, list{good}, nil, lifecycle.None},
		{"the named one succeeded", deploy, list{good}, nil, lifecycle.Good},
		{"an unrelated workflow fails for weeks", deploy, list{good, is("build-cli", lifecycle.Bad)}, nil, lifecycle.Good},
		{"an unrelated workflow succeeds first", deploy, list{is("build-cli", lifecycle.Good), running}, nil, lifecycle.Running},
		{"not reported yet", deploy, nil, nil, lifecycle.Running},
		{"it failed", deploy, list{bad}, nil, lifecycle.Bad},
		{"it failed, and a later one succeeded", deploy, list{bad}, []list{{good}}, lifecycle.Bad},
		{"two are named and one is missing", []string{"plan", "deploy"}, list{good}, nil, lifecycle.Running},
		{"two are named and one failed", []string{"plan", "deploy"}, list{is("plan", lifecycle.Bad), running}, nil, lifecycle.Bad},
		{"killed, and nothing came after it yet", deploy, list{killed}, nil, lifecycle.Running},
		{"killed, the later one runs", deploy, list{killed}, []list{{running}}, lifecycle.Running},
		{"killed, the later one succeeded", deploy, list{killed}, []list{{good}}, lifecycle.Good},
		{"killed, the later one failed", deploy, list{killed}, []list{{bad}}, lifecycle.Running},
		{"killed, the later one was killed, the one after that succeeded", deploy, list{killed}, []list{{killed}, {good}}, lifecycle.Good},
		{"killed, only another workflow of the later one succeeded", deploy, list{killed}, []list{{is("build-cli", lifecycle.Good)}}, lifecycle.Running},
		{"left pending for ever, the later one succeeded", deploy, list{running}, []list{{good}}, lifecycle.Good},
		{"never reported, the later one succeeded", deploy, nil, []list{{good}}, lifecycle.Good},
		{"skipped says nothing", deploy, list{skipped}, nil, lifecycle.Running},
		{"the later one was skipped", deploy, list{killed}, []list{{skipped}}, lifecycle.Running},
		{"one axis of a matrix failed", deploy, list{good, bad}, nil, lifecycle.Bad},
		{"one axis of a matrix was cut", deploy, list{good, killed}, nil, lifecycle.Running},
		{"one axis of the later matrix failed", deploy, list{killed}, []list{{good, bad}}, lifecycle.Running},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lifecycle.Applied(tc.named, tc.own, tc.later...); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestReadReports(t *testing.T) {
	for _, tc := range []struct {
		status, conclusion string
		want               lifecycle.Progress
		cut                bool
	}{
		{"queued", "", lifecycle.Running, false},
		{"IN_PROGRESS", "", lifecycle.Running, false},
		{"completed", "success", lifecycle.Good, false},
		{"COMPLETED", "NEUTRAL", lifecycle.Good, false},
		{"completed", "failure", lifecycle.Bad, false},
		{"completed", "timed_out", lifecycle.Bad, false},
		{"completed", "startup_failure", lifecycle.Bad, false},
		{"completed", "a word of next year", lifecycle.Bad, false},
		{"completed", "action_required", lifecycle.Running, false},
		{"completed", "cancelled", lifecycle.Running, true},
		{"COMPLETED", "SKIPPED", lifecycle.Running, true},
		{"completed", "stale", lifecycle.Running, true},
	} {
		if got := lifecycle.CheckRun("deploy", tc.status, tc.conclusion); got.State != tc.want || got.Cut != tc.cut {
			t.Errorf("check run %s, %s: %+v", tc.status, tc.conclusion, got)
		}
	}
	for _, tc := range []struct {
		state string
		want  lifecycle.Progress
		cut   bool
	}{
		{"pending", lifecycle.Running, false}, {"EXPECTED", lifecycle.Running, false}, {"success", lifecycle.Good, false},
		{"FAILURE", lifecycle.Bad, false}, {"error", lifecycle.Running, true},
	} {
		if got := lifecycle.CommitStatus("ci/woodpecker/push/default", tc.state); got.State != tc.want || got.Cut != tc.cut {
			t.Errorf("status %s: %+v", tc.state, got)
		}
	}
}
