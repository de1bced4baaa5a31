package report_test

import (
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestStatusGolden(t *testing.T) {
	view := report.StatusView{Service: "linkwarden", From: "v2.9.1", To: "v2.14.0", State: lifecycle.Open, Waits: "waits for the checks"}
	with := func(f func(*report.StatusView)) report.StatusView {
		v := view
		f(&v)
		return v
	}
	for name, v := range map[string]report.StatusView{
		"status-held": with(func(v *report.StatusView) {
			v.HeldBy, v.HeldFor = "ana", "@everyone fixes #1 until the weekend"
			v.Answers = []report.Answer{{Login: "ana", Command: "hold", Text: "held until `/upgrade resume`", OK: true}, {Login: "bo", Command: "aprove | x", Text: "there is no such command; did you mean `/upgrade approve`?"},
				{Login: "ana", Command: "help", Text: report.Help(), OK: true}}
		}),
		"status-aborted": with(func(v *report.StatusView) {
			v.State, v.BackupDetail = lifecycle.Aborted, "pg_dump: error: connection refused\n```\n<!-- belay:status:v1 -->"
		}),
		"status-by-hand": with(func(v *report.StatusView) { v.State, v.MergedBy, v.Unbacked = lifecycle.Applying, "ana", true }),
		"status-step-verified": with(func(v *report.StatusView) {
			v.State, v.Ladder = lifecycle.Verified, &ladder.Ladder{From: "v2.9.1", Rungs: []string{"v2.10.0", "v2.11.0", "v2.14.0"}, Place: 2, Next: "u3"}
		}),
		"status-step-stopped": with(func(v *report.StatusView) {
			l := &ladder.Ladder{From: "v2.9.1", Rungs: []string{"v2.10.0", "v2.11.0", "v2.11.1", "v2.11.2", "v2.12.0", "v2.13.0", "v2.14.0"}, Place: 4}
			l.Stopped = l.After(lifecycle.Reverted, false).Stop
			v.From, v.To, v.State, v.Ladder, v.Failure, v.Undo = "v2.11.1", "v2.11.2", lifecycle.Reverted, l, "deployment linkwarden/linkwarden is in CrashLoopBackOff", 13
		}),
		"status-verified": with(func(v *report.StatusView) { v.State = lifecycle.Verified }),
	} {
		t.Run(name, func(t *testing.T) { compare(t, name+".golden", report.Status(v)) })
	}
	if got := report.Status(view); got != "" {
		t.Errorf("an open pull request with nothing to say says %q", got)
	}
}
