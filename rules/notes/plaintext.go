package notes

import (
	"strings"
)

// listItem matches lines that go on with a release rather than open one: "- 1.2.3", "* x", "\t+ y", "1) z"; not "1.2.3".
var listItem = matching(`^(?:\s|[-*+•] |\d+\) )`)

// plainSections finds the releases of a ChangeLog without Markdown headings:
// lines at the left margin that say little more than a version, after a blank
// line, at the beginning of the file, or below a line with a date and a name
// (the GNU form). Markdown's bold lines ("**v1.2**") count too.
func plainSections(text string) []section {
	var out []section
	blank, dated := true, false
	for at := 0; at < len(text); {
		end := lineEnd(text, at)
		line := strings.TrimRight(text[at:end], "\n")
		if (blank || dated) && len(line) <= 120 && line != "" && !listItem.MatchString(line) {
			if h := readHeading(strings.Trim(line, "* _")); h != nil {
				if len(out) > 0 {
					out[len(out)-1].end = at
				}
				out = append(out, section{heading: h, start: at, body: end, end: len(text)})
			}
		}
		dated = blank && americanDate.MatchString(line) || blank && datePattern.MatchString(line)
		blank = strings.TrimSpace(line) == ""
		at = end
	}
	return out
}
