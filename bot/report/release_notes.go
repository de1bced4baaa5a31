package report

import (
	"fmt"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/plan"
)

// maxRelease is how much of one release's notes is shown, in characters, so
// that one long one does not push the others out.
const maxRelease = 8_000

// releaseNotes are the notes as collapsed sections, newest first, in at most
// budget characters. What was cut is said.
func releaseNotes(u plan.Upgrade, budget int) string {
	var b strings.Builder
	left, cut := budget, 0
	for i := len(u.Releases) - 1; i >= 0; i-- {
		section, shortened := releaseSection(u.Releases[i], min(maxRelease, left-500))
		if section == "" || length(section) > left-200 {
			cut = i + 1
			break
		}
		if shortened {
			section += cutLine("These notes are longer than what fits here", u.Releases[i].URL)
		}
		left -= length(section)
		b.WriteString(section)
	}
	if cut > 0 {
		fmt.Fprintf(&b, "The notes of %s up to %s do not fit here: %s.\n", count(cut, "older release"), code(u.Releases[cut-1].Tag), link("read them upstream", u.SourceURL+"/releases"))
	}
	return b.String()
}

func cutLine(text, url string) string { return text + ": " + link("read on upstream", url) + ".\n\n" }

// releaseSection is one release. An empty one means that it does not fit.
func releaseSection(r notes.Release, budget int) (section string, shortened bool) {
	if budget < 200 {
		return "", false
	}
	name := r.Tag
	if r.Name != "" && r.Name != r.Tag && !strings.Contains(r.Name, r.Tag) {
		name += ": " + r.Name
	}
	date := ""
	if !r.Published.IsZero() {
		date = ", " + r.Published.UTC().Format("2 January 2006")
	}
	body := strings.TrimSpace(r.Body)
	if body == "" {
		body = "No notes."
	}
	raw, shortened := head(body, budget)
	safe := notes.Neutralise(raw)
	// Neutralising may lengthen the text; take less of it until it fits.
	for length(safe) > budget && len(raw) > 0 {
		raw, _ = head(raw, len(raw)*budget/(length(safe)+1)-16)
		safe, shortened = notes.Neutralise(raw), true
	}
	return fmt.Sprintf("<details><summary>%s%s</summary>\n\n%s\n\n</details>\n\n", escape(notes.Plain(name)), date, strings.TrimSpace(safe)), shortened
}

// head is the beginning of a text, cut at the end of a line where there is one.
func head(s string, budget int) (string, bool) {
	if len(s) <= budget {
		return s, false
	}
	s = s[:max(budget, 0)]
	if i := strings.LastIndexByte(s, '\n'); i > len(s)/2 {
		s = s[:i]
	}
	return strings.ToValidUTF8(s, ""), true
}

// escape keeps text from being HTML.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
