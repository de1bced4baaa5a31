package report

import (
	"fmt"
	"strings"

	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// StatusView is what the status comment and the check belay/verify speak of.
type StatusView struct {
	Service, From, To string
	State             lifecycle.State
	Waits             string // what it waits for, in words
	Risk              string
	HeldBy, HeldFor   string
	MergeSHA          string
	MergedBy          string
	Unbacked          bool // merged by hand without the backup that is configured
	BackupDetail      string
	Health            string
	Failure           string // why it is undone
	Log               string // of the failing pod
	Undo              int    // number of the revert's pull request
	Clashes           []string
	Offer             *Offer // what would have mended it
	Gone              string
	Updates           []string
	Answers           []Answer
	Ladder            *ladder.Ladder // nil: it goes there in one step
}

// Answer is belay's answer to a command.
type Answer struct {
	Login   string
	Command string
	Text    string
	OK      bool
}

// statusMark tells the status comment from all others.
const statusMark = "<!-- belay:status:v1 -->"

// IsStatus reports whether a comment of belay's is the status comment. One that
// quotes it is not: the mark has to be the first that stands there.
func IsStatus(body string) bool { return strings.HasPrefix(body, statusMark) }

// Headline says in one line where an upgrade stands, and which step it is.
func (s StatusView) Headline() string { return s.headline() + ofSteps(s.Ladder) }

func (s StatusView) headline() string {
	switch s.State {
	case lifecycle.Queued:
		return "Queued: " + or(s.Waits, "about to start")
	case lifecycle.Open:
		if s.HeldBy != "" {
			return "Held by " + s.HeldBy
		}
		return "Open: " + or(s.Waits, "about to go on")
	case lifecycle.BackingUp:
		return "The backup before the merge runs"
	case lifecycle.Aborted:
		return "Not merged: the backup failed"
	case lifecycle.Applying:
		return "Merged: waits for CI to apply it"
	case lifecycle.Watching:
		return "Applied: its health is watched"
	case lifecycle.Reverting:
		return "Failed, and is being undone: " + or(s.Waits, "the revert is about to be opened")
	case lifecycle.Restoring:
		return "Failed, and is being undone: the data is put back"
	case lifecycle.Undoing:
		return "Failed, and is being undone: the revert is merged, CI applies it"
	case lifecycle.Rewatching:
		return "Failed, and is being undone: the old version is watched"
	case lifecycle.Critical:
		return "CRITICAL: the upgrade failed, and so did its revert. A person has to look"
	case lifecycle.Verified:
		return "Done: healthy through the whole window"
	case lifecycle.Unverified:
		return "Done: applied; nothing that watches its health is configured or was in reach"
	case lifecycle.NotDeployed:
		return "Not deployed: merged and applied, and yet " + or(s.Health, "something else runs")
	case lifecycle.Reverted:
		return "Undone: " + s.From + " runs again"
	case lifecycle.Failed:
		return "Failed, and left to a person"
	case lifecycle.Closed:
		return "Closed: this version is left out until there is a newer one"
	case lifecycle.Obsolete:
		return "Nothing left to do: " + or(s.Gone, "the default branch has the version already")
	}
	return string(s.State)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Status is the status comment, "" while there is nothing to say that the pull
// request does not show by itself.
func Status(s StatusView) string {
	quiet := len(s.Answers) == 0 && len(s.Updates) == 0 && s.HeldBy == "" && !s.Unbacked
	if quiet && (s.State == lifecycle.Queued || s.State == lifecycle.Open || s.State == lifecycle.BackingUp || s.State == lifecycle.Applying || s.State == lifecycle.Watching) {
		// Before the merge and while it is watched, the checks say it all.
		return ""
	}
	var b strings.Builder
	execute(&b, "status.tmpl", struct {
		StatusView
		Mark string
	}{s, statusMark})
	return tidy(b.String())
}

// commands lists what can be said, each in a code span.
func commands() string {
	var out []string
	for _, u := range command.Verbs() {
		if u.Verb != command.Help {
			out = append(out, code(said(u)))
		}
	}
	return strings.Join(out, ", ")
}

// said is a command as it stands in a comment: "/upgrade hold [reason]".
func said(u command.Usage) string {
	return strings.TrimSpace("/upgrade " + string(u.Verb) + " " + u.Args)
}

// Help lists the commands as a Markdown table.
func Help() string {
	var b strings.Builder
	b.WriteString("\n\n| command | what it does |\n| --- | --- |\n")
	for _, u := range command.Verbs() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(said(u), "|", `\|`), u.Does)
	}
	return b.String()
}

