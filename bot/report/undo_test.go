package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/pin"
)

func TestUndoGolden(t *testing.T) {
	view := report.UndoView{Service: "url", Good: "4.3.4", Failed: "5.0.2", Pull: 12, MergeSHA: "0123456789abcdef0123456789abcdef01234567",
		Why: "deployment url/shlink is in CrashLoopBackOff", Log: "Back-off restarting failed container\nFATAL: @everyone fixes #1 [skip ci] ```", Automerge: true,
		Edits:  []pin.Edit{{Path: "stacks/url/main.tf", Line: 36, Before: `  image = "shlinkio/shlink:5.0.2"`, After: `  image = "shlinkio/shlink:4.3.4"`, Shape: pin.ShapeLiteral}},
		Marker: report.Marker{Format: 1, Service: "url", From: "4.3.4", To: "5.0.2", Undoes: 12, Images: []string{"shlinkio/shlink"}, Moves: []pin.Move{{Path: "stacks/url/main.tf", Line: 36, Name: "shlinkio/shlink", Role: pin.RoleTag, Old: "4.3.4", New: "5.0.2"}}}}
	with := func(f func(*report.UndoView)) report.UndoView {
		v := view
		f(&v)
		return v
	}
	migrated := func(v *report.UndoView) {
		v.Migration, v.Backup, v.BackupAt = true, "dbaas/mysql-backup-belay-1a2b", time.Date(2026, 3, 2, 11, 58, 0, 0, time.UTC)
	}
	for name, v := range map[string]report.UndoView{
		"undo": view,
		"undo-offer": with(func(v *report.UndoView) {
			v.Offer = &report.Offer{Path: "stacks/url/main.tf", Line: 40, Before: "            memory = \"1Gi\"", After: "            memory = \"2Gi\"", Why: "shlink was OOMKilled at 1Gi: its memory limit is doubled"}
		}),
		"undo-step": with(func(v *report.UndoView) {
			v.Marker.Ladder = &ladder.Ladder{From: "4.2.0", Rungs: []string{"4.3.4", "5.0.2", "5.1.0"}, Place: 2}
		}),
		"undo-blind":             with(func(v *report.UndoView) { v.Blind = true }),
		"undo-asks":              with(func(v *report.UndoView) { v.Automerge = false }),
		"undo-migrated":          with(migrated),
		"undo-migrated-restore":  with(func(v *report.UndoView) { migrated(v); v.MayRestore = true }),
		"undo-migrated-itself":   with(func(v *report.UndoView) { migrated(v); v.MayRestore, v.RestoreItself = true, true }),
		"undo-migrated-unbacked": with(func(v *report.UndoView) { v.Migration, v.Unbacked = true, true }),
		"undo-migrated-nothing":  with(func(v *report.UndoView) { v.Migration = true }),
		"fix": with(func(v *report.UndoView) {
			v.Fix = "doubles the memory limit of shlink to 2Gi, since it was OOMKilled at 1Gi"
		}),
		"fix-value": with(func(v *report.UndoView) { v.Fix, v.NeedsValue = "sets TRUSTED_PROXIES, which the log asks for", true }),
	} {
		t.Run(name, func(t *testing.T) {
			pr := report.RenderUndo(v)
			if strings.Contains(pr.Message+pr.Title, "[skip ci]") {
				t.Error("CI would skip the commit")
			}
			compare(t, name+".golden", pr.Branch+"\n"+pr.Title+"\n"+strings.Join(pr.Labels, ", ")+"\n\n"+pr.Message+"\n----\n"+pr.Body)
			if m, err := report.ParseMarker(pr.Body); err != nil || m.Undoes != 12 || len(m.Moves) != 1 {
				t.Errorf("marker %+v, %v", m, err)
			}
		})
	}
}

func TestStatusOfAnUndoGolden(t *testing.T) {
	view := report.StatusView{Service: "url", From: "4.3.4", To: "5.0.2", State: lifecycle.Reverting, Failure: "deployment url/shlink is in CrashLoopBackOff", Log: "FATAL", Undo: 13, Waits: "waits for the checks of the revert"}
	clash := view
	clash.Undo, clash.Clashes = 0, []string{`stacks/url/main.tf:36: shlinkio/shlink is at "5.0.3" now; the undo would put "4.3.4" back for "5.0.2"`}
	critical := view
	critical.State = lifecycle.Critical
	reverted := view
	reverted.State = lifecycle.Reverted
	for name, v := range map[string]report.StatusView{"status-reverting": view, "status-clash": clash, "status-critical": critical, "status-reverted": reverted} {
		t.Run(name, func(t *testing.T) { compare(t, name+".golden", report.Status(v)) })
	}
}
