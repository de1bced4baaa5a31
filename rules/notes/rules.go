package notes

import "strings"

// RuleDoc explains a rule to people.
type RuleDoc struct {
	Name     string
	Strength string
	Example  string
}

// Rules lists the rules by which a passage becomes a signal, in the order in
// which they are tried, for the documentation.
func Rules() []RuleDoc {
	out := make([]RuleDoc, len(rules))
	for i, r := range rules {
		out[i] = r.RuleDoc
	}
	return out
}

// rule is one way in which a passage becomes a signal. match says how strong
// it is, "" for none.
type rule struct {
	RuleDoc
	match func(*line) Strength
}

// line is a passage with what the rules ask of it.
type line struct {
	passage
	text, lower string // without link targets and negations; the latter in lower case
	words       keywordMatcher

	// Answers are kept, since several rules ask for them: 0 is not asked yet.
	named, kind, fix, coming answer
}

// answer is a question's: not asked, no, yes.
type answer int8

func (a *answer) ask(q func() bool) bool {
	if *a == 0 {
		*a = 1
		if q() {
			*a = 2
		}
	}
	return *a == 2
}

func (l *line) has(words ...string) bool { return has(l.lower, words...) }

// ids reports whether the passage names something in code font or LOOKS_LIKE_THIS.
func (l *line) ids() bool {
	return l.named.ask(func() bool { return len(identifiers(l.passage.text)) > 0 })
}

// surfaced reports whether the passage names such a kind: "option", "endpoint".
func (l *line) surfaced() bool {
	return l.kind.ask(func() bool { return surface.MatchString(l.text) })
}

// touched reports whether the passage names a thing that those who run the program set or call, by its name or by its kind.
func (l *line) touched() bool { return l.ids() || l.surfaced() }

// aboutFix reports whether the passage tells of a fix, by its own words or its heading's.
func (l *line) aboutFix() bool {
	return l.mood == moodFixes || l.fix.ask(func() bool { return fixLine.MatchString(l.text) })
}

// announced reports whether the passage adds something or speaks of a later release.
func (l *line) announced() bool {
	return l.coming.ask(func() bool { return notYet.MatchString(l.text) })
}

// strongIf is Strong where ok holds, else Weak.
func strongIf(ok bool) Strength {
	if ok {
		return Strong
	}
	return Weak
}

// graded is Strong or Weak where ok holds, as strong says, which is asked only then.
func graded(ok bool, strong func() bool) Strength {
	if !ok {
		return ""
	}
	return strongIf(strong())
}

// when is strength where ok holds.
func when(ok bool, strength Strength) Strength {
	if ok {
		return strength
	}
	return ""
}

const (
	ruleBang   = "conventional commit with !"
	ruleMarker = "breaking change marker"
)

