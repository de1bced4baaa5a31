package notes

import (
	"strings"
)

var (
	// mention matches "@octocat", "(@acme/ops"; not "a@b.example" or "@ home".
	mention = matching(`(^|[^A-Za-z0-9_])@([A-Za-z0-9])`)
	// issueRef matches the "#1" of "#12", "owner/repo#1", "fixes #3"; not "# Title".
	issueRef = matching(`#(\d)`)
	// ghRef matches "GH-12", "gh-1"; not "GHSA-1".
	ghRef = matching(`(?i)\b(gh)-(\d)`)
	// githubURL matches links that GitHub turns into references: ".../issues/5", ".../pull/7", ".../commit/abc"; not ".../releases/tag/v1".
	// redirect.github.com leads to the same page and leaves no trace on it.
	githubURL = matching(`(?i)(https?://)(?:www\.)?github\.com(/[^\s/]+/[^\s/]+/(?:issues|pull|discussions|commit)/)`)
	// autolink matches "<https://example.org>"; not "<b>".
	autolink = matching(`<(https?://[^<>\s]+)>`)
	// imageLink matches "![alt](x.png)", "![alt][ref]", "![](x (1).png)"; not "[text](x)".
	imageLink = matching(`!\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])`)
	// otherLink matches "[text](https://example.org)", "[text](<x>)", `[text](x "title")`; not "[text]".
	otherLink = matching(`\[([^\[\]]*)\]\(\s*<?([^()\s<>]*(?:\([^()\s]*\)[^()\s]*)*)>?[^()]*\)`)
	// skipCI matches "[skip ci]", "[ci skip]", "[no-ci]", "[skip actions]"; not "skip ci".
	skipCI = matching(`(?i)\[(skip|ci|no|actions)([ -]+)(ci|skip|actions)\]`)
	// noCI matches "***NO_CI***", "*** no_ci ***"; not "NO_CI".
	noCI = matching(`(?i)\*\*\*\s*NO_CI\s*\*\*\*`)
	// skipChecks matches the commit trailer "skip-checks: true"; not "skip checks".
	skipChecks = matching(`(?i)\b(skip-checks)\s*:\s*(true)`)
	// slash matches a line that begins like a command to belay: "/upgrade approve", "  /belay hold"; not "see /upgrade".
	slash = matching(`^(\s*)/(upgrade|belay)`)
	// refDef matches "[1.2.3]: https://example.org"; not "[x] done".
	refDef = matching(`^\s{0,3}\[[^\]]+\]:`)
	// htmlLike matches what a browser could read as a tag or comment: "<b", "</a", "<!"; not "a < b".
	htmlLike = matching(`<([A-Za-z/!?])`)
)

// maxSafe bounds what is made safe to show: twice what a pull request can hold.
const maxSafe = 130_000

// Neutralise makes upstream Markdown safe to show in a pull request body: no mentions, no issue references or closing keywords
// that GitHub would act on, no HTML comments, no raw HTML, no images, no bidirectional controls; links kept. It never fails.
func Neutralise(markdown string) string {
	text := bound(markdown, maxSafe)
	text = withoutComments(text)
	var out []string
	fence := ""
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if m := fenceOf(line); m != nil && (fence != "" || !strings.Contains(m[2], "`")) {
			switch {
			case fence == "":
				fence = m[1]
				out = append(out, "```")
				continue
			case strings.HasPrefix(m[1], fence) && strings.TrimSpace(m[2]) == "":
				fence = ""
				out = append(out, "```")
				continue
			}
		}
		if fence != "" {
			out = append(out, safeCode(strings.ReplaceAll(slash.ReplaceAllString(line, "$1\\/$2"), "```", "'''")))
			continue
		}
		out = append(out, safeLine(line))
	}
	if fence != "" {
		out = append(out, "```")
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// withoutComments drops HTML comments; an unclosed one loses its opening only.
func withoutComments(s string) string {
	if !strings.Contains(s, "<!--") {
		return s
	}
	var b strings.Builder
	end := -1 // of the next comment's end, looked for once: many openings must not cost a search each
	for at := 0; ; {
		i := strings.Index(s[at:], "<!--")
		if i < 0 {
			s = s[at:]
			break
		}
		b.WriteString(s[at : at+i])
		at += i + 4
		if end < at {
			end = len(s)
			if j := strings.Index(s[at:], "-->"); j >= 0 {
				end = at + j
			}
		}
		if end < len(s) && end-at < 20_000 {
			at = end + 3
		}
	}
	b.WriteString(s)
	if out := b.String(); strings.Contains(out, "<!--") {
		return strings.ReplaceAll(out, "<!--", "")
	}
	return b.String()
}

func safeLine(line string) string {
	if m := headingLineForm.FindStringSubmatch(line); m != nil {
		line = "**" + strings.ReplaceAll(m[2], "**", "") + "**"
	}
	if m := underline.FindStringSubmatch(line); m != nil && len(strings.TrimSpace(line)) > 1 {
		return ""
	}
	if refDef.MatchString(line) {
		return ""
	}
	line = slash.ReplaceAllString(line, "$1\\/$2")
	// Code spans that close on the line are kept as they are; others are text.
	var b strings.Builder
	for line != "" {
		i := strings.IndexByte(line, '`')
		if i < 0 {
			break
		}
		n := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
		ticks := line[i : i+n]
		rest := line[i+n:]
		j := closing(rest, ticks)
		b.WriteString(safeText(line[:i]))
		if j < 0 {
			b.WriteString(strings.Repeat("\\`", n))
			line = rest
			continue
		}
		b.WriteString(ticks + safeCode(rest[:j]) + ticks)
		line = rest[j+n:]
	}
	b.WriteString(safeText(line))
	return b.String()
}

// safeCode breaks in code what CI systems look for in a commit message, which
// a merge may take from the pull request's text. References show nothing there.
func safeCode(s string) string {
	s = skipCI.ReplaceAllString(s, "($1$2$3)")
	s = noCI.ReplaceAllString(s, "NO CI")
	return skipChecks.ReplaceAllString(s, "$1 $2")
}

// closing finds a run of exactly these backticks.
func closing(s, ticks string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], ticks)
		if i < 0 {
			return -1
		}
		i += from
		end := i + len(ticks)
		if (i == 0 || s[i-1] != '`') && (end == len(s) || s[end] != '`') {
			return i
		}
		from = i + len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
	}
}

