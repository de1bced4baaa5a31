package notes

import "regexp"

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
)
