package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// TextOptions say what the terminal can show.
type TextOptions struct {
	Color bool
	Width int // columns
}

// Text writes a plan for a person at a terminal.
func Text(w io.Writer, p plan.Plan, opts TextOptions) error {
	t := &terminal{opts: opts}
	for i, u := range p.Upgrades {
		if i > 0 {
			t.line("")
		}
		t.upgrade(u)
	}
	if len(p.Upgrades) == 0 {
		t.line("Nothing to do.")
	}
	if len(p.Skipped) > 0 {
		t.line("")
		t.line("%s", t.bold("Skipped"))
		for _, s := range p.Skipped {
			t.line("  %s  %s:%d  %s", s.Service, s.Path, s.Line, s.Reason)
		}
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

type terminal struct {
	b    strings.Builder
	opts TextOptions
}

func (t *terminal) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *terminal) paint(code, s string) string {
	if !t.opts.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *terminal) bold(s string) string { return t.paint("1", s) }

var colours = map[risk.Level]string{risk.Safe: "1;32", risk.Caution: "1;33", risk.Unknown: "1;35"}

func (t *terminal) upgrade(u plan.Upgrade) {
	t.line("%s  %s → %s  %s  %s", t.bold(u.Service), u.From, u.To, t.paint(colours[u.Risk.Level], level(u.Risk.Level)), summary(u))
	for _, e := range u.Edits {
		t.line("  %s:%d", e.Path, e.Line)
		t.line("    %s", t.paint("31", "- "+strings.TrimSpace(e.Before)))
		t.line("    %s", t.paint("32", "+ "+strings.TrimSpace(e.After)))
	}
	for i, r := range u.Risk.Reasons {
		t.field([]string{"why", ""}[min(i, 1)], r)
	}
	for i, e := range u.Risk.Evidence {
		if i == 12 {
			t.field("", fmt.Sprintf("and %d more", len(u.Risk.Evidence)-i))
			break
		}
		t.field([]string{"notes", ""}[min(i, 1)], e.Version+": "+notes.Plain(e.Text)+usesText(e))
	}
	t.advice(u)
	if len(u.Risk.Security) > 0 {
		t.field("fixes", strings.Join(u.Risk.Security, ", "))
	}
	if u.Risk.Migration {
		t.field("data", "rollback may need a restore: "+notes.Plain(u.Risk.MigrationText))
	}
	if len(u.Steps) > 1 {
		t.field("steps", strings.Join(u.Steps, " → "))
	}
	if u.Backup != nil {
		t.field("backup", string(u.Backup.Kind)+" "+u.Backup.Name)
	}
	for _, s := range u.Warnings {
		t.field("note", s)
	}
	if u.Automerge {
		t.field("then", "merged by belay once the checks are green, and watched for "+short(u.Verify.Window))
	} else {
		t.field("then", "waits for a person: "+strings.Join(u.Blockers, "; "))
	}
}

// advice is what the adviser said, marked as what it is.
func (t *terminal) advice(u plan.Upgrade) {
	a := u.Advice.Advice
	if a == nil {
		return
	}
	verdict := "adds nothing to the risk"
	if a.Level == risk.Caution {
		verdict = "asks for a look"
	}
	t.field("advice", fmt.Sprintf("%s (a language model; may be wrong) %s", notes.Plain(a.Model), verdict))
	for _, s := range a.Summary {
		t.field("", notes.Plain(s))
	}
	for _, f := range a.Findings {
		t.field("", notes.Plain(f.Version)+": “"+notes.Plain(f.Quote)+"” "+notes.Plain(f.Text)+usesText(risk.Evidence{Uses: f.Uses}))
	}
	if a.Dropped > 0 {
		t.field("", count(a.Dropped, "part")+" of its answer left out")
	}
}

// field writes a name and a text that wraps below itself.
func (t *terminal) field(name, text string) {
	const indent = 9
	width := max(t.opts.Width, 40) - indent - 2
	first := true
	for line := range wrap(text, width) {
		label := ""
		if first {
			label = name
		}
		t.line("  %-*s%s", indent-2, label, line)
		first = false
	}
}

// wrap cuts text into lines of at most width columns at spaces.
func wrap(text string, width int) func(func(string) bool) {
	return func(yield func(string) bool) {
		line := ""
		for _, word := range strings.Fields(text) {
			if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
				if !yield(line) {
					return
				}
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		yield(line)
	}
}

func usesText(e risk.Evidence) string {
	var out []string
	for _, u := range e.Uses {
		if len(u.At) > 0 {
			out = append(out, fmt.Sprintf("%s is set in %s:%d", u.Identifier, u.At[0].Path, u.At[0].Line))
		}
	}
	switch {
	case len(out) > 0:
		return " (" + strings.Join(out, "; ") + ")"
	case len(e.Uses) > 0:
		return " (not used here)"
	}
	return ""
}

// Markdown writes the pull requests of a plan, one after another.
func Markdown(w io.Writer, p plan.Plan) error {
	var b strings.Builder
	for i, u := range p.Upgrades {
		if i > 0 {
			b.WriteString("\n---\n\n")
		}
		r := Render(u)
		fmt.Fprintf(&b, "# %s\n\nBranch: `%s`  \nLabels: %s\n\n%s", r.Title, r.Branch, strings.Join(r.Labels, ", "), r.Body)
	}
	for _, s := range p.Skipped {
		fmt.Fprintf(&b, "\nSkipped: %s %s:%d: %s\n", s.Service, s.Path, s.Line, s.Reason)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
