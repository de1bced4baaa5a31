package report

import (
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/command"
)

// Box is a checkbox of the dashboard issue: what is done when it is ticked.
type Box struct {
	Verb    command.Verb
	Args    string // one word in lower case that goes with it; "" for none
	Upgrade string // id; "" is the repository as a whole
	Head    string // of an approval: the commit that is approved
}

// String is the comment that stands before the box's text, which nobody sees.
func (b Box) String() string {
	verb := string(b.Verb)
	if b.Args != "" {
		verb += ":" + b.Args
	}
	parts := []string{"belay:do", verb}
	if b.Upgrade != "" {
		parts = append(parts, b.Upgrade)
	}
	if b.Head != "" {
		parts = append(parts, b.Head)
	}
	return "<!-- " + strings.Join(parts, " ") + " -->"
}

// Command is what the box stands for, as somebody would write it.
func (b Box) Command() string {
	return strings.TrimSpace("/upgrade " + string(b.Verb) + " " + b.Args)
}

// boxLine matches a box of the dashboard:
// "- [ ] <!-- belay:do hold -->", "  - [x] <!-- belay:do step:all u3KQ -->", "  - [X] <!-- belay:do approve u3KQ 0a1b -->".
var boxLine = regexp.MustCompile(`^\s*[-*+] \[([ xX])\] <!-- belay:do ([a-z]+)(?::([a-z]+))?(?: (u[A-Z0-9]+))?(?: ([0-9a-f]{40,64}))? -->`)

// maxTicked bounds how many boxes of one edit are read.
const maxTicked = 100

// Ticked are the boxes that somebody ticked when the body of the dashboard
// changed: empty before, ticked now. A box that was not there before is none:
// nobody was shown it.
func Ticked(before, after string) []Box {
	empty := map[Box]bool{}
	for b, ticked := range boxes(before) {
		if !ticked {
			empty[b] = true
		}
	}
	var out []Box
	for b, ticked := range boxes(after) {
		if ticked && empty[b] && len(out) < maxTicked {
			out = append(out, b)
			delete(empty, b) // the same one twice is one
		}
	}
	return out
}

// boxes goes through the boxes of a body.
func boxes(body string) func(func(Box, bool) bool) {
	return func(yield func(Box, bool) bool) {
		for line := range strings.Lines(body) {
			m := boxLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			if !yield(Box{Verb: command.Verb(m[2]), Args: m[3], Upgrade: m[4], Head: m[5]}, m[1] != " ") {
				return
			}
		}
	}
}
