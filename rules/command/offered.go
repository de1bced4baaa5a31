package command

import (
	"strings"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Standing is what the choice of commands for an upgrade depends on.
type Standing struct {
	State    lifecycle.State
	Waits    string // the Why of the action that was decided last
	Held     bool   // /upgrade hold
	Merged   bool   // it was merged once: there is something to undo
	Restores bool   // a backup was taken that can be put back
	Clashes  bool   // others changed the lines that are to be undone
}

// Offered are the commands that make sense now, the likeliest first: what is
// shown as boxes and buttons. Others may be said, and are answered.
func Offered(s Standing) []Verb {
	stop := Hold
	if s.Held {
		stop = Resume
	}
	agree := func(rest ...Verb) []Verb {
		if asksForApproval(s.Waits) {
			return append([]Verb{Approve}, rest...)
		}
		return rest
	}
	switch s.State {
	case lifecycle.Queued:
		return []Verb{stop}
	case lifecycle.Open:
		return agree(Rebase, stop, Ignore)
	case lifecycle.BackingUp:
		return []Verb{stop}
	case lifecycle.Aborted:
		return []Verb{Retry, Ignore}
	case lifecycle.Applying, lifecycle.Watching:
		return []Verb{Rollback}
	case lifecycle.Reverting:
		var out []Verb
		if s.Restores {
			out = append(out, Restore)
		}
		if s.Clashes {
			return append(out, Resume)
		}
		return agree(append(out, stop)...)
	case lifecycle.Critical:
		return []Verb{Resume}
	case lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed:
		if s.Merged {
			return []Verb{Rollback}
		}
	case lifecycle.Failed, lifecycle.Closed, lifecycle.Reverted:
		return []Verb{Retry}
	case lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching, lifecycle.Obsolete:
	}
	return nil
}

// asksForApproval reports whether what an upgrade waits for is somebody's word:
// the rules of the lifecycle then name the command.
func asksForApproval(waits string) bool { return strings.Contains(waits, "/upgrade approve") }
