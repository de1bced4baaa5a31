package report

import (
	"fmt"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// AssessmentTitle is the title of the check belay/risk on somebody's pull request.
func AssessmentTitle(upgrades []plan.Upgrade, unjudged int, l risk.Level) string {
	var parts []string
	for _, u := range upgrades {
		parts = append(parts, fmt.Sprintf("%s %s → %s", notes.Plain(u.Service), notes.Plain(u.From), notes.Plain(u.To)))
	}
	if unjudged > 0 {
		parts = append(parts, count(unjudged, "change")+" not judged")
	}
	const shown = 4
	if len(parts) > shown {
		parts = append(parts[:shown], fmt.Sprintf("%d more", len(parts)-shown))
	}
	return level(l) + ": " + strings.Join(parts, ", ")
}

// Assessment is the summary of the check belay/risk on somebody's pull request.
func Assessment(upgrades []plan.Upgrade, unjudged []plan.Skipped) string {
	var b strings.Builder
	for _, u := range upgrades {
		b.WriteString(RiskCheck(u))
		b.WriteString("\n")
	}
	if len(unjudged) > 0 {
		b.WriteString("Not judged:\n\n")
	}
	for _, s := range unjudged {
		fmt.Fprintf(&b, "- %s, %s: %s\n", notes.Plain(s.Service), code(fmt.Sprintf("%s:%d", s.Path, s.Line)), notes.Plain(s.Reason))
	}
	return tidy(b.String())
}

// RunRow is an upgrade in the summary of a run of the Action.
type RunRow struct {
	Service, From, To string
	State, Waits      string
	Pull, Undo        int
	URL               string
}

// RunView is what the summary of a run of the Action shows.
type RunView struct {
	Nothing   string
	Rows      []RunRow
	Notes     []string // sentences: what dispatches led to, who else acts, what failed
	Assessed  string   // Markdown of an assessment
	Unwritten string
	TimeUp    bool
}

// RunSummary is the summary of a run of the Action, in Markdown.
func RunSummary(v RunView) string {
	var b strings.Builder
	b.WriteString("### belay\n\n")
	if v.Nothing != "" {
		fmt.Fprintf(&b, "Nothing to do: %s.\n\n", notes.Plain(v.Nothing))
	}
	if len(v.Rows) > 0 {
		b.WriteString("| service | from | to | pull request | how it stands |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, r := range v.Rows {
		pull := "none yet"
		if r.Pull != 0 {
			pull = fmt.Sprintf("#%d", r.Pull)
			if webAddress.MatchString(r.URL) {
				pull = "[" + pull + "](" + r.URL + ")"
			}
		}
		state := r.State
		if r.Waits != "" {
			state += ": " + r.Waits
		}
		if r.Undo != 0 {
			state += fmt.Sprintf(", undone by #%d", r.Undo)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell(notes.Plain(r.Service)), cell(code(r.From)), cell(code(r.To)), pull, cell(notes.Plain(state)))
	}
	b.WriteString("\n")
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "- %s\n", notes.Plain(n))
	}
	if v.Assessed != "" {
		b.WriteString("\n" + v.Assessed + "\n")
	}
	if v.Unwritten != "" {
		fmt.Fprintf(&b, "\nThe check belay/risk was not written: %s.\n", notes.Plain(v.Unwritten))
	}
	if v.TimeUp {
		b.WriteString("\nThe run's time is up. The next one carries on where it stopped.\n")
	}
	return tidy(b.String())
}
