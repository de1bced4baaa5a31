package notes

import (
	"strings"
)

var (
	// headingLineForm matches "## Fixed ##", "# 1.2"; not "#12" or "    # code".
	headingLineForm = matching(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$`)
	// underline matches "=====", "---", "~~~~"; not "a --- b".
	underline = matching("^ {0,3}([=~^*+\"'`.:_-])([=~^*+\"'`.:_-]*)[ \t]*$")
	// fenceLine matches "```go", "~~~~", "  ```"; not "a ``` b".
	fenceLine = matching("^[ \t>]*(?:[-*+] +)?(`{3,}|~{3,})(.*)$")
	// linkText matches "[a](b)", "![a](b)"; not "[a][b]".
	linkText = matching(`!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+"[^"]*")?\)`)
	// refLink matches "[a][b]", "[a][]"; not "[a]".
	refLink = matching(`\[([^\[\]]+)\]\[[^\[\]]*\]`)
	// anchor matches the tags that people put into headings: `<a name="x">`, "</b>"; not "<T>".
	anchor = matching(`(?i)</?(?:a|h[1-6]|b|strong|sup|sub|p|br|span|div|small)\b[^<>]*>`)
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
	if strings.HasPrefix(strings.TrimLeft(line, " "), "#") {
		if m := headingLineForm.FindStringSubmatch(line); m != nil {
			return headingLine{len(m[1]), plainHeading(m[2]), 1}
		}
	}
	if i+1 < len(lines) && mayUnderline(lines[i+1]) && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, " ") {
		if m := underline.FindStringSubmatch(lines[i+1]); m != nil && len(strings.TrimSpace(lines[i+1])) >= 3 && strings.Trim(lines[i+1], " \t"+m[1]) == "" {
			if !strings.HasPrefix(strings.TrimSpace(line), "- ") && !strings.HasPrefix(strings.TrimSpace(line), "* ") {
				return headingLine{map[string]int{"=": 1, "-": 2, "~": 3}[m[1]] + map[bool]int{true: 4}[m[1] != "=" && m[1] != "-" && m[1] != "~"], plainHeading(line), 2}
			}
		}
	}
	return headingLine{}
}

// mayUnderline is a quick look at a line before the expression is tried.
func mayUnderline(line string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= 3 && line[0] == line[1] && line[1] == line[2] && strings.IndexByte("=~^*+\"'`.:_-", line[0]) >= 0
}

// fenceOf reads the line that opens or closes a block of code, nil for any other.
func fenceOf(line string) []string {
	if !strings.Contains(line, "```") && !strings.Contains(line, "~~~") {
		return nil
	}
	return fenceLine.FindStringSubmatch(line)
}

func plainHeading(s string) string {
	s = anchor.ReplaceAllString(s, " ")
	s = linkText.ReplaceAllString(s, "$1")
	s = refLink.ReplaceAllString(s, "$1")
	return strings.TrimSpace(strings.NewReplacer("**", "", "__", "", "`", "").Replace(s))
}
