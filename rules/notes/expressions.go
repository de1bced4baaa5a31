package notes

var (
	breakingHeading   = matching(`(?i)\bbreaking\b|backwards?[- ]incompatib|\bincompatib|\bupgrad(?:e|ing) (?:notes?|notice|instructions?|steps|guide|warning)|^upgrad(?:e|ing)\b|\bmigration (?:guide|notes?|steps|required)|action (?:is )?required|before (?:you )?(?:upgrade|update)|manual (?:steps?|intervention)|\b(?:backwards?[- ])?compatib\w+ (?:changes?|notes?|breaks?)\b|\b(?:notes?|changes|important) for (?:\w+ )?(?:upgrad\w+|admin\w*|operators?|packagers?|sysadmins?)\b|\bupdat(?:e|ing) (?:notes?|instructions|steps)\b|\bwhat (?:do )?you (?:need|have) to\b|\bapi changes\b|\bconfig(?:uration)?(?: file)? changes\b`)
	importantHeading  = matching(`(?i)^\W*(?:important|notice|warnings?|attention|caution|please note)\b`)
	removedHeading    = matching(`(?i)^\W*(?:removed|removals?|removed features|dropped)\b`)
	deprecatedHeading = matching(`(?i)^\W*(?:deprecat)`)
	fixesHeading      = matching(`(?i)^\W*(?:bug ?fix(?:es)?|fix(?:e[sd])?|bugs?|hotfix(?:es)?|resolved)\b`)
	ownHeading        = matching(`(?i)^\W*(?:dependenc|deps\b|tests?\b|testing\b|ci\b|build\b|internal|chore|docs?\b|documentation|translations?|i18n|l10n|locali[sz]ation|contributors?|new contributors|development|developer|credits|sponsors|thanks|updates? to the docker|maintenance|misc(?:ellaneous)? chores?|for developers|full changelog)`)
	internalHeading   = matching(`(?i)^\W*refactor`)
	nothing           = matching(`(?i)^[\W_]*(?:nothing|none|n/?a|no(?:ne)? (?:known )?(?:breaking )?(?:changes?|removals?|deprecations?)|not applicable)?[\W_]*$`)
	negation          = matching(`(?i)\b(?:no|non|not|without|isn'?t|aren'?t|zero|never)[- ]+(?:a |any |known |really |considered |longer )?(?:new |known )?(?:breaking|incompatib\w*|schema changes?|database migrations?|migrations? (?:is |are )?required|manual intervention|action (?:is )?required)(?: changes?)?|\bdo(?:es)? ?n[o']t break\b`)
	ownLine           = matching(`(?i)^\W*(?:chore|ci|test|tests|build|docs?|style|refactor|i18n|l10n)(?:\([^)]*\))?:|\b(?:bump|update|upgrade)s? (?:dependenc|[\w@/.-]+ from v?\d[\w.-]* to v?\d)|\b(?:translation|typo|unit tests?|test suite|readme|github action|workflow|linter|eslint|dependabot|renovate|unused (?:code|imports?|variables?|dependenc\w+)|dead code)\b|\b(?:drop|remov|replac)\w* (?:the )?(?:cumbersome |old )?\S+ (?:packages?|dependenc\w+|librar\w+)\b|\bin favou?r of \S+\.js\b`)
	bang              = matching(`^\W*[a-z]+(?:\([^)]*\))?!:`)
	breakingMark      = matching(`\bBREAKING(?:[ -]CHANGES?)?\b|\bBC[ -]BREAKS?\b|\*\*Breaking`)
	// upgradeNotes matches "see the upgrade notes", "check the relevant section in the upgrade notes", "read the migration guide"; not "update the upgrade notes".
	upgradeNotes   = matching(`(?i)\b(?:see|check|read|review|refer to|consult|follow)\b[^.;]{0,80}\b(?:upgrad(?:e|ing)|migration|migrating) (?:notes?|guides?|instructions|steps|docs|documentation)\b`)
	instruction    = matching(`(?i)\byou(?:'ll)? (?:will )?(?:must|need to|have to|are required to|should (?:now )?(?:update|change|set|run|migrate|adjust|replace|rename|switch))\b|\b(?:must|needs? to|has to|have to) (?:now )?be (?:set|updated|changed|configured|migrated|run|renamed|replaced|adjusted|enabled|re-?enabled|re-?created|re-?generated|re-?started|re-?configured|upgraded|adapted|installed|provided|specified|imported|moved)\b|\b(?:before|prior to) (?:upgrading|updating)\b|\b(?:when|after) (?:upgrading|updating)(?:,| to\b| from\b| this\b| your\b| the\b)|\b(?:before|prior to) (?:deploying|installing|running|starting) (?:this|the) (?:new )?(?:version|release|update)\b|\bmake sure (?:to|that you)\b.*\b(?:before|upgrad|updat)|\bplease (?:update|change|adjust|migrate|switch|use|set|rename|replace|read|review|back ?up)\b|\bmanual(?:ly)? (?:steps?|migrat\w+|action|intervention|run|update)|\baction required\b|\brequires? (?:a )?manual`)
	droppedSupport = matching(`(?i)\b(?:drop(?:s|ped)?|remov(?:e|es|ed|al of)|end(?:s|ed)?|discontinu\w+) (?:the |all )?(?:legacy |deprecated )?support (?:for|of)|\bno longer (?:\w+ly )?(?:supports?|supported|accept\w*|works?|available|include[ds]?|reads?|used?|has|have|allow\w*|possible|provide[ds]?|enabled|necessary to|listens?|runs?|starts?|expos\w+|exist\w*|publish\w*|built|ship\w*|bundle[ds]?|recogni[sz]ed|honou?red|respected|created|installed|part of|valid|set)\b|\bis not supported any ?more\b|\bsupport for .{1,60} (?:has been |was |is )?(?:removed|dropped)|\b(?:drop(?:s|ped)?|remov(?:e|es|ed)) (?:the )?(?:[^\s.,;:]+ ){1,4}support\b`)
	minimum        = matching(`(?i)\bminimum (?:required |supported )?(?:version|[A-Za-z.]+ version|postgres\w*|php|python|node\w*)|\b(?:now )?requires? (?:at least )?(?:postgres\w*|mysql|mariadb|redis|php|python|node(?:\.?js)?|kubernetes|java|elasticsearch|mongodb|sqlite|ruby|go) ?(?:>=|≥|version)? ?v?\d`)
	defaults       = matching(`(?i)\bnow defaults? to\b|\bdefaults? (?:value )?(?:\S+ ){0,6}(?:(?:has|have) (?:been )?changed|changed|is now|are now)|\b(?:chang\w+|switch\w+) (?:the )?default|\b(?:enabled?|disabled?|disables|enables|blocked|required|off|on) by default\b|\b(?:disable|enable|block|require)s? (?:\S+ ){1,5}by default\b|\bdefaults to .{1,40}\b(?:if not|unless)\b`)
	// surface matches what those who run a program touch: "the /heap endpoint", "this option", "environment variables"; not "the margin".
	surface = matching(`(?i)\b(?:endpoints?|routes?|options?|settings?|flags?|parameters?|switch(?:es)?|env(?:ironment)? var(?:iable)?s?|config(?:uration)?(?: keys?| files?)?|command[- ]line|plugins?|integrations?|data ?sources?|(?:query )?runners?|providers?|connectors?|notifiers?|receivers?|exporters?|importers?|adapters?|drivers?|backends?|engines?|programs?|binar(?:y|ies)|executables?|commands?|volumes?|ports?|metrics?|apis?|api v\d)\b`)
	// notYet matches what adds something that removes, or announces: "Add option to remove …", "will be removed in 5.0"; not "was removed".
	notYet = matching(`(?i)^\W*(?:\[?(?:add(?:s|ed)?|allow(?:s|ed)?|new|introduc\w+|feature|enhancement)\b)|\b(?:will|may|might|could|to) be (?:\w+ or )?(?:removed|renamed|replaced|dropped|changed)\b`)
	// runtime matches the languages that an image holds itself: "requires PHP 8.3", "Node 20"; not "requires PostgreSQL 15".
	runtime = matching(`(?i)\b(?:php|python|node(?:\.?js|-red)?|java|ruby|go|golang|\.net)\b`)
	// bundled matches a version of a language that the image holds itself: "support for Python 3.9"; not "support for PostgreSQL 12".
	bundled = matching(`(?i)\b(?:php|python|node(?:\.?js)?|java|ruby|go|golang|\.net) (?:v|version )?\d`)
	// tentative matches what was never promised to stay: "experimental", "the unstable prefix", "as the proposal was rejected".
	tentative = matching(`(?i)\b(?:experimental|unstable|drafts?|(?:was|is|been) (?:closed|rejected|withdrawn))\b`)
	// fixLine matches "Fix so the option is off", "fix(ldap): …", "Fixed a crash"; not "Fixture names".
	fixLine = matching(`(?i)^\W*(?:bug)?fix(?:es|ed)?\b`)
	// refusing matches a line that begins with what is refused: "Forbid 0 for `x`", "[BUGFIX] Reject empty names"; not "Fix rejected uploads".
	refusing = matching(`(?i)^\W*(?:\[?(?:bug ?fix|change|security|enhancement)\]?:? *)?(?:forbids?|disallows?|rejects?|refuses?|den(?:y|ies)|prohibits?|do not allow|don't allow)\b`)
	// notByDefault matches "users don't receive mail by default", "is no longer installed by default"; not "works by default".
	notByDefault = matching(`(?i)\b(?:not|don['’]?t|doesn['’]?t|no longer)\b .{1,60} by default\b|\b(?:from|to) (?:the )?defaults?\b[^ ]*(?: \(|$)`)
	// switchedOff matches a line that begins with what is switched off: "Disable the s2s module", "prosody: disable s2s"; not "Disabled buttons are grey".
	switchedOff = matching(`(?i)^\W*(?:[0-9a-f]{7,} )?(?:[\w,/-]+(?:\([\w,/-]+\))?: )?(?:disable[sd]?|turn(?:s|ed)? off|deactivate[sd]?) (?:the )?\w`)
	// switchedOn matches a line that begins with what is switched on: "web: enable rate limits".
	switchedOn = matching(`(?i)^\W*(?:[0-9a-f]{7,} )?(?:[\w,/-]+(?:\([\w,/-]+\))?: )(?:enable[sd]?|turn(?:s|ed)? on|activate[sd]?|enforce[sd]?) (?:the )?\w`)
	// sign matches the signs that people put before what breaks: "⚠ Disallow …", "🚨 change the port", ":boom: …".
	sign = matching(`^[^\pL\pN]*(?:⚠|🚨|💥|:boom:|:warning:|:rotating_light:)`)
	// otherwise matches "is no longer linked", "will no longer send"; not "no longer crashes".
	otherwise = matching(`(?i)\b(?:is|are|will|does|do|can) no longer \w+`)
	// optIn matches "Make the integration opt-in", "is now opt-in"; not "an opt-in option".
	optIn = matching(`(?i)\b(?:makes?|made|now|becomes?|is|are) (?:\S+ ){0,5}opt[- ](?:in|out)\b`)
	// usesByDefault matches "use v2 by default", "is now the default"; not "(used by default)".
	usesByDefault = matching(`(?i)\b(?:use[sd]?|using|prefer[s]?) [^(),]{1,60} by default\b|\bnow the default\b|\b(?:will|now) [^(),]{1,60} by default\b`)
	// changedFirst matches "Change the format of the log", "Changed authentication for agents"; not "Changed the colour of buttons".
	changedFirst = matching(`(?i)^\W*(?:\[?(?:change[ds]?|breaking)\]?:? *)?(?:change[sd]?|modif(?:y|ies|ied)|switch(?:es|ed)?|rework(?:s|ed)?|restructure[sd]?) (?:the |how )?(?:\S+ ){0,8}?\b(?:authentication|authori[sz]ation|formats?|semantics|behaviou?rs?|responses?|payloads?|encoding|signatures?|permissions|names|locations?|paths?|layout|structure|types?|case|units?|ports?|protocols?)\b`)
	// answers matches "now returns 404", "returns a list instead of an object"; not "returns to the list".
	answers = matching(`(?i)\bnow (?:returns?|responds?|answers?|throws?|fails?|errors?)\b|\b(?:returns?|responds?|answers?|sends?)\b.{1,80}\binstead of\b`)
	// command matches changes of how the container starts: "Use JSON array format for the `CMD` instruction", "New entrypoint"; not "command palette".
	command            = matching(`(?i)\b(?:use|change[sd]?|replace[sd]?|remove[sd]?|rename[sd]?|move[sd]?|switch\w*|new|now)\b.{0,60}(?:\bentry-?point\b|\bstart(?:-?up)? (?:command|script)\b)`)
	commandInstruction = matching("`?\\b(?:CMD|ENTRYPOINT)\\b`? instruction|\\bDocker(?:file)?(?:'s)? `?(?:CMD|ENTRYPOINT)\\b")
	// user matches what says that the container runs as somebody else: "Changes the UID and GID of the runtime user", "runs as non-root"; not "user id in the URL".
	user = matching(`(?i)\b(?:run|runs|running|now|switch\w*|chang\w*)\b.{0,40}\b(?:as (?:a )?(?:non-?root|rootless|unprivileged)|UID|GID|non-?root user|rootless)\b`)
	// invalidated matches what was given out before and ends: "will invalidate all tokens", "Existing sessions are no longer valid"; not "invalid token".
	invalidated = matching(`(?i)\binvalidat(?:e|es|ed|ing) (?:all|any|your|existing|every|old)\b|\b(?:sessions?|tokens?|logins?|api keys?|passwords?|cookies?)\b.{0,50}\b(?:(?:are|is|be|been|become) (?:invalidated|invalid|revoked|reset)|no longer valid|logged out)\b|\b(?:users?|everybody|everyone) (?:will |must |have to |need to )+(?:be logged out|log ?in again|sign ?in again|re-?authenticate)\b`)
	// keepOld matches "To retain the old behaviour set …"; not "keeps old files".
	keepOld = matching(`(?i)\b(?:to|want to|wish to) (?:retain|keep|restore|get back|preserve|go back to|return to|have|use) (?:the )?(?:old|previous|former|existing|original|earlier)\b.{0,20}\b(?:behaviou?r|default|setting|format|value|way)`)
	// toUndo matches "To disable prometheus authentication, set …", "opt out by setting"; not "to set a flag".
	toUndo = matching(`(?i)\b(?:to (?:disable|turn off|revert|undo|avoid|opt out|restore|re-?enable)|opt[- ]out (?:by|with)|(?:can|may) be (?:disabled|reverted|turned off|restored|overridden) (?:by|with)|users can override)\b.{0,80}\b(?:set(?:ting)?|use|using|add(?:ing)?|parameter|option|flag|with|by)\b`)
	// older matches what concerns upgrades from before the version that precedes: "If you are upgrading from v0.15.x and below".
	older = matching(`(?i)\bupgrad(?:e|ing) from (?:an? )?(?:older )?(?:versions? )?v?\d[\w.]*(?:,? (?:and|or) (?:below|earlier|older|lower|before|v?\d[\w.]*))+`)
	// changeDefault matches a line that begins with a changed default: "Change default user agent"; not "Change default theme".
	changeDefault = matching(`(?i)^\W*(?:\[?\w+\]?:? )?(?:chang(?:e|es|ed)|switch(?:es|ed)?|rais(?:e|es|ed)|lower(?:s|ed)?|increas(?:e|es|ed)|reduc(?:e|es|ed)) (?:the )?default\b`)
	// looks matches what only the eye meets.
	looks = matching(`(?i)\b(?:themes?|skins?|colou?rs?|icons?|fonts?|avatars?|logos?|sort\w*|maps?|layouts?|views?|favicons?|zoom|pages?)\b`)
	// removedKind matches "Remove proxy-dns feature", "Dropped the legacy mode"; not "Remove a feature flag check".
	removedKind = matching(`(?i)\b(?:remov|dropp?)\w* (?:the |old |legacy )*(?:[^\s.,;:]+ ){1,2}(?:features?|modes?|protocols?|tags?|architectures?|platforms?)\b`)
	// replacedBy matches "has been replaced by", "superseded by"; not "replace the icon".
	replacedBy = matching(`(?i)\b(?:been |is |are |was |were |now )+(?:replaced|superseded|renamed) (?:by|with|to|into)\b`)
	// insteadOf matches another answer than before, not one more: "instead of", "401", "an error"; not "now returns the id as well".
	insteadOf = matching(`(?i)\binstead of\b|\b[45]\d\d\b|\berrors?\b|\bno longer\b|\bfails?\b`)
	// othersMust matches "Plugins must be adapted", "clients need to send"; not "users can".
	othersMust = matching(`(?i)\b(?:plugins?|clients?|themes?|scripts?|agents?|users?|admins?|administrators?|operators?|integrations?|configurations?|deployments?|installations?|templates?) (?:must|(?:will )?(?:need|have) to)\b|\bupdate (?:all )?(?:of )?your\b|\beither (?:increase|set|use|configure|update|change)\b`)
	// requireFirst matches a line that begins with what is required: "Require a token for /metrics"; not "Required fields are marked".
	requireFirst = matching(`(?i)^\W*(?:\[?(?:change[ds]?|security)\]?:? *)?requires? (?:a|an|the|at least|\S+ to|.{0,40}\bv?\d+[.+]|` + "`" + `|[a-z]+ \d)`)
	// restored matches a line that gives something back: "Reintroduced the old login", "restore the option".
	restored = matching(`(?i)^\W*(?:re-?introduc|restor|re-?add|bring back|brought back|revert)\w*`)
	// security matches what speaks of a hole that is closed: "fixes for a number of CVEs", "open redirect vulnerability".
	securityWords = matching(`(?i)\b(?:vulnerabilit\w+|CVEs?|CVE-\d|GHSA|security (?:fix|audit|disclosure|issue|release)\w*|attackers?|bad actor|bypass\w*)\b`)
	// fresh matches what concerns new installations alone: "the default for new installs".
	fresh = matching(`(?i)\b(?:new|fresh) (?:install\w*|instances?|users?|deployments?|set-?ups?)\b`)
	// later matches what is only announced: "will be removed in v2", "in a future release".
	later = matching(`(?i)\bwill be (?:removed|dropped|changed|renamed) (?:in|with|from)\b|\b(?:future|next(?: major)?|coming) (?:release|version)\b`)
	// stricter matches "block private network access (configurable)", "are now rejected", "rejects weak keys unless"; not "blocked users page".
	stricter = matching(`(?i)\b(?:now|will) (?:be )?(?:block|reject|refuse|disallow|forb[ia]d|den)\w*\b|\b(?:block|reject|refuse|disallow|forbid|den)\w* .{1,80}(?:\(configurable\)|\bunless\b|\bby default\b)`)
	// loosened matches what says that a new refusal can be set off: "(configurable)", "unless", "by default"; not "now reject weak keys".
	loosened = matching(`(?i)\(configurable\)|\bunless\b|\bby default\b`)
	// leftCore matches "Three features moved to plugins", "has been moved to a dedicated plugin"; not "moved to the sidebar".
	leftCore = matching(`(?i)\bmoved (?:\S+ ){0,5}?(?:in)?to (?:a |an |its |their )?(?:own |separate |dedicated |external )*(?:plugins?|add-?ons?|extensions?|repositor(?:y|ies)|projects?|images?|containers?)\b`)
	// changeMark matches the mark of the Prometheus family of changelogs: "[CHANGE] Remove …"; not "[ENHANCEMENT] …".
	// byDefault matches what is switched for everybody: "The console is disabled by default", "Explicitly disable the importer by
	// default", "Tokens enabled by default"; not "a new panel (disabled by default)".
	byDefault = matching(`(?i)\b(?:enable[sd]?|disable[sd]?|block(?:s|ed)?|require[sd]?|den(?:y|ies|ied)|reject(?:s|ed)?|turn(?:s|ed)? (?:on|off)|off|on)\b(?: [^\s(,]+){0,6} by default\b`)
	// aside matches what is said by the way of something new: "(disabled by default)", ", enabled by default".
	aside = matching(`(?i)(?:\([^)]*|, ?(?:which is |but |and )?(?:currently )?\w+) by default\b`)
	// saysBreaking matches "this is a breaking change", "not backwards compatible", "breaks existing installations"; not "breaking news".
	saysBreaking = matching(`(?i)\bbreaking (?:\w+ )?changes?\b|\bnot (?:\w+ )?(?:backwards?|back)[- ]compatible\b|\bincompatible with (?:(?:all|any|the|your) )?(?:old|older|previous|earlier|existing|prior|versions?)\b|\bbackwards?[- ]incompatible\b|\bbreaks (?:backwards?|compatibility|existing|old|all)\b|\b(?:may|might|can|could|will) (?:cause (?:issues|problems) (?:when|with|for|if|in)\b|break\b.{0,60}\b(?:clients?|integrations?|set-?ups?|installations?|deployments?|scripts?|configurations?|plugins?|themes?|existing))\b`)
	// perhaps matches what speaks of changes to come or of none in particular: "there might be breaking changes", "detect breaking changes".
	perhaps = matching(`(?i)\b(?:might|may|could|can) (?:be|have|contain|include|introduce)\b|\b(?:avoid|detect|prevent|future|upcoming|potential(?:ly)?|due to|because of|follow\w*)\b`)
	// outlived matches "Remove deprecated options", "The deprecated endpoint has been dropped"; not "Deprecated options will be removed".
	outlived = matching(`(?i)\b(?:remov(?:e|es|ed|al of|ing)|delet(?:e|es|ed)|drop(?:s|ped)?) (?:(?:all|the|an?|of|old|some|many|several|previously|already|long|now|and|obsolete|legacy) ){0,4}deprecated\b|\bdeprecated\b.{1,60}\b(?:has|have|was|were|is|are) (?:now |been |finally )*(?:removed|dropped|deleted)\b`)
	// ownCode matches what only the project itself called: "deprecated code", "deprecated jQuery functions".
	ownCode = matching(`(?i)\bdeprecated (?:\S+ ){0,2}(?:codes?|calls?|functions?|methods?|usages?|uses?|dependenc\w+|librar\w+|packages?|imports?|class(?:es)?|tests?|syntax|actions?|warnings?|helpers?|components?|modules?)\b`)
	// obliged matches "is now mandatory", "are required"; not "no login required".
	obliged = matching(`(?i)\b(?:is|are|becomes?) (?:now )?(?:mandatory|compulsory|required)\b|\bnow (?:mandatory|compulsory|required)\b`)
	// elsewhere matches what is found in another place or form than before: "now listens on 8080", "is now located in", "now runs as".
	elsewhere = matching(`(?i)\bnow (?:listens?|runs? as|run under|starts? as|lives? (?:in|at|under)|located|found (?:in|at|under)|mounted|served (?:on|at|under|from)|exposed (?:on|at|under)|expects?|called|named|stored? (?:in|at|under)|only (?:accepts?|supports?|allows?|listens?|available|works?))\b|\bmigrate[sd]? (?:\S+ )?to (?:the |a )?new (?:config\w*|format)\b`)
	// changedFrom matches "changed from 80 to 8080", "replaced by", "superseded with"; not "changed the colour".
	changedFrom = matching(`(?i)\bchang(?:e|es|ed)\b.{0,80}\bfrom\b.{1,60}\bto\b|\b(?:been |is |are |was |were |now )(?:replaced|superseded) (?:by|with|in favou?r)\b|\bin favou?r of\b`)
	changeMark  = matching(`^\W*\[CHANGE\]`)
	// removalFirst matches a line that begins with what is gone, whatever the section: "Removed the /v1 endpoint", "Drop `x`"; not "A crash when a file was removed".
	removalFirst = matching(`(?i)^\W*(?:\[?(?:changed|removed|misc|internal)\]?: )?(?:remov(?:e|es|ed)|drop(?:s|ped)?|renam(?:e|es|ed))\b`)
	movedVerb    = matching(`(?i)\b(?:remov(?:e|es|ed|al|ing)|renam(?:e|es|ed|ing)|replac(?:e|es|ed)|drop(?:s|ped)?|moved?)\b`)
	codeSpan     = matching("`([^`\n]{2,80})`")
	// shellName matches "$STEPPATH", "${DATA_DIR}"; not "$5".
	shellName      = matching(`\$\{?([A-Z][A-Z0-9_]{2,})\b`)
	envName        = matching(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
	flagName       = matching(`(?:^|\s)(--[a-z][a-z0-9-]+)`)
	identifierForm = matching(`^(?:--?[A-Za-z][\w.-]*|[A-Za-z_][\w.-]*(?:[._-][\w-]+)+|[A-Z][A-Z0-9_]{2,}|[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+|/[\w./{}:-]+|[a-z][a-z0-9_]{3,})$`)
)
