// Package command reads the commands that people write into comments on a pull
// request: "/upgrade approve".
//
// In goes a comment's body; out come the commands in it, unknown ones with the
// verb that was probably meant. Whether somebody may give them, and what they
// do, is decided elsewhere. See SPEC section 12.
package command

import (
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/belaybot/belay/rules/version"
)

// Verb is what a command asks for.
type Verb string

// The verbs of SPEC section 12.
const (
	Help     Verb = "help"
	Status   Verb = "status"
	Plan     Verb = "plan"
	Step     Verb = "step"
	To       Verb = "to"
	Approve  Verb = "approve"
	Hold     Verb = "hold"
	Resume   Verb = "resume"
	Backup   Verb = "backup"
	Retry    Verb = "retry"
	Rollback Verb = "rollback"
	Restore  Verb = "restore"
	Fix      Verb = "fix"
	Ignore   Verb = "ignore"
	Rebase   Verb = "rebase"
)

// Usage is a verb with its arguments and what it does, for people.
type Usage struct {
	Verb Verb
	Args string
	Does string
}

// Verbs lists what can be said, in the order in which help shows it.
func Verbs() []Usage {
	return []Usage{
		{Help, "", "show this list"},
		{Status, "", "say what this upgrade waits for"},
		{Approve, "", "agree to the merge, in place of a review"},
		{Hold, "[reason]", "stop: belay does nothing more here until `resume`"},
		{Resume, "", "go on"},
		{Plan, "", "read the release notes and the files again"},
		{Rebase, "", "build the branch anew on today's default branch"},
		{Retry, "", "try again what failed"},
		{To, "<version>", "end at another version, on the way or newer"},
		{Step, "[all|every|minor|major]", "go this step; agree to all of them; or choose which versions are steps from here on"},
		{Ignore, "[version|major|minor]", "close this pull request and leave its version out, or also every major or minor upgrade of the service from now on"},
		{Backup, "", "take the backup now"},
		{Rollback, "", "open the revert now"},
		{Restore, "", "put data and image back together"},
		{Fix, "", "mend what was recognised instead of undoing"},
	}
}

// Command is one command of a comment.
type Command struct {
	Verb    Verb   // "" when unknown
	Args    string // the rest of the line
	Written string // the verb as it stands in the comment
	Nearest Verb   // of an unknown verb: what was probably meant, or ""
	Problem string // what is wrong with the arguments, or ""
}

// maxCommands is how many commands of one comment are read.
const maxCommands = 10

// Parse finds the commands of a comment: lines that begin with /upgrade or
// /belay. Quoted lines, indented code and fenced blocks hold none.
func Parse(body string) []Command {
	var out []Command
	fence := ""
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		if mark := fenceMark(trimmed); mark != "" && indent < 4 {
			switch {
			case fence == "":
				fence = mark
			case strings.HasPrefix(mark, fence):
				fence = ""
			}
			continue
		}
		if fence != "" || indent >= 4 {
			continue
		}
		rest, ok := cutName(trimmed)
		if !ok {
			continue
		}
		out = append(out, parse(rest))
		if len(out) == maxCommands {
			break
		}
	}
	return out
}

// fenceMark is the run of backticks or tildes that opens or closes a fenced
// block: "```go" gives "```".
func fenceMark(s string) string {
	for _, c := range []byte{'`', '~'} {
		n := 0
		for n < len(s) && s[n] == c {
			n++
		}
		if n >= 3 {
			return s[:n]
		}
	}
	return ""
}

// cutName takes the command's name from a line: "/upgrade hold" gives " hold";
// "/upgrades" is not one.
func cutName(line string) (string, bool) {
	for _, name := range []string{"/upgrade", "/belay"} {
		rest, ok := strings.CutPrefix(line, name)
		if ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t') {
			return rest, true
		}
	}
	return "", false
}

func parse(rest string) Command {
	verb, args, _ := strings.Cut(strings.TrimSpace(rest), " ")
	verb = strings.ToLower(verb)
	args = strings.TrimSpace(args)
	if verb == "" {
		return Command{Verb: Help}
	}
	c := Command{Args: args, Written: verb}
	for _, u := range Verbs() {
		if string(u.Verb) == verb {
			c.Verb = u.Verb
		}
	}
	if c.Verb == "" {
		c.Nearest = nearest(verb)
		return c
	}
	if word := strings.ToLower(args); c.Verb == Ignore && slices.Contains(Ignorable(), word) {
		c.Args = word
	}
	c.Problem = c.check()
	return c
}

// Ignorable are the kinds of bump that /upgrade ignore takes, besides a version.
func Ignorable() []string { return []string{string(version.BumpMajor), string(version.BumpMinor)} }

// check says what is wrong with a command's arguments.
func (c Command) check() string {
	choices := map[Verb][]string{Step: {"", "all", "every", "minor", "major"}}
	if list, ok := choices[c.Verb]; ok && !slices.Contains(list, strings.ToLower(c.Args)) {
		return "choose one of all, every, minor, major"
	}
	switch c.Verb {
	case To:
		if c.Args == "" || strings.ContainsAny(c.Args, " \t") {
			return "give one version, such as `/upgrade to v2.10.0`"
		}
	case Ignore:
		if _, err := version.Parse(c.Args); c.Args == "" || err == nil || slices.Contains(Ignorable(), c.Args) {
			return ""
		}
		return "give major, minor, the version of this pull request, or nothing, which means that version"
	case Help, Status, Plan, Step, Approve, Hold, Resume, Backup, Retry, Rollback, Restore, Fix, Rebase:
	}
	return ""
}

// nearest is the verb that differs least from what was written, "" when none is near.
func nearest(s string) Verb {
	if len(s) > 30 {
		return ""
	}
	best, at := Verb(""), 3
	for _, u := range Verbs() {
		if d := levenshtein.Distance(s, string(u.Verb), nil); d < at {
			best, at = u.Verb, d
		}
	}
	return best
}
