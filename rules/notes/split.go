package notes

import (
	"regexp"
	"strings"
)

var (
	atxHeading = regexp.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$`)
	underline  = regexp.MustCompile("^ {0,3}([=~^*+\"'`.:_-])([=~^*+\"'`.:_-]*)[ \t]*$")
	fenceLine  = regexp.MustCompile("^[ \t>]*(?:[-*+] +)?(`{3,}|~{3,})(.*)$")
	linkText   = regexp.MustCompile(`!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+"[^"]*")?\)`)
	refLink    = regexp.MustCompile(`\[([^\[\]]+)\]\[[^\[\]]*\]`)
	anchor     = regexp.MustCompile(`(?i)</?(?:a|h[1-6]|b|strong|sup|sub|p|br|span|div|small)\b[^<>]*>`)
)

// heading is a line of a changelog that heads what follows.
type headingLine struct {
	level int
	text  string
	lines int // that it takes
}

// headingAt reads the heading that begins at line i, level 0 when there is none.
func headingAt(lines []string, i int) headingLine {
	line := lines[i]
	if m := atxHeading.FindStringSubmatch(line); m != nil {
		return headingLine{len(m[1]), plainHeading(m[2]), 1}
	}
	if i+1 < len(lines) && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, " ") {
		if m := underline.FindStringSubmatch(lines[i+1]); m != nil && len(strings.TrimSpace(lines[i+1])) >= 3 && strings.Trim(lines[i+1], " \t"+m[1]) == "" {
			if !strings.HasPrefix(strings.TrimSpace(line), "- ") && !strings.HasPrefix(strings.TrimSpace(line), "* ") {
				return headingLine{map[string]int{"=": 1, "-": 2, "~": 3}[m[1]] + map[bool]int{true: 4}[m[1] != "=" && m[1] != "-" && m[1] != "~"], plainHeading(line), 2}
			}
		}
	}
	return headingLine{}
}

func plainHeading(s string) string {
	s = anchor.ReplaceAllString(s, " ")
	s = linkText.ReplaceAllString(s, "$1")
	s = refLink.ReplaceAllString(s, "$1")
	return strings.TrimSpace(strings.NewReplacer("**", "", "__", "", "`", "").Replace(s))
}

// plainVersion matches lines that head a release in plain-text changelogs: "Version 4.5.2 'dan':",
// "2.2.2 2025-01-01", "v1.2.3:"; not "1. first item" or "PHP 8.1".
var plainVersion = regexp.MustCompile(`(?i)^(?:version\s+)?v?\d+(?:\.\d+)+[^\s]*(?:\s|:|$)`)

// Split cuts a changelog (Markdown or reStructuredText) into its releases, in the order of the file.
func Split(changelog string) []Release {
	text := clean(changelog)
	lines := strings.Split(text, "\n")
	var out []Release
	var body []string
	level, open := 0, false
	flush := func() {
		if open {
			out[len(out)-1].Body = strings.TrimSpace(strings.Join(body, "\n"))
		}
		body = body[:0]
	}
	fence := ""
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := fenceLine.FindStringSubmatch(line); m != nil {
			switch {
			case fence == "":
				fence = m[1]
			case strings.HasPrefix(m[1], fence) && strings.TrimSpace(m[2]) == "":
				fence = ""
			}
		}
		if fence != "" {
			body = append(body, line)
			continue
		}
		h := headingAt(lines, i)
		if h.level == 0 && plainVersion.MatchString(line) && (i == 0 || strings.TrimSpace(lines[i-1]) == "" || level == 9) {
			h = headingLine{9, plainHeading(strings.TrimRight(line, ": ")), 1}
		}
		if h.level > 0 && (level == 0 || h.level <= level) {
			if r := readHeading(h.text); r != nil {
				flush()
				level, open = h.level, !r.unreleased
				if open {
					out = append(out, Release{Tag: r.tag.Raw, Name: r.title, Published: r.published, Prerelease: r.tag.Prerelease()})
				}
				i += h.lines - 1
				continue
			} else if h.level < level {
				flush()
				open = false
			}
		}
		if open {
			body = append(body, line)
		}
	}
	flush()
	return out
}