// rules are tried in order; the first that matches names the signal.
var rules = []rule{
	{RuleDoc{ruleBang, "strong", "feat(api)!: answer with another status"}, func(l *line) Strength {
		return when(strings.Contains(l.text, "!:") && bang.MatchString(l.text), Strong)
	}},
	{RuleDoc{ruleMarker, "strong", "BREAKING CHANGE: the port is 8080"}, func(l *line) Strength {
		return when(has(l.text, "BREAKING", "BC", "**Breaking") && breakingMark.MatchString(l.text), Strong)
	}},
	{RuleDoc{"points to upgrade notes", "strong, weak when only older versions are meant", "Please check the upgrade notes, as this release removes the old login"}, func(l *line) Strength {
		return graded(l.has("upgrad", "migrati") && upgradeNotes.MatchString(l.text), func() bool { return !older.MatchString(l.text) })
	}},
	{RuleDoc{"marked as a change", "strong when it moves, renames or names something, else weak", "[CHANGE] Remove the /heap endpoint"}, func(l *line) Strength {
		if !l.has("[change]") || !changeMark.MatchString(l.text) {
			return ""
		}
		moved := movedVerb.MatchString(l.text) || changedFirst.MatchString(l.text) || l.has("default", "no longer") || l.touched()
		return strongIf(moved && !later.MatchString(l.text))
	}},
	{RuleDoc{"behind a warning sign", "strong, weak for what is only deprecated", "⚠ Sorting by hidden fields is disallowed"}, func(l *line) Strength {
		return graded(l.mood != moodFixes && has(l.lower[:min(len(l.lower), 40)], "⚠", "🚨", "💥", ":boom:", ":warning:", ":rotating_light:") && sign.MatchString(l.text) && !securityWords.MatchString(l.text), func() bool { return !l.has("deprecat") && !later.MatchString(l.text) })
	}},
	{RuleDoc{"under a heading of breaking changes", "strong, weak for what is given back", "an item below “Breaking changes”, “Upgrade notes”, “Action required”"}, func(l *line) Strength {
		return graded(l.mood == moodBreaking, func() bool { return !restored.MatchString(l.text) })
	}},
	{RuleDoc{"says that it breaks", "strong", "This breaks existing themes"}, func(l *line) Strength {
		return graded(l.has("break", "backward", "back-compat", "cause ", "incompatible") && !l.aboutFix() && saysBreaking.MatchString(l.text) && !perhaps.MatchString(l.text), func() bool { return !older.MatchString(l.text) })
	}},
	{RuleDoc{"removed, named under a heading", "strong", "below “Removed”: `REDIRECT_APPEND_EXTRA_PATH`"}, func(l *line) Strength {
		return when(l.mood == moodRemoved && (l.has("support") || l.ids()) && !bundled.MatchString(l.text), Strong)
	}},
	{RuleDoc{"under a heading of removals", "weak", "below “Removed”: the old logo"}, func(l *line) Strength {
		return when(l.mood == moodRemoved, Weak)
	}},
	{RuleDoc{"deprecated and now gone", "strong", "Remove the deprecated webhook format"}, func(l *line) Strength {
		return when(l.has("deprecated") && !fixLine.MatchString(l.text) && outlived.MatchString(l.text) && !ownCode.MatchString(l.text) && !l.announced(), Strong)
	}},
	{RuleDoc{"given out before and now invalid", "strong", "Existing sessions are no longer valid"}, func(l *line) Strength {
		return when(l.has("valid", "revoked", "reset", "logged out", "in again", "authenticate") && !l.aboutFix() && invalidated.MatchString(l.text), Strong)
	}},
	{RuleDoc{"support dropped", "strong when it says so of support or names a setting", "Drop support for PostgreSQL 12"}, func(l *line) Strength {
		if !l.has("support", "no longer") || l.aboutFix() || l.has("no longer necessary") || !droppedSupport.MatchString(l.text) {
			return ""
		}
		return strongIf((l.has("support") || l.ids()) && !bundled.MatchString(l.text) && !tentative.MatchString(l.text))
	}},
	{RuleDoc{"minimum version raised", "strong, weak for a language that the image holds", "Now requires PostgreSQL 15"}, func(l *line) Strength {
		return graded(l.has("minimum", "require") && !l.aboutFix() && minimum.MatchString(l.text), func() bool { return !runtime.MatchString(l.text) })
	}},
	{RuleDoc{"instruction to the operator", "strong", "You must set `TRUSTED_PROXIES`"}, func(l *line) Strength {
		if !l.has("must", "need", "have to", "has to", "required", "should", "upgrad", "updat", "please", "manual", "make sure", "before", "prior", "either ", "behavio", "old ", "previous", "to disable", "to turn off", "to revert", "to undo", "to avoid", "opt out", "opt-out", "overrid", "disabled by", "enable,") || l.aboutFix() {
			return ""
		}
		return when(instruction.MatchString(l.text) || othersMust.MatchString(l.text) || keepOld.MatchString(l.text) || toUndo.MatchString(l.text), Strong)
	}},
	{RuleDoc{"stricter than before", "strong when it names what is refused or a setting loosens it, else weak", "Block private networks (configurable)"}, func(l *line) Strength {
		if !l.has("block", "reject", "refuse", "disallow", "forbid", "den", "prohibit", "allow") {
			return ""
		}
		if refusing.MatchString(l.text) {
			return strongIf(l.ids() || loosened.MatchString(l.text))
		}
		return graded(!l.aboutFix() && stricter.MatchString(l.text), func() bool { return loosened.MatchString(l.text) })
	}},
	{RuleDoc{"default changed", "strong with a setting’s name or kind, or when it is switched for everybody; else weak", "`cache_size` now defaults to 1 GB"}, func(l *line) Strength {
		if !l.has("default", "opt-", "opt ") || l.aboutFix() {
			return ""
		}
		if !l.announced() {
			said := aside.ReplaceAllString(l.text, "")
			if changeDefault.MatchString(said) && !looks.MatchString(said) {
				return Strong
			}
			if byDefault.MatchString(said) || notByDefault.MatchString(said) || optIn.MatchString(said) || usesByDefault.MatchString(said) && !fresh.MatchString(said) {
				return Strong
			}
		}
		return graded(defaults.MatchString(l.text), func() bool { return !l.announced() && (l.touched() || l.has("if not", "unless")) })
	}},
	{RuleDoc{"left the core", "strong", "The importer has moved to a plugin"}, func(l *line) Strength {
		return when(l.has("moved") && !l.aboutFix() && leftCore.MatchString(l.text), Strong)
	}},
	{RuleDoc{"another user or start command in the container", "strong", "The image now runs as non-root"}, func(l *line) Strength {
		if !l.has("entry", "start", "cmd", "root", "uid", "gid", "unprivileged") || l.aboutFix() || l.announced() {
			return ""
		}
		return when(command.MatchString(l.text) || commandInstruction.MatchString(l.text) || l.has("root", "uid", "gid") && user.MatchString(l.text), Strong)
	}},
	{RuleDoc{"required from now on", "strong with a setting’s name or kind, else weak", "The `audience` parameter is now mandatory"}, func(l *line) Strength {
		if !l.has("mandatory", "compulsory", "require") || l.aboutFix() || l.announced() {
			return ""
		}
		return graded(obliged.MatchString(l.text) || requireFirst.MatchString(l.text), func() bool { return l.touched() && !bundled.MatchString(l.text) })
	}},
	{RuleDoc{"found in another place or form", "strong", "The metrics endpoint is now served on port 9000"}, func(l *line) Strength {
		return when(l.has("now ", "migrate") && !l.aboutFix() && elsewhere.MatchString(l.text) && !l.announced() && l.touched(), Strong)
	}},
	{RuleDoc{"answers otherwise", "strong, weak when it may be one more thing", "The status endpoint returns a list instead of an object"}, func(l *line) Strength {
		return graded(l.has("now ", "instead of") && l.has("return", "respond", "answer", "send", "fail", "throw", "error") && !l.aboutFix() && answers.MatchString(l.text) && !l.announced() && l.surfaced(), func() bool { return insteadOf.MatchString(l.text) })
	}},
	{RuleDoc{"changed, as the line begins", "strong with a setting’s name or kind, else weak", "Changed the format of the access log"}, func(l *line) Strength {
		return graded(has(l.lower[:min(len(l.lower), 40)], "change", "modif", "switch", "rework", "restructur") && !l.aboutFix() && changedFirst.MatchString(l.text), func() bool { return l.touched() })
	}},
	{RuleDoc{"setting removed or renamed", "strong", "Renamed `FOO` to `BAR`"}, func(l *line) Strength {
		switch {
		case !l.has("remov", "drop", "renam", "changed", "changes", "replac", "supersed", "favo", "move") && !l.words.match(l.text, l.lower):
			return ""
		case l.announced():
			return ""
		case l.has("replaced", "superseded", "renamed") && !l.has("deprecat") && replacedBy.MatchString(l.text) && l.ids() && !l.aboutFix():
			return Strong
		case l.has("remov", "drop") && !l.aboutFix() && removedKind.MatchString(l.text):
			return Strong
		case removalFirst.MatchString(l.text) && l.ids() && l.surfaced(): // also in a list of fixes
			return Strong
		case l.aboutFix():
			return ""
		case l.has("changed", "changes", "replaced", "superseded", "favor", "favour") && changedFrom.MatchString(l.text) && !l.has("deprecat") && l.ids() && l.surfaced():
			return Strong
		}
		return when(l.words.match(l.text, l.lower) && movedVerb.MatchString(l.text) && l.touched(), Strong)
	}},
	{RuleDoc{"switched off or on, as the line begins", "strong for off with a setting’s name or kind, else weak", "Disable the federation module"}, func(l *line) Strength {
		switch {
		case !l.has("enable", "disable", "turn", "activate", "enforce") || l.aboutFix():
			return ""
		case switchedOff.MatchString(l.text):
			return strongIf(l.touched() || l.has("module", "support", "protocol", "access"))
		}
		return when(switchedOn.MatchString(l.text), Weak)
	}},
	{RuleDoc{"behaves otherwise", "weak", "User names are no longer linked to visitors"}, func(l *line) Strength {
		return when(l.has("no longer") && !l.aboutFix() && otherwise.MatchString(l.text), Weak)
	}},
	{RuleDoc{"under a heading of important notes", "weak", "an item below “Important”, “Notice”, “Warning” that speaks of no security hole"}, func(l *line) Strength {
		return when(l.mood == moodImportant && !securityWords.MatchString(l.text), Weak)
	}},
	{RuleDoc{"keyword", "weak", "Renamed the menu entry"}, func(l *line) Strength {
		if !l.words.match(l.text, l.lower) || l.aboutFix() && !l.has("breaking") && !l.ids() {
			return ""
		}
		return Weak
	}},
}