const zero = "&#8203;" // a zero-width space: shows nothing and breaks what GitHub looks for

func safeText(s string) string {
	s = imageLink.ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(s, "![", "[")
	s = autolink.ReplaceAllString(s, "$1")
	s = otherLink.ReplaceAllStringFunc(s, func(l string) string {
		m := otherLink.FindStringSubmatch(l)
		if strings.HasPrefix(m[2], "https://") || strings.HasPrefix(m[2], "http://") {
			return "[" + m[1] + "](" + m[2] + ")"
		}
		return m[1]
	})
	s = strings.ReplaceAll(s, "javascript:", "javascript ")
	s = htmlLike.ReplaceAllString(s, "&lt;$1")
	s = githubURL.ReplaceAllString(s, "${1}redirect.github.com$2")
	s = mention.ReplaceAllString(s, "$1@"+zero+"$2")
	s = mention.ReplaceAllString(s, "$1@"+zero+"$2")
	s = issueRef.ReplaceAllString(s, "#"+zero+"$1")
	s = strings.ReplaceAll(s, "&#"+zero+"8203;", zero)
	s = ghRef.ReplaceAllString(s, "$1"+zero+"-$2")
	s = skipCI.ReplaceAllString(s, "[$1"+zero+"$2$3]")
	s = noCI.ReplaceAllString(s, "NO"+zero+"_CI")
	s = skipChecks.ReplaceAllString(s, "$1"+zero+": $2")
	return s
}

// maxPlain is the longest line in characters that Plain returns.
const maxPlain = 500

// Plain makes one line of upstream text safe for titles, commit messages and plain-text places: as Neutralise, without Markdown and
// without anything that makes CI skip a commit.
func Plain(s string) string {
	if len(s) > 8*maxPlain {
		s = s[:8*maxPlain]
	}
	s = withoutComments(decode([]byte(clean(s)), false))
	s = strings.Join(strings.Fields(s), " ")
	s = noCI.ReplaceAllString(s, "NO CI")
	s = imageLink.ReplaceAllString(s, "$1")
	s = linkText.ReplaceAllString(s, "$1")
	s = refLink.ReplaceAllString(s, "$1")
	s = strings.NewReplacer("`", "", "**", "", "__", "", "<", "‹", ">", "›").Replace(s)
	s = githubURL.ReplaceAllString(s, "${1}redirect.github.com$2")
	s = strings.ReplaceAll(s, "@", "")
	s = issueRef.ReplaceAllString(s, "$1")
	s = ghRef.ReplaceAllString(s, "$1 $2")
	for range 3 {
		s = skipCI.ReplaceAllString(s, "$1 $3")
		s = noCI.ReplaceAllString(s, "NO CI")
	}
	s = strings.ReplaceAll(s, "***", "")
	s = skipChecks.ReplaceAllString(s, "$1 $2")
	s = strings.ReplaceAll(s, "javascript:", "javascript ")
	s = strings.TrimLeft(strings.TrimSpace(s), "/#>|-+ ")
	if r := []rune(s); len(r) > maxPlain {
		s = string(r[:maxPlain-1]) + "…"
	}
	return strings.TrimSpace(s)
}