// answerText is the part of an answer that fits a table's cell; answerTable is
// the table of an answer to help.
func answerText(s string) string {
	text, _, found := strings.Cut(s, "\n\n| ")
	if found && text == "" {
		return "see below"
	}
	return cell(neutral(text))
}

func answerTable(s string) string {
	if _, table, found := strings.Cut(s, "\n\n| "); found {
		return "\n| " + table + "\n"
	}
	return ""
}

// neutral keeps belay's own code spans and takes the effect from all else.
func neutral(s string) string {
	parts := strings.Split(s, "`")
	for i := range parts {
		if i%2 == 0 {
			plain := notes.Plain("." + parts[i] + ".") // Plain trims; the spaces beside a span matter
			parts[i] = plain[1 : len(plain)-1]
		}
	}
	if len(parts)%2 == 0 { // an open span
		return notes.Plain(s)
	}
	return strings.Join(parts, "`")
}

// RiskCheck is the summary of the check belay/risk.
func RiskCheck(u plan.Upgrade) string {
	var b strings.Builder
	execute(&b, "risk_check.tmpl", u)
	return tidy(b.String())
}

// Note is what the check belay/risk says of one line of the repository.
type Note struct {
	At          pin.Location
	Title, Text string
}

// maxNotes is how many lines are spoken of.
const maxNotes = 20

// RiskNotes are the lines of the service's own files that set what the release
// notes speak of. See SPEC section 7, impact.
func RiskNotes(u plan.Upgrade) []Note {
	var out []Note
	for _, e := range u.Risk.Evidence {
		for _, use := range e.Uses {
			for _, at := range use.At {
				if len(out) == maxNotes {
					return out
				}
				out = append(out, Note{At: at, Title: notes.Plain(e.Version + ": " + use.Identifier), Text: notes.Plain(e.Text)})
			}
		}
	}
	return out
}

// OthersView is what the check belay/risk speaks of on a head with somebody
// else's commits.
type OthersView struct {
	By, Service, From, To string
	Risk                  risk.Level // of what belay pushed; "" when that was not judged
	Judged                string     // the commit that belay pushed last, "" when it is not known
}

// OthersCheck is the summary of the check belay/risk on a head that holds
// commits by others. It does not judge them.
func OthersCheck(v OthersView) string {
	var b strings.Builder
	if v.Judged != "" && v.Risk != "" {
		fmt.Fprintf(&b, "belay judged its own commit %s, %s %s → %s: **%s**.\n\n", v.Judged, notes.Plain(v.Service), code(v.From), code(v.To), strings.ToUpper(string(v.Risk)))
	}
	fmt.Fprintf(&b, "This head holds commits by %s, which belay has not judged. It is merged only after a person agreed to it: an approving review of this head, or `/upgrade approve`.\n", notes.Plain(v.By))
	return b.String()
}

// BackupCheck is the summary of the check belay/backup.
func BackupCheck(name, state, detail string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.\n", code(name), map[string]string{"good": "succeeded", "bad": "failed", "running": "runs"}[state])
	if detail != "" {
		fmt.Fprintf(&b, "\n%s\n", fenced(detail))
	}
	return b.String()
}

// fenced puts text that belay did not write into a block that it cannot end.
func fenced(s string) string {
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "text\n" + strings.TrimRight(s, "\n") + "\n" + fence
}

// VerifyCheck is the summary of the check belay/verify.
func VerifyCheck(s StatusView) string {
	out := s.Headline() + ".\n"
	if s.MergeSHA != "" {
		out += fmt.Sprintf("\nMerged by %s as %s.\n", or(notes.Plain(s.MergedBy), "somebody"), s.MergeSHA)
	}
	return out
}
