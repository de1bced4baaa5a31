// Package report writes every text that people read, as templates: the pull
// request's title and body, the commit message, labels, and a plan on a
// terminal.
//
// In goes a plan.Upgrade; out comes text that is safe to send to GitHub whatever
// upstream wrote. It decides nothing. See SPEC section 9.
package report

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	template "github.com/DataDog/datadog-agent/pkg/template/text"

	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// MaxBody is the longest pull request body in characters that GitHub takes.
const MaxBody = 65_536

// PullRequest is the text of an upgrade's pull request.
type PullRequest struct {
	Branch  string   // belay/<service>/<version>
	Title   string   // upgrade: linkwarden v2.9.1 → v2.14.0
	Body    string   // Markdown, at most MaxBody characters, the marker last
	Labels  []string // created on demand
	Message string   // commit message: subject, blank line, body
}

//go:embed templates
var files embed.FS

// Templates call functions and no methods: an engine that can look for any method
// has the linker keep all methods of all types, which is a fifth of the program.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"code": code, "cell": cell, "plain": notes.Plain, "next": next, "level": level, "summary": summary, "changelog": changelog,
	"uses": uses, "found": found, "link": link, "upper": strings.ToUpper, "join": strings.Join, "count": count, "lines": changedLines, "short": short,
	"strong": func(e risk.Evidence) bool { return e.Strength == notes.Strong },
	"fenced": fenced, "diff": Offer.diff, "answer": answerText, "table": answerTable, "sentence": sentence,
	"steps": steps, "rungs": rungs, "path": path, "rule": rule, "leftOut": leftOut, "neutral": neutral,
	"inc":  func(i int) int { return i + 1 },
	"step": (*ladder.Ladder).Of, "goal": (*ladder.Ladder).To, "top": (*ladder.Ladder).Top, "ahead": (*ladder.Ladder).Ahead, "covered": (*ladder.Ladder).Covered,
	"commands": commands, "headline": StatusView.Headline, "moment": moment,
}).ParseFS(files, "templates/*.tmpl"))

// Render writes the pull request of one upgrade.
func Render(u plan.Upgrade) PullRequest {
	return PullRequest{Branch: Branch(u.Service, u.To), Title: title(u), Body: body(u), Labels: labels(u), Message: message(u)}
}

func title(u plan.Upgrade) string {
	return notes.Plain(fmt.Sprintf("upgrade: %s %s → %s", u.Service, u.From, u.To))
}

// Branch names the branch of an upgrade. Only letters, digits, ".", "_" and
// "-" are kept, and what git check-ref-format refuses is avoided; the slash of
// a nested service's name stays one level: belay/apps-url/5.0.2.
func Branch(service, to string) string {
	return "belay/" + refName(service) + "/" + refName(to)
}

// unsafeRef matches what is not kept in a branch's name: " ", "/", "~", "..".
var unsafeRef = regexp.MustCompile(`[^A-Za-z0-9._-]+|\.{2,}`)

func refName(s string) string {
	s = unsafeRef.ReplaceAllString(s, "-")
	s = strings.Trim(s, "-.")
	s = strings.TrimSuffix(s, ".lock")
	if len(s) > 100 {
		s = strings.TrimRight(s[:100], "-.")
	}
	if s == "" {
		return "x"
	}
	return s
}

func labels(u plan.Upgrade) []string {
	out := []string{"belay", "risk: " + string(u.Risk.Level)}
	if u.Backup != nil {
		out = append(out, "database")
	}
	if len(u.Risk.Security) > 0 {
		out = append(out, "security")
	}
	if u.Risk.Migration {
		out = append(out, "data migration")
	}
	if u.IgnoredByTerraform {
		out = append(out, "ignored by terraform")
	}
	switch {
	case steps(u.Ladder):
		out = append(out, fmt.Sprintf("step %d/%d", u.Ladder.Place, len(u.Ladder.Rungs)))
	case len(u.Steps) > 1:
		out = append(out, fmt.Sprintf("steps: %d", len(u.Steps)))
	}
	return out
}

func message(u plan.Upgrade) string {
	var b strings.Builder
	execute(&b, "commit.tmpl", u)
	var out []string
	for _, line := range strings.Split(b.String(), "\n") {
		out = append(out, strings.TrimRight(line, " "))
	}
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}

// maxChanges is how many releases a commit's message names, and maxTitle how
// many characters of a release's title.
const (
	maxChanges = 10
	maxTitle   = 100
)

// changelog names the releases between, the newest first, with their titles where
// they have any.
func changelog(u plan.Upgrade) string {
	var out []string
	titled := false
	for i, r := range slices.Backward(u.Releases) {
		if len(out) == maxChanges {
			out = append(out, fmt.Sprintf("and %d before", i+1))
			break
		}
		line := notes.Plain(r.Tag)
		if title := []rune(strings.Join(strings.Fields(notes.Plain(r.Name)), " ")); len(title) > 0 && !strings.Contains(r.Tag, string(title)) {
			if len(title) > maxTitle {
				title = append(title[:maxTitle], '…')
			}
			line, titled = line+": "+string(title), true
		}
		out = append(out, line)
	}
	if titled {
		return "\n- " + strings.Join(out, "\n- ")
	}
	return " " + strings.Join(out, ", ")
}

// execute runs a template over values that it is written for; an error is a
// defect of the template, which the golden tests would show.
func execute(b *strings.Builder, name string, data any) {
	if err := templates.ExecuteTemplate(b, name, data); err != nil {
		panic(fmt.Sprintf("template %s: %v", name, err))
	}
}

// content is what body.tmpl is made of.
type content struct {
	plan.Upgrade
	Notes  string // collapsed sections, or ""
	Marker string
}

