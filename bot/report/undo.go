package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
)

// UndoView is what the pull request that undoes an upgrade, or mends it, is
// made of. See SPEC section 11.
type UndoView struct {
	Service       string
	Good, Failed  string // versions: the one that goes back, the one that failed
	Pull          int    // of the upgrade that failed
	MergeSHA      string // its commit on the default branch
	Why           string
	Log           string // last lines and events of the failing pod
	Migration     bool   // the failed version may have migrated data
	MayRestore    bool   // a restore is configured, and there is a backup to put back
	Unbacked      bool   // a restore is configured, and there is none
	RestoreItself bool   // and is made without asking
	Backup        string // taken before the merge: "dbaas/postgresql-backup-belay-1a2b", "" for none
	BackupAt      time.Time
	Automerge     bool
	Blind         bool   // nobody knows what was unhealthy before the merge
	Offer         *Offer // what would mend it instead; nil when nothing is recognised
	Fix           string // what is mended, in words; "" when it is an undo
	NeedsValue    bool   // the fix has a placeholder that a person fills in
	Edits         []pin.Edit
	Marker        Marker
}

// Offer is a change that would make the new version run.
type Offer struct {
	Path       string `json:"path"`
	Line       int    `json:"line"`
	Before     string `json:"before"` // whole lines
	After      string `json:"after"`
	Why        string `json:"why"`
	NeedsValue bool   `json:"needs_value,omitempty"` // After has a placeholder
}

// diff shows the offer as a diff.
func (o Offer) diff() string {
	var b strings.Builder
	for _, part := range []struct{ sign, text string }{{"-", o.Before}, {"+", o.After}} {
		for _, line := range strings.Split(part.text, "\n") {
			b.WriteString(part.sign + line + "\n")
		}
	}
	fence := "```"
	for strings.Contains(b.String(), fence) {
		fence += "`"
	}
	return fence + "diff\n" + b.String() + fence
}

// RenderUndo writes the pull request of an undo, or of a fix.
func RenderUndo(v UndoView) PullRequest {
	title, branch, label := fmt.Sprintf("revert: %s %s → %s", v.Service, v.Failed, v.Good), "revert-", "revert"
	if v.Fix != "" {
		title, branch, label = fmt.Sprintf("fix: %s %s", v.Service, v.Failed), "fix-", "fix"
	}
	out := PullRequest{Branch: Branch(v.Service, branch+v.Failed), Title: notes.Plain(title), Labels: []string{"belay", label}}
	if v.Migration {
		out.Labels = append(out.Labels, "data migration")
	}
	var body, message strings.Builder
	execute(&body, "undo.tmpl", v)
	execute(&message, "undo_commit.tmpl", struct {
		UndoView
		Title string
	}{v, out.Title})
	out.Body, out.Message = Remark(tidy(body.String()), v.Marker), tidy(message.String())
	return out
}

// moment is a time to the minute; "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return day(t)
}
