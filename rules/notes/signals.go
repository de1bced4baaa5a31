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
	rule, strength = p.match(s, lower, words)
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

const (
	ruleBang   = "conventional commit with !"
	ruleMarker = "breaking change marker"
)

// match tries the rules in order, strong ones first. See Rules.
func (p passage) match(s, lower string, words keywordMatcher) (rule string, strength Strength) {
	fixes := p.mood == moodFixes || fixLine.MatchString(s)
	ids := func() bool { return len(identifiers(p.text)) > 0 }
	support := strings.Contains(lower, "support")
	switch {
	case strings.Contains(s, "!:") && bang.MatchString(s):
		return ruleBang, Strong
	case (strings.Contains(s, "BREAKING") || strings.Contains(s, "BC") || strings.Contains(s, "**Breaking")) && breakingMark.MatchString(s):
		return ruleMarker, Strong
	case has(lower, "upgrad", "migrati") && upgradeNotes.MatchString(s):
		return "points to upgrade notes", Strong
	case changeMark.MatchString(s) && (movedVerb.MatchString(s) || strings.Contains(lower, "default") || strings.Contains(lower, "no longer")):
		return "marked as a change", Strong
	case p.mood == moodBreaking:
		return "under a heading of breaking changes", Strong
	case p.mood == moodRemoved && (support || ids()):
		return "removed, named under a heading", Strong
	case p.mood == moodRemoved:
		return "under a heading of removals", Weak
	case !fixes && has(lower, "support", "no longer") && !strings.Contains(lower, "no longer necessary") && droppedSupport.MatchString(s):
		if support || ids() {
			return "support dropped", Strong
		}
		return "support dropped", Weak
	case !fixes && has(lower, "minimum", "require") && minimum.MatchString(s):
		if runtime.MatchString(s) {
			return "minimum version raised", Weak // the image brings it along
		}
		return "minimum version raised", Strong
	case !fixes && has(lower, "must", "need", "have to", "has to", "required", "should", "upgrad", "updat", "please", "manual", "make sure") && instruction.MatchString(s):
		return "instruction to the operator", Strong
	case !fixes && has(lower, "block", "reject", "refuse", "disallow", "forbid", "den") && stricter.MatchString(s):
		if loosened.MatchString(s) {
			return "stricter than before", Strong // what worked without a setting needs one now
		}
		return "stricter than before", Weak
	case !fixes && strings.Contains(lower, "default") && defaults.MatchString(s):
		if !notYet.MatchString(s) && (ids() || surface.MatchString(s) || has(lower, "if not", "unless")) {
			return "default changed", Strong
		}
		return "default changed", Weak
	case !fixes && has(lower, "moved") && leftCore.MatchString(s):
		return "left the core", Strong
	}
	if !words.match(s, lower) {
		return "", ""
	}
	switch {
	case !fixes && movedVerb.MatchString(s) && !notYet.MatchString(s) && (ids() || surface.MatchString(s)):
		return "setting removed or renamed", Strong
	case fixes && !strings.Contains(lower, "breaking") && !ids():
		return "", ""
	}
	return "keyword", Weak
}

// RuleDoc explains a rule to people.
type RuleDoc struct {
	Name     string
	Strength string
	Example  string
}

// Rules lists the rules by which a passage becomes a signal, in the order in
// which they are tried, for the documentation.
func Rules() []RuleDoc {
	return []RuleDoc{
		{ruleBang, "strong", "feat(api)!: answer with another status"},
		{ruleMarker, "strong", "BREAKING CHANGE: the port is 8080"},
		{"points to upgrade notes", "strong", "Please check the upgrade notes, as this release removes the old login"},
		{"under a heading of breaking changes", "strong", "an item below “Breaking changes”, “Upgrade notes”, “Action required”"},
		{"removed, named under a heading", "strong", "below “Removed”: `REDIRECT_APPEND_EXTRA_PATH`"},
		{"under a heading of removals", "weak", "below “Removed”: the old logo"},
		{"support dropped", "strong", "Drop support for PostgreSQL 12"},
		{"minimum version raised", "strong, weak for a language that the image holds", "Now requires PostgreSQL 15"},
		{"instruction to the operator", "strong", "You must set `TRUSTED_PROXIES`"},
		{"default changed", "strong with a setting’s name, else weak", "`cache_size` now defaults to 1 GB"},
		{"setting removed or renamed", "strong", "Renamed `FOO` to `BAR`"},
		{"stricter than before", "strong when a setting loosens it, else weak", "Block private networks (configurable)"},
		{"left the core", "strong", "The importer has moved to a plugin"},
		{"marked as a change", "strong", "[CHANGE] Remove the /heap endpoint"},
		{"keyword", "weak", "Renamed the menu entry"},
	}
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
	for _, m := range flagName.FindAllStringSubmatch(s, 40) {
		add(m[1])
	}
	return out
}
