package notes

import (
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/version"
)

// releaseHeading is a heading that names a release.
type releaseHeading struct {
	tag        version.Tag
	project    string // words before the version, lower case: "synapse", "ntfy ios app"
	title      string // the heading as plain text
	published  time.Time
	unreleased bool // heads changes that no release has yet; tag is not set
}

var (
	// datePattern matches "2024-01-31", "2024/1/31", "2026-0X-XX", "202x-xx-xx", "(2024.01.31)"; not "2024.1.2" or "24.1.31".
	datePattern = matching(`(?i)\b(?:\d{3}[\dx][-/][\dx]{1,2}[-/][\dx]{1,2}|\d{4}\.\d{2}\.\d{2})\b`)
	// longDatePattern matches "July 24, 2026", "6 May 2026", "Aug 9th 2019", "May 2026"; not "May 1".
	longDatePattern = matching(`(?i)\b(?:(\d{1,2})(?:st|nd|rd|th)? +)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? +(?:(\d{1,2})(?:st|nd|rd|th)?,? +)?(\d{4})\b`)
	// americanDate matches "12/21/2012" and "1.3.2021"; not "1.2.3".
	americanDate = matching(`\b\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}\b`)
	// clock matches the time beside a date, "17:20", "02:35:10"; not "1:2".
	clock = matching(`(?:^|\s)\d{1,2}:\d{2}(?::\d{2})?(?:\s|$)`)
	// unreleasedPattern matches "Unreleased", "[Unreleased]", "Next release", "Main / Unreleased", "Upcoming changes"; not "Released".
	unreleasedPattern = matching(`(?i)^\W*(?:(?:main|master|develop)\b\W*(?:/|$)|unreleased\b|not(?: yet)? released\b|upcoming\b|next(?: (?:release|version))?\W*$|in development\b|future(?: release)?\W*$|tip\W*$|head\W*$|trunk\W*$|dev\W*$|development\W*$)`)
)

// notBefore are words that make a heading with a version in it something else
// than a release: "Upgrading to 2.0", "PHP 8.1 support", "Changes since 1.2".
var notBefore = wordSet(`upgrade upgrading migrate migrating migration from to since support supports supported require requires required
	requirement requirements bump update updating updates drop dropped drops for with in of and or breaking deprecated removed fixed
	fix fixes added add adds changes before after notes note until via using use if when is are step php node nodejs python go golang java
	postgres postgresql mysql mariadb redis alpine debian ubuntu docker kubernetes mongodb elasticsearch opensearch ruby rails`)

// readHeading reads what a heading says about a release. It takes plain text
// ("[1.2.3] - 2024-01-02", "Synapse 1.157.0rc1 (2026-07-14)",
// "2025-08-12 version 1.0.1") and returns nil for any other heading.
func readHeading(text string) *releaseHeading {
	title := strings.Join(strings.Fields(text), " ")
	if title == "" || len(title) > 200 {
		return nil
	}
	if unreleasedPattern.MatchString(title) {
		return &releaseHeading{title: title, unreleased: true}
	}
	if !strings.ContainsAny(title, "0123456789") {
		return nil
	}
	h := &releaseHeading{title: title}
	rest := h.takeDate(title)
	dated := rest != title
	if dated {
		rest = clock.ReplaceAllString(rest, " ")
	}
	rest = dropAside(rest)
	tokens := strings.Fields(rest)
	at, tag := -1, version.Tag{}
	single := false
	for i, tok := range tokens {
		t, ok := headingVersion(tok)
		if !ok {
			continue
		}
		if dotted(t) {
			at, tag, single = i, t, false
			break
		}
		if at < 0 {
			at, tag, single = i, t, true
		}
	}
	if at < 0 {
		// Nothing but a date: releases numbered by day.
		if len(tokens) == 0 && !h.published.IsZero() {
			if t, err := version.Parse(strings.Trim(datePattern.FindString(title), "()")); err == nil {
				h.tag = t
				return h
			}
		}
		return nil
	}
	before := bareWords(tokens[:at])
	if len(before) > 5 || slices.ContainsFunc(before, func(w string) bool { return notBefore[w] }) {
		return nil
	}
	before = slices.DeleteFunc(before, func(w string) bool { return releaseWords[w] })
	// A lone number is a version only where nothing else is said: "Version 12", "v7".
	if single && (len(before) > 0 || len(tokens) > at+1 || !strings.HasPrefix(strings.ToLower(tokens[at]), "v") && at == 0 && len(tokens) == 1) {
		return nil
	}
	// "5.0.0: Milestone Release", "2.4.0 Papilio maraho 2021-05-11": a title behind a
	// colon and a codename beside a date say no more than the version does.
	tail := tokens[at+1:]
	titled := strings.HasSuffix(tokens[at], ":") && len(tail) <= 6
	if named := dated && len(tail) <= 3; !titled && !named && !tailFits(tail) {
		return nil
	}
	h.tag, h.project = tag, strings.Join(before, " ")
	return h
}

