package notes

import (
	"strings"
)

var (
	migration = matching(`(?i)\b(?:schema|database|data|db|storage|index)[ -](?:schema )?(?:migrations?|upgrades?|conversion)\b|\bmigrat(?:e|es|ed|ing|ions?)\b.{0,80}\b(?:database|schema|tables?|columns?|rows|data|index(?:es)?|records)\b|\b(?:database|schema|tables?)\b.{0,60}\bmigrat|\bschema changes?\b|\bre-?index(?:ing|ed)?\b|\bbackground (?:migrations?|updates?)\b|\bmigrations? (?:will |may |can |to )?(?:run|take|be applied|start)|\b(?:run|apply|execute) (?:the |all )?(?:pending )?migrations?\b|\bALTER TABLE\b|\bschema version\b` +
		// "a migration repairs the column", "migrates saved filters"; not "migrate to TypeScript", "migration guide".
		`|\bmigrations?\b(?: (?:to (?:add|drop|fix|set|change|convert|update|remove|create|rename|clean|move|store|delete|populate|repair|alter|split|merge|normali[sz]e)|that|which|will|is|are|runs?|script|fail|error|repairs?|converts?|of)\b|[.,:;)]|$)|\bmigrat(?:es|ed|ing) (?:the |all |existing |old |your )?(?:\w+ ){0,2}(?:data|users?|accounts?|settings?|filters?|tables?|columns?|records?|permissions?|titles?|files?)\b`)
	// dataMoves matches what a migration is called by its effect: "back up your database before", "should not revert to an older
	// version", "Existing values will be adjusted automatically", "Add index `idx_topic` to the `messages` table"; not "Add a column to the list".
	dataMoves = matching(`(?i)\bback ?-?up (?:of )?(?:your |the |all )?(?:\w+ )?(?:database|data|db)\b.{0,40}\b(?:before|prior to)\b|\b(?:not|n't|never|cannot) (?:be )?(?:\w+ )?(?:revert|downgrade|roll(?:ed)? back|go back)\w*\b.{0,40}\b(?:version|release|upgrad)|\bdowngrad\w+ (?:is|are) (?:not|no longer|im)|\bnot (?:be )?forwards?[- ]compatible\b|\bforwards? incompatible\b|\bone-way\b|\b(?:existing|old|all) (?:[\w` + "`" + `]+ ){1,3}(?:will be|are|is|get) (?:automatically )?(?:upgraded|adjusted|converted|updated|migrated|moved|transformed|rewritten)\b|\bautomatic(?:ally)? (?:\w+ ){0,2}(?:migrat|conver)|\b(?:created|adjusted|converted|moved|updated) automatically (?:\w+ )?(?:during|on|upon|at) (?:the )?(?:upgrade|start)|\bwill (?:be )?(?:automatically )?(?:upgrade|convert|migrate)d? (?:automatically |to (?:the |a )?new )|\b(?:re-?add|add|creat|drop|remov)\w* (?:a |an |the |new |missing |unused |old )*(?:\w+ )?(?:index|columns?)\b.{0,60}\b(?:database|db|the (?:\S+ )?table)\b|\bnew index has been added\b|\b(?:new|missing) (?:db |database )?index\b|\bcreate a new ` + "`" + `\w+` + "`" + ` column\b|\b(?:add|restore|re-add)\w* (?:\w+ ){0,3}migrations? (?:to|that|for)\b|\btables? .{0,40}\b(?:will be|are|be) (?:properly )?(?:renamed|pluralized)\b`)
	// reshaped matches changes of stored data told by what they do: "adding a NOT NULL constraint", "add DB indexes", "drop old columns",
	// "update script for the database", "now stored in the database", "restore title migration"; not "add a column to the list".
	reshaped     = matching(`(?i)\b(?:NOT NULL|UNIQUE|foreign[- ]keys?|primary keys?|check)(?: \w+)? constraints?\b|\b(?:add|creat|drop|chang|alter)\w* (?:\S+ ){0,3}(?:db|database|sql) (?:ind(?:ex|exes|ices)|columns?|constraints?|fields?)\b|\bdrop\w* (?:the )?(?:old|unused|legacy|obsolete) (?:\w+ )?(?:columns?|tables?)\b|\bcolumns? in .{0,60}\bindex\b|\b(?:update|upgrade|migration|conversion) scripts? (?:for|to) .{0,30}\b(?:database|\w*sql\w*)\b|\bnow (?:stored|kept|saved) in the (?:database|db|storage)\b|\b(?:restore|skip|re-?run|repeat)\w* (?:\w+ ){1,3}migrations?\b|\bdatabase (?:structure|layout|format|version)(?: \w+)? (?:chang|upgrad|updat|bump|increas)\w*|\b(?:upgrad|updat|convert)(?:e|es|ed|ing|s)? (?:of )?(?:the |your |existing )?(?:database|db) (?:structure|schema|layout|format|to)\b|\bnew (?:database|storage|db|on-disk) (?:backend|format|schema|layout|structure|engine)\b|\bback-?up and wipe\b|\b(?:make|take|create) (?:a )?(?:full )?back-?up of (?:your|the) (?:database|data|db)\b|\b(?:add|creat|replac)\w* (?:an? |the )?(?:\w+ )?index (?:to|on|for|by|of)\b|\b(?:combined|composite|unique|partial) index\b|\bin a migration\b|\bauto-?(?:converted|migrated|upgraded)\b|\b(?:different|another|changed) (?:database|storage|on-disk) (?:layout|format|schema)\b|\bencrypted (?:at rest )?in the database\b|\bunique key to the \w+ table\b|\b(?:first|initial) (?:start(?:-?up)?|boot|launch|run)\b.{0,60}\b(?:longer|long time|some time|a while|slow\w*|minutes|hours)\b|\b(?:chang|alter|convert|enlarg|extend|increas|widen)\w* .{0,40}\bcolumns? (?:type|length|size|to)\b`)
	migrationNot = matching(`(?i)\bfix(?:e[sd])?\b|\btests?\b|\bdocs?\b|\bdocumentation\b`)
)

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
	if has(lower, "constraint", "database", "db ", "index", "column", "table", "migration", "sql", "stored", "start", "boot", "run", "launch", "auto") && reshaped.MatchString(text) && !ownLine.MatchString(text) {
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
