package notes

import (
	"strings"
)

// definitions are the link definitions of a changelog by label, lower case.
// Most stand at the end of the file, away from the release that uses them.
type definitions map[string]string

// definitionPattern matches "[1.2.3]: https://example.org/compare", "  [#12]: <https://example.org>"; not "[^1]: a footnote", "- [x]: y".
var definitionPattern = matching(`(?m)^ {0,3}\[([^\]\[^][^\]\[]{0,80})\]:[ \t]+<?(\S{1,1000}?)>?(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^)\n]*\)))?[ \t]*$`)

func linkDefinitions(text string) definitions {
	defs := definitions{}
	if !strings.Contains(text, "]:") {
		return defs
	}
	for _, m := range definitionPattern.FindAllStringSubmatch(text, -1) {
		if label := labelOf(m[1]); defs[label] == "" {
			defs[label] = m[2]
		}
	}
	return defs
}

func labelOf(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// target is the address that a label stands for, or "".
func (d definitions) target(label string) string { return d[labelOf(label)] }

// complete adds to a release's body the definitions that it uses and the rest
// of the file holds.
func (d definitions) complete(body string) string {
	if len(d) == 0 || !strings.Contains(body, "[") {
		return body
	}
	own := linkDefinitions(body)
	seen := map[string]bool{}
	var b strings.Builder
	for rest := body; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			break
		}
		rest = rest[open+1:]
		end := strings.IndexAny(rest[:min(len(rest), 100)], "[]\n")
		if end <= 0 || rest[end] != ']' {
			continue
		}
		label := labelOf(rest[:end])
		if to := d[label]; to != "" && own[label] == "" && !seen[label] {
			seen[label] = true
			b.WriteString("\n[" + rest[:end] + "]: " + to)
		}
	}
	if b.Len() == 0 {
		return body
	}
	return body + "\n" + b.String()
}
