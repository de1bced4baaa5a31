package ladder

import (
	"fmt"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/version"
)

// Joins reports whether a dispatch becomes part of an upgrade of the same
// service and lane in state s: of one that is not merged yet, or of a step of a
// ladder that goes on after it. What is over is joined by nothing.
func Joins(s lifecycle.State, step bool) bool {
	if s.Final() {
		return false
	}
	return !s.Merged() || step && (s == lifecycle.Applying || s == lifecycle.Watching)
}

// Meet says in words what a dispatch of a tag, which would be pinned as to, is to
// an upgrade that it joins, and whether it moves where that goes. end is where the
// upgrade goes in the end, noted the tag that it is to go to next, "" for none.
func Meet(end, noted, to, tag string) (reason string, moves bool) {
	switch {
	case end == to:
		return "joins the upgrade that is open already", false
	case !version.Newer(to, end) || noted != "" && !version.Newer(tag, noted):
		return fmt.Sprintf("an upgrade to %s is open already", end), false
	}
	return "updates the upgrade that is open", true
}

// Stands says why a dispatch that would go from one version to another begins
// nothing: a ladder to there has stopped at from, and waits for a person's word.
// "" where none has.
func (l *Ladder) Stands(from, to string) string {
	if l == nil || l.Top() != to || l.To() != from {
		return ""
	}
	return l.Stopped
}
