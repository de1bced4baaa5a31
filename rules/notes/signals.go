package notes

import (
	"slices"
	"strings"
)

// DefaultKeywords are the words of SPEC section 7 that make a line a signal.
var DefaultKeywords = []string{"breaking", "migration required", "schema change", "database migration", "manual intervention",
	"action required", "removed", "deprecated", "renamed", "incompatible"}

// mood is what a section of release notes speaks of, as its heading says.
type mood int

const (
	moodNone mood = iota
	moodBreaking
	moodImportant // which speaks of changes, security holes and thanks alike
	moodRemoved
	moodDeprecated
	moodFixes
	moodOwn
	moodInternal // refactoring, which says little and drops support at times
)

// Signals finds the signals of one release.
func Signals(r Release, keywords []string) []Signal {
	words := newKeywordMatcher(keywords)
	var out []Signal
	for _, p := range passages(r.Body) {
		rule, strength := judge(p, words)
		if rule == "" {
			continue
		}
		text := []rune(Plain(p.text))
		if len(text) > 300 {
			text = append(text[:299], '…')
		}
		out = append(out, Signal{Version: r.Tag, Text: string(text), Rule: rule, Strength: strength, URL: r.URL, Identifiers: identifiers(p.text), Migration: migrates(p)})
		if len(out) == 200 {
			break
		}
	}
	return out
}

// judge says which rule a passage matches, "" for none. Expressions are tried
// only where a word that they need is there: most lines need none.
func judge(p passage, words keywordMatcher) (rule string, strength Strength) {
	if p.mood == moodOwn {
		return "", ""
	}
	plain := p.text
	if strings.Contains(plain, "](") {
		plain = linkText.ReplaceAllString(plain, "$1")
	}
	lower := strings.ToLower(plain)
	if len(plain) < 60 && nothing.MatchString(plain) {
		return "", ""
	}
	s := plain
	if has(lower, "break", "incompat", "schema", "migration", "manual", "action") {
		s = negation.ReplaceAllString(plain, " ")
	}
	l := &line{passage: p, text: s, lower: lower, words: words}
	for _, r := range rules {
		if strength = r.match(l); strength != "" {
			rule = r.Name
			break
		}
	}
	if p.mood == moodInternal && (strength != Strong || !has(lower, "remove", "drop")) {
		return "", ""
	}
	if rule != "" && p.mood != moodBreaking && rule != ruleBang && rule != ruleMarker && ownLine.MatchString(s) {
		return "", ""
	}
	return rule, strength
}

// has reports whether a text holds one of some words.
func has(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// identifiers are what a passage names in code font or LOOKS_LIKE_THIS.
func identifiers(s string) []string {
	var out []string
	add := func(id string) {
		id = strings.TrimSpace(strings.Trim(id, "\"'=:,; "))
		if i := strings.IndexAny(id, "= "); i > 0 {
			id = id[:i]
		}
		if len(id) > 2 && identifierForm.MatchString(id) && !slices.Contains(out, id) && len(out) < 20 {
			out = append(out, id)
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(s, 40) {
		add(m[1])
	}
	for _, m := range envName.FindAllString(s, 40) {
		add(m)
	}
	if strings.Contains(s, "$") {
		for _, m := range shellName.FindAllStringSubmatch(s, 40) {
			add(m[1])
		}
	}
	for _, m := range flagName.FindAllStringSubmatch(s, 40) {
		add(m[1])
	}
	return out
}
