package notes

import (
	"regexp"
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

var (
	breakingHeading   = regexp.MustCompile(`(?i)\bbreaking\b|backwards?[- ]incompatib|\bincompatib|\bupgrad(?:e|ing) (?:notes?|notice|instructions?|steps|guide|warning)|^upgrad(?:e|ing)\b|\bmigration (?:guide|notes?|steps|required)|action (?:is )?required|before (?:you )?(?:upgrade|update)|manual (?:steps?|intervention)|^(?:important|notice|warning|attention|caution)\b`)
	removedHeading    = regexp.MustCompile(`(?i)^\W*(?:removed|removals?|removed features|dropped)\b`)
	deprecatedHeading = regexp.MustCompile(`(?i)^\W*(?:deprecat)`)
	fixesHeading      = regexp.MustCompile(`(?i)^\W*(?:bug ?fix(?:es)?|fix(?:e[sd])?|bugs?|hotfix(?:es)?|resolved)\b`)
	ownHeading        = regexp.MustCompile(`(?i)^\W*(?:dependenc|deps\b|tests?\b|testing\b|ci\b|build\b|internal|chore|docs?\b|documentation|translations?|i18n|l10n|locali[sz]ation|contributors?|new contributors|development|developer|credits|sponsors|thanks|updates? to the docker|maintenance|misc(?:ellaneous)? chores?|for developers|full changelog)`)
	internalHeading   = regexp.MustCompile(`(?i)^\W*refactor`)
	nothing           = regexp.MustCompile(`(?i)^[\W_]*(?:nothing|none|n/?a|no(?:ne)? (?:known )?(?:breaking )?(?:changes?|removals?|deprecations?)|not applicable)?[\W_]*$`)
	negation          = regexp.MustCompile(`(?i)\b(?:no|non|not|without|isn'?t|aren'?t|zero|never)[- ]+(?:a |any |known |really |considered |longer )?(?:new |known )?(?:breaking|incompatib\w*|schema changes?|database migrations?|migrations? (?:is |are )?required|manual intervention|action (?:is )?required)(?: changes?)?|\bdo(?:es)? ?n[o']t break\b`)
	ownLine           = regexp.MustCompile(`(?i)^\W*(?:chore|ci|test|tests|build|docs?|style|refactor|i18n|l10n)(?:\([^)]*\))?:|\b(?:bump|update|upgrade)s? (?:dependenc|[\w@/.-]+ from v?\d[\w.-]* to v?\d)|\b(?:translation|typo|unit tests?|test suite|readme|github action|workflow|linter|eslint|dependabot|renovate|unused (?:code|imports?|variables?|dependenc\w+)|dead code)\b`)
	bang              = regexp.MustCompile(`^\W*[a-z]+(?:\([^)]*\))?!:`)
	breakingMark      = regexp.MustCompile(`\bBREAKING(?:[ -]CHANGES?)?\b|\bBC[ -]BREAKS?\b|\*\*Breaking`)
	// upgradeNotes matches "see the upgrade notes", "check the relevant section in the upgrade notes", "read the migration guide"; not "update the upgrade notes".
	upgradeNotes   = regexp.MustCompile(`(?i)\b(?:see|check|read|review|refer to|consult|follow)\b[^.;]{0,80}\b(?:upgrad(?:e|ing)|migration|migrating) (?:notes?|guides?|instructions|steps|docs|documentation)\b`)
	instruction    = regexp.MustCompile(`(?i)\byou(?:'ll)? (?:will )?(?:must|need to|have to|are required to|should (?:now )?(?:update|change|set|run|migrate|adjust|replace|rename|switch))\b|\b(?:must|needs? to|has to|have to) (?:now )?be (?:set|updated|changed|configured|migrated|run|renamed|replaced|adjusted|enabled|re-?created|upgraded|adapted)\b|\b(?:before|prior to|when|after) (?:upgrading|updating)\b|\bmake sure (?:to|that you)\b.*\b(?:before|upgrad|updat)|\bplease (?:update|change|adjust|migrate|switch|use|set|rename|replace|read|review|back ?up)\b|\bmanual(?:ly)? (?:steps?|migrat\w+|action|intervention|run|update)|\baction required\b|\brequires? (?:a )?manual`)
	droppedSupport = regexp.MustCompile(`(?i)\b(?:drop(?:s|ped)?|remov(?:e|es|ed|al of)|end(?:s|ed)?|discontinu\w+) (?:the |all )?(?:legacy |deprecated )?support (?:for|of)|\bno longer (?:supports?|supported|accept\w*|works?|available|include[ds]?|reads?|used?|has|allowed|possible|provide[ds]?|enabled|necessary to)\b|\bis not supported any ?more\b|\bsupport for .{1,60} (?:has been |was |is )?(?:removed|dropped)|\b(?:drop(?:s|ped)?|remov(?:e|es|ed)) (?:the )?(?:[\w.+#/-]+ ){1,4}support\b`)
	minimum        = regexp.MustCompile(`(?i)\bminimum (?:required |supported )?(?:version|[A-Za-z.]+ version|postgres\w*|php|python|node\w*)|\b(?:now )?requires? (?:at least )?(?:postgres\w*|mysql|mariadb|redis|php|python|node(?:\.?js)?|kubernetes|java|elasticsearch|mongodb|sqlite|ruby|go) ?(?:>=|≥|version)? ?v?\d`)
	defaults       = regexp.MustCompile(`(?i)\bnow defaults? to\b|\bdefaults? (?:value )?(?:\S+ ){0,6}(?:(?:has|have) (?:been )?changed|changed|is now|are now)|\b(?:chang\w+|switch\w+) (?:the )?default|\b(?:enabled?|disabled?|disables|enables|blocked|required|off|on) by default\b|\b(?:disable|enable|block|require)s? (?:\S+ ){1,5}by default\b|\bdefaults to .{1,40}\b(?:if not|unless)\b`)
	// surface matches what those who run a program touch: "the /heap endpoint", "this option", "environment variables"; not "the margin".
	surface = regexp.MustCompile(`(?i)\b(?:endpoints?|options?|settings?|flags?|parameters?|env(?:ironment)? var(?:iable)?s?|config(?:uration)?(?: keys?| files?)?|command[- ]line|plugins?|integrations?|drivers?|backends?|(?:rest|public|admin|http) api|api v\d)\b`)
	// notYet matches what adds something that removes, or announces: "Add option to remove …", "will be removed in 5.0"; not "was removed".
	notYet = regexp.MustCompile(`(?i)^\W*(?:\[?(?:add(?:s|ed)?|allow(?:s|ed)?|new|introduc\w+|feature|enhancement)\b)|\b(?:will|may|might|could|to) be (?:\w+ or )?(?:removed|renamed|replaced|dropped|changed)\b`)
	// runtime matches the languages that an image holds itself: "requires PHP 8.3", "Node 20"; not "requires PostgreSQL 15".
	runtime = regexp.MustCompile(`(?i)\b(?:php|python|node(?:\.?js|-red)?|java|ruby|go|golang|\.net)\b`)
	// fixLine matches "Fix so the option is off", "fix(ldap): …", "Fixed a crash"; not "Fixture names".
	fixLine = regexp.MustCompile(`(?i)^\W*(?:bug)?fix(?:es|ed)?\b`)
	// stricter matches "block private network access (configurable)", "are now rejected", "rejects weak keys unless"; not "blocked users page".
	stricter = regexp.MustCompile(`(?i)\b(?:now|will) (?:be )?(?:block|reject|refuse|disallow|forb[ia]d|den)\w*\b|\b(?:block|reject|refuse|disallow|forbid|den)\w* .{1,80}(?:\(configurable\)|\bunless\b|\bby default\b)`)
	// loosened matches what says that a new refusal can be set off: "(configurable)", "unless", "by default"; not "now reject weak keys".
	loosened = regexp.MustCompile(`(?i)\(configurable\)|\bunless\b|\bby default\b`)
	// leftCore matches "Three features moved to plugins", "has been moved to a dedicated plugin"; not "moved to the sidebar".
	leftCore = regexp.MustCompile(`(?i)\bmoved (?:\S+ ){0,5}?(?:in)?to (?:a |an |its |their )?(?:own |separate |dedicated |external )*(?:plugins?|add-?ons?|extensions?|repositor(?:y|ies)|projects?|images?|containers?)\b`)
	// changeMark matches the mark of the Prometheus family of changelogs: "[CHANGE] Remove …"; not "[ENHANCEMENT] …".
	changeMark     = regexp.MustCompile(`^\W*\[CHANGE\]`)
	movedVerb      = regexp.MustCompile(`(?i)\b(?:remov(?:e|es|ed|al|ing)|renam(?:e|es|ed|ing)|replac(?:e|es|ed)|drop(?:s|ped)?|moved?)\b`)
	codeSpan       = regexp.MustCompile("`([^`\n]{2,80})`")
	envName        = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
	flagName       = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z0-9-]+)`)
	identifierForm = regexp.MustCompile(`^(?:--?[A-Za-z][\w.-]*|[A-Za-z_][\w.-]*(?:[._-][\w-]+)+|[A-Z][A-Z0-9_]{2,}|/[\w./{}:-]+|[a-z][a-z0-9_]{3,})$`)
	migration      = regexp.MustCompile(`(?i)\b(?:schema|database|data|db|storage|index)[ -](?:schema )?(?:migrations?|upgrades?|conversion)\b|\bmigrat(?:e|es|ed|ing|ions?)\b.{0,80}\b(?:database|schema|tables?|columns?|rows|data|index(?:es)?|records)\b|\b(?:database|schema|tables?)\b.{0,60}\bmigrat|\bschema changes?\b|\bre-?index(?:ing|ed)?\b|\bbackground (?:migrations?|updates?)\b|\bmigrations? (?:will |may |can |to )?(?:run|take|be applied|start)|\b(?:run|apply|execute) (?:the |all )?(?:pending )?migrations?\b|\bALTER TABLE\b|\bschema version\b` +
		// "a migration repairs the column", "migrates saved filters"; not "migrate to TypeScript", "migration guide".
		`|\bmigrations?\b(?: (?:to|that|which|will|is|are|runs?|script|fail|error|repairs?|converts?|of)\b|[.,:;)]|$)|\bmigrat(?:es|ed|ing) (?:the |all |existing |old |your )?(?:\w+ ){0,2}(?:data|users?|accounts?|settings?|filters?|tables?|columns?|records?|permissions?|titles?|files?)\b`)
	// dataMoves matches what a migration is called by its effect: "back up your database before", "should not revert to an older
	// version", "Existing values will be adjusted automatically", "Add index `idx_topic` to the `messages` table"; not "Add a column to the list".
	dataMoves    = regexp.MustCompile(`(?i)\bback ?-?up (?:of )?(?:your |the |all )?(?:\w+ )?(?:database|data|db)\b.{0,40}\b(?:before|prior to)\b|\b(?:not|n't|never|cannot) (?:be )?(?:\w+ )?(?:revert|downgrade|roll(?:ed)? back|go back)\w*\b.{0,40}\b(?:version|release|upgrad)|\bdowngrad\w+ (?:is|are) (?:not|no longer|im)|\bnot (?:be )?forwards?[- ]compatible\b|\bforwards? incompatible\b|\bone-way\b|\b(?:existing|old|all) (?:\w+ ){1,3}(?:will be|are|is|get) (?:automatically )?(?:adjusted|converted|updated|migrated|moved|transformed|rewritten)\b|\bautomatic(?:ally)? (?:\w+ ){0,2}(?:migrat|conver)|\b(?:created|adjusted|converted|moved|updated) automatically (?:\w+ )?(?:during|on|upon|at) (?:the )?(?:upgrade|start)|\bwill (?:be )?(?:automatically )?(?:upgrade|convert|migrate)d? (?:automatically |to (?:the |a )?new )|\b(?:re-?add|add|creat|drop|remov)\w* (?:a |an |the |new |missing |unused |old )*(?:\w+ )?(?:index|columns?)\b.{0,60}\b(?:database|db|the (?:\S+ )?table)\b|\bnew index has been added\b|\b(?:new|missing) (?:db |database )?index\b|\bcreate a new ` + "`" + `\w+` + "`" + ` column\b|\b(?:add|restore|re-add)\w* (?:\w+ ){0,3}migrations? (?:to|that|for)\b|\btables? .{0,40}\b(?:will be|are|be) (?:properly )?(?:renamed|pluralized)\b`)
	migrationNot = regexp.MustCompile(`(?i)\bfix(?:e[sd])?\b|\btests?\b|\bdocs?\b|\bdocumentation\b`)
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

// keywordMatcher finds the configured keywords in any case, as whole words with
// their inflections.
type keywordMatcher struct {
	pattern *regexp.Regexp
	stems   []string // one of which a text that matches holds
}

func newKeywordMatcher(keywords []string) keywordMatcher {
	var m keywordMatcher
	var parts []string
	for _, k := range keywords {
		var ws []string
		for _, w := range strings.Fields(strings.ToLower(k)) {
			ws = append(ws, inflected(w))
		}
		if len(ws) == 0 {
			continue
		}
		parts = append(parts, strings.Join(ws, `[\s-]+`))
		m.stems = append(m.stems, stem(strings.Fields(strings.ToLower(k))[0]))
	}
	if len(parts) > 0 {
		// QuoteMeta leaves nothing that could fail to compile.
		m.pattern = regexp.MustCompile(`(?i)\b(?:` + strings.Join(parts, "|") + `)\b`)
	}
	return m
}

func (m keywordMatcher) match(s, lower string) bool {
	return m.pattern != nil && has(lower, m.stems...) && m.pattern.MatchString(s)
}

// stem is a word without the ending that inflected varies.
func stem(w string) string {
	for _, suffix := range []string{"ing", "ed", "ible"} {
		if s, ok := strings.CutSuffix(w, suffix); ok && len(s) >= 3 {
			return s
		}
	}
	return w
}

func inflected(w string) string {
	for _, suffix := range []string{"ing", "ed", "ible"} {
		if s, ok := strings.CutSuffix(w, suffix); !ok || len(s) < 3 {
			continue
		}
		if suffix == "ible" {
			return regexp.QuoteMeta(stem(w)) + `(?:ible|ibly|ibilit(?:y|ies))`
		}
		return regexp.QuoteMeta(stem(w)) + `(?:e|es|s|ed|ing|al|als|ation|ations)?`
	}
	return regexp.QuoteMeta(w) + `s?`
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

func migrates(p passage) bool {
	if p.mood == moodOwn {
		return false
	}
	text := p.text
	if strings.Contains(text, "](") {
		text = linkText.ReplaceAllString(text, "$1") // an address with /docs/ in it says nothing
	}
	lower := strings.ToLower(text)
	if has(lower, "back", "revert", "forward", "one-way", "downgrade", "existing", "automatic", "index", "column", "table", "format", "migration") && dataMoves.MatchString(text) && !ownLine.MatchString(text) {
		return true
	}
	if !has(lower, "migrat", "schema", "index", "background", "alter table", "conversion", "upgrade") {
		return false
	}
	s := negation.ReplaceAllString(text, " ")
	return migration.MatchString(s) && !migrationNot.MatchString(s) && !ownLine.MatchString(s)
}

// Migrates reports whether the notes speak of a schema or data migration, with the passage.
func Migrates(r Release) (text string, ok bool) {
	for _, p := range passages(r.Body) {
		if migrates(p) {
			runes := []rune(Plain(p.text))
			return string(runes[:min(len(runes), 300)]), true
		}
	}
	return "", false
}
