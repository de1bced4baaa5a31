package notes

import (
	"strings"
)

var (
	// restDirective matches ".. note::", ".. _anchor:", ".. code-block:: sh"; not "... and more".
	restDirective = matching(`(?m)^\s*\.\. (?:[\w-]+::|_[^:\n]+:)`)
	// restRole matches ":ref:`text`", ":issue:`123`"; not ": `x`".
	restRole = matching("(?::[\\w.+-]+){1,2}:`([^`<\n]*?)(?: *<[^`>\n]*>)?`")
	// restLink matches "`text <https://example.org>`_" and with two underscores; not "`code`".
	restLink = matching("`([^`<\n]+?) *<([^`>\n]+)>`__?")
	// restNamed matches "`Upgrade notes`_"; not "`code`".
	restNamed = matching("`([^`<\n]+)`__?")
	// atxHeading matches "# Title", "### 1.2"; not "#123".
	atxHeading = matching(`(?m)^#{1,6} \S`)
	// restAdmonition matches ".. warning::", ".. versionchanged:: 1.2"; group 1 is the name, 2 what follows.
	restAdmonition = matching(`^(\s*)\.\. ([\w-]+):: ?(.*)$`)
	// restDefinition matches ".. _name: https://example.org"; group 1 is the name, 2 the address.
	restDefinition = matching("^\\.\\. _`?([^:`]+)`?: *(https?://\\S+)$")
)

// isRest reports whether a text is reStructuredText rather than Markdown: it
// has directives, roles, or headings underlined with what Markdown does not
// know, and no "#" headings.
func isRest(text string) bool {
	if atxHeading.MatchString(text) {
		return false
	}
	if restDirective.MatchString(text) {
		return true
	}
	if strings.Contains(text, ":`") && restRole.MatchString(text) || strings.Contains(text, "`_") && restLink.MatchString(text) {
		return true
	}
	lines := strings.Split(text, "\n")
	for i := 1; i < len(lines); i++ {
		c, ok := adornment(lines[i])
		if !ok || strings.TrimSpace(lines[i-1]) == "" || strings.HasPrefix(lines[i-1], " ") || len(lines[i]) < len(strings.TrimSpace(lines[i-1])) {
			continue
		}
		if c != '=' && c != '-' {
			if c != '~' && c != '`' || i+1 == len(lines) || strings.TrimSpace(lines[i+1]) == "" {
				return true
			}
		} else if i >= 2 && lines[i-2] == lines[i] {
			return true // overlined
		}
	}
	return false
}

// adornment reports whether a line is one character of punctuation repeated,
// as reST underlines headings with, and which.
func adornment(line string) (byte, bool) {
	line = strings.TrimRight(line, " ")
	if len(line) < 3 || !strings.ContainsRune("=-~^\"'`#*+.:_", rune(line[0])) || strings.Trim(line, line[:1]) != "" {
		return 0, false
	}
	return line[0], true
}

// fromRest writes reStructuredText as Markdown, as far as release notes use
// it: headings, links, roles, literals, admonitions. The rest stays as it is.
func fromRest(text string) string {
	lines := strings.Split(text, "\n")
	level := map[string]int{} // by adornment; levels count in order of appearance
	var b strings.Builder
	heading := func(style, title string) {
		if level[style] == 0 {
			level[style] = min(len(level)+1, 6)
		}
		b.WriteString("\n" + strings.Repeat("#", level[style]) + " " + restInline(strings.TrimSpace(title)) + "\n\n")
	}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		c, ok := adornment(line)
		if ok && i+2 < len(lines) && strings.TrimSpace(lines[i+1]) != "" && strings.TrimRight(lines[i+2], " ") == strings.TrimRight(line, " ") {
			heading("over"+string(c), lines[i+1])
			i += 2
			continue
		}
		if line != "" && line[0] != ' ' && !ok && i+1 < len(lines) {
			if c, under := adornment(lines[i+1]); under && len(strings.TrimRight(lines[i+1], " "))+1 >= len([]rune(strings.TrimSpace(line))) {
				heading(string(c), line)
				i++
				continue
			}
		}
		if ok {
			b.WriteString("\n---\n\n")
			continue
		}
		if m := restDefinition.FindStringSubmatch(line); m != nil {
			b.WriteString("[" + m[1] + "]: " + m[2] + "\n")
			continue
		}
		if strings.HasPrefix(strings.TrimSpace(line), ".. ") {
			b.WriteString(restDirectiveLine(line) + "\n")
			continue
		}
		b.WriteString(restInline(line) + "\n")
	}
	return b.String()
}

// restDirectiveLine keeps what a directive says to readers: "Warning: …" of an
// admonition; anchors and comments say nothing.
func restDirectiveLine(line string) string {
	m := restAdmonition.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	switch m[2] {
	case "warning", "important", "caution", "danger", "attention":
		return m[1] + "**" + strings.ToUpper(m[2][:1]) + m[2][1:] + "**: " + restInline(m[3])
	case "note", "tip", "hint", "seealso", "admonition":
		return m[1] + restInline(m[3])
	case "versionchanged", "deprecated", "versionremoved":
		return m[1] + m[2] + " " + restInline(m[3])
	}
	return ""
}

// restInline rewrites the marks within a line of reST as those of Markdown.
func restInline(line string) string {
	if !strings.Contains(line, "`") {
		return line
	}
	line = restRole.ReplaceAllString(line, "\x00$1\x00")
	line = restLink.ReplaceAllString(line, "[$1]($2)")
	line = strings.ReplaceAll(line, "``", "\x00")
	line = restNamed.ReplaceAllString(line, "[$1][]")
	return strings.ReplaceAll(line, "\x00", "`")
}