// releaseWords stand beside versions and name nothing.
var releaseWords = wordSet("version release released v ver changelog the new hotfix patch security maintenance lts stable tag")

// headingVersion reads one word of a heading as a version: "[v1.2.3]", "1.2.3:", "server/v1.2".
func headingVersion(tok string) (version.Tag, bool) {
	tok = strings.Trim(tok, "[](){}*_`\"':,;!–—=<>|")
	tok = strings.TrimSuffix(tok, ".")
	if tok == "" || !strings.ContainsAny(tok, "0123456789") || strings.Contains(tok, "://") {
		return version.Tag{}, false
	}
	t, err := version.Parse(tok)
	if err != nil || len(t.Numbers()) == 0 {
		return version.Tag{}, false
	}
	// "php8.1", "mp3", "log4j2": letters that run into the number name something else.
	if p := t.Prefix(); p != "" && !strings.ContainsAny(p[len(p)-1:], "-_/@.+") && !strings.EqualFold(p, "v") && !strings.HasSuffix(strings.ToLower(p), "/v") &&
		!strings.HasSuffix(strings.ToLower(p), "-v") && !strings.HasSuffix(strings.ToLower(p), "@v") && !strings.HasSuffix(strings.ToLower(p), "_v") {
		return version.Tag{}, false
	}
	return t, true
}

func dotted(t version.Tag) bool { return len(t.Numbers()) > 1 }

// dropAside takes what stands in parentheses out of a heading:
// "1.2.3 (codename) - the big one" gives "1.2.3  - the big one".
func dropAside(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth = max(0, depth-1)
			b.WriteByte(' ')
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tailFits reports whether what follows the version may follow one in the
// heading of a release: nothing, a title set off by a dash or colon, a
// codename in quotes, a word such as "released".
func tailFits(tail []string) bool {
	if len(tail) == 0 {
		return true
	}
	switch first := tail[0]; {
	case strings.ContainsAny(first[:1], "-:/|,'\"[<~*_!"), strings.HasPrefix(first, "–"), strings.HasPrefix(first, "—"),
		strings.HasPrefix(first, "·"), strings.HasPrefix(first, "“"), strings.HasPrefix(first, "‘"), first[0] >= 0x80:
		return true
	}
	words := bareWords(tail)
	return len(words) <= 2 && !slices.ContainsFunc(words, func(w string) bool { return !releaseWords[w] && !tailWords[w] })
}

var tailWords = wordSet("yanked beta alpha rc final changes notes pre-release prerelease candidate unreleased on")

// takeDate finds the date of a heading, keeps it and returns the heading without it.
func (h *releaseHeading) takeDate(s string) string {
	if loc := datePattern.FindStringIndex(s); loc != nil {
		d := strings.NewReplacer("/", "-", ".", "-").Replace(s[loc[0]:loc[1]])
		for _, layout := range []string{"2006-01-02", "2006-1-2"} {
			if t, err := time.Parse(layout, d); err == nil {
				h.published = t
				break
			}
		}
		// A version may look like a date with dots; it stays where nothing else is a version.
		rest := s[:loc[0]] + " " + s[loc[1]:]
		if strings.Contains(s[loc[0]:loc[1]], ".") && !strings.ContainsAny(rest, "0123456789") {
			return s
		}
		return rest
	}
	if loc := longDatePattern.FindStringSubmatchIndex(s); loc != nil {
		group := func(i int) string {
			if loc[2*i] < 0 {
				return ""
			}
			return s[loc[2*i]:loc[2*i+1]]
		}
		day := group(1) + group(3)
		if day == "" {
			day = "1"
		}
		month := strings.ToLower(group(2))
		month = strings.ToUpper(month[:1]) + month[1:]
		if t, err := time.Parse("2 Jan 2006", day+" "+month+" "+group(4)); err == nil {
			h.published = t
		}
		return s[:loc[0]] + " " + s[loc[1]:]
	}
	if loc := americanDate.FindStringIndex(s); loc != nil {
		return s[:loc[0]] + " " + s[loc[1]:]
	}
	return s
}

// bareWords are the words of a heading, lower case, without punctuation and emoji.
func bareWords(tokens []string) []string {
	var out []string
	for _, tok := range tokens {
		w := strings.TrimFunc(strings.ToLower(tok), func(r rune) bool {
			return r != '\'' && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r < 0xc0 || r >= 0x2000
		})
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func wordSet(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