// body puts the fixed part first, then as much of the release notes as fits
// beside what the marker is given later.
func body(u plan.Upgrade) string {
	c := content{Upgrade: u, Marker: MarkerOf(u).String()}
	if len(c.Risk.Evidence) > maxEvidence {
		c.Risk.Evidence = c.Risk.Evidence[:maxEvidence]
	}
	var fixed strings.Builder
	execute(&fixed, "body.tmpl", c)
	c.Notes = releaseNotes(u, MaxBody-length(fixed.String())-200-room(u))
	var b strings.Builder
	execute(&b, "body.tmpl", c)
	if out := tidy(b.String()); length(out) <= MaxBody {
		return out
	}
	return Remark(b.String(), MarkerOf(u)) // it is too long without any notes
}

// maxEvidence is how many signals the table shows; what is used here and the
// strong ones come first.
const maxEvidence = 25

// blank matches runs of empty lines that templates leave.
var blank = regexp.MustCompile(`\n{3,}`)

func tidy(s string) string { return strings.TrimSpace(blank.ReplaceAllString(s, "\n\n")) + "\n" }

// length counts characters as GitHub's own editor does, in UTF-16 units: the
// largest of the ways it may be counted that is not bytes.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// code is a Markdown code span that holds any one line of text.
func code(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// cell makes text fit for a table's cell.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// webAddress matches the links that are kept: "https://github.com/a/b/releases/tag/v1"; not
// "javascript:x", "https://a b" or one with a bracket that would end a link.
var webAddress = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+$`)

// link makes a Markdown link where the address is one.
func link(text, url string) string {
	text = notes.Plain(text)
	if !webAddress.MatchString(url) {
		return text
	}
	return "[" + text + "](" + url + ")"
}

func level(l risk.Level) string { return strings.ToUpper(string(l)) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// uses says where what the notes speak of stands in the service's files.
func uses(e risk.Evidence) string {
	var set, unset []string
	for _, u := range e.Uses {
		if len(u.At) == 0 {
			unset = append(unset, code(u.Identifier))
			continue
		}
		var places []string
		for _, at := range u.At[:min(len(u.At), 3)] {
			places = append(places, fmt.Sprintf("%s:%d", at.Path, at.Line))
		}
		set = append(set, fmt.Sprintf("%s is set in %s", code(u.Identifier), code(strings.Join(places, ", "))))
	}
	if len(set) > 0 {
		return "**" + strings.Join(set, "; ") + "**"
	}
	if len(unset) > 0 {
		return strings.Join(unset[:min(len(unset), 4)], ", ") + " not used here"
	}
	return ""
}

// simpleName matches names that are shown as they are: "DB_HOST", "--listen-on", "server.port"; not "@ana", "a b".
var simpleName = regexp.MustCompile(`^[A-Za-z0-9_./:-]+$`)

// found says where what the adviser named stands in the service's files.
func found(f advice.Finding) string {
	var named []risk.Use
	for _, u := range f.Uses {
		if !simpleName.MatchString(u.Identifier) {
			u.Identifier = notes.Plain(u.Identifier)
		}
		named = append(named, u)
	}
	return uses(risk.Evidence{Uses: named})
}

// next says in one sentence what happens now and what the reader has to do.
func next(u plan.Upgrade) string {
	backup := ""
	if u.Backup != nil && u.Backup.Kind != "none" {
		backup = fmt.Sprintf("takes a fresh backup (%s %s), ", u.Backup.Kind, code(u.Backup.Name))
	}
	then := fmt.Sprintf("%smerges, waits until CI has applied it and watches the service for %s", backup, short(u.Verify.Window))
	if l := u.Ladder; steps(l) {
		ahead := ""
		if n := len(l.Ahead()); n > 0 {
			ahead = fmt.Sprintf(" The next step, to %s, begins when this one is verified.", code(l.Ahead()[0]))
		}
		switch {
		case u.IgnoredByTerraform:
		case l.Covered():
			return fmt.Sprintf("Nothing to do: %s agreed to every step up to %s. Once the checks are green, belay %s.%s Comment `/upgrade hold` to stop it.", notes.Plain(l.All.Login), code(l.All.To), then, ahead)
		default:
			all := ""
			if ahead != "" {
				all = " `/upgrade step all` agrees to all of them, up to the first that fails."
			}
			return fmt.Sprintf("**Your review is needed, for this step.** Approve this pull request or comment `/upgrade approve`; then belay %s.%s%s", then, ahead, all)
		}
	}
	switch {
	case u.IgnoredByTerraform:
		return "Terraform ignores changes of this image (`lifecycle.ignore_changes`), so merging this alone changes nothing in the cluster. belay leaves it to you."
	case u.Automerge:
		return "Nothing to do: once the checks are green, belay " + then + ". Comment `/upgrade hold` to stop it."
	case u.Risk.Level == risk.Caution:
		return "**Your review is needed.** Approve this pull request or comment `/upgrade approve`; then belay " + then + "."
	}
	return "**Your decision is needed**, since the notes do not say what changes. Comment `/upgrade approve` and belay " + then + "; or merge it yourself."
}

// short writes "2m0s" as "2m".
func short(duration string) string {
	duration = strings.TrimSuffix(duration, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(duration, "m0s")]
	return strings.TrimSuffix(duration, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(duration, "h0m")]
}

// summary is the bump in words: "minor bump, 23 releases".
func summary(u plan.Upgrade) string {
	s := string(u.Risk.Bump) + " bump"
	if n := len(u.Releases); n > 0 {
		s += ", " + count(n, "release")
	}
	return s
}

// changedLines are a few edits for the table, the rest being counted.
func changedLines(edits []pin.Edit) []pin.Edit { return edits[:min(len(edits), 30)] }
