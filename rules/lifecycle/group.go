package lifecycle

// Group is how people look at many upgrades at once: what needs them first,
// then what moves by itself, what waits for its time, and what is over.
type Group string

// The groups.
const (
	NeedsYou Group = "needs you" // nothing moves until a person has done something
	InFlight Group = "in flight" // belay, CI or the cluster is at work
	Waiting  Group = "waiting"   // it goes on when its time or turn has come, or whoever stopped it lets it
	Done     Group = "done"
)

// Groups are all groups, in the order in which they are shown.
func Groups() []Group { return []Group{NeedsYou, InFlight, Waiting, Done} }

// asks are the waits that only a person ends, by the Why of their rules.
var asks = map[string]bool{
	"the App is suspended or not installed on the repository":                                                           true,
	"somebody else's commits are on the branch and it no longer fits the base: belay leaves it alone":                   true,
	"a reviewer asked for changes":                                                                                      true,
	"a check failed":                                                                                                    true,
	"waits for an approving review, or /upgrade approve":                                                                true,
	"the lines to undo were changed since: a person has to decide, and says /upgrade resume when it is done":            true,
	"somebody else's commits are on the revert's branch and it no longer fits the base: belay leaves it alone":          true,
	"the revert is a draft":                                                                                             true,
	"a reviewer asked for changes of the revert":                                                                        true,
	"a check of the revert failed: a person has to look":                                                                true,
	"data may have been migrated: /upgrade restore puts image and data back together, /upgrade approve the image alone": true,
	"the revert waits for an approving review, or /upgrade approve":                                                     true,
}

// moves are the waits of an open pull request that somebody else is about to
// end: CI, GitHub.
var moves = map[string]bool{
	"waits for the checks":               true,
	"GitHub works out whether it merges": true,
}

// GroupOf sorts an upgrade by its state and by what it waits for: the Why of
// the action that was decided last, "" when none was.
func GroupOf(s State, waits string) Group {
	if s.Final() {
		return Done
	}
	if asks[waits] {
		return NeedsYou
	}
	switch s {
	case Aborted, Critical:
		return NeedsYou
	case Reverting:
		if waits == "held" { // the service is not well meanwhile
			return NeedsYou
		}
	case Queued:
		return Waiting
	case Open:
		if !moves[waits] {
			return Waiting
		}
	case BackingUp, Applying, Watching, Restoring, Undoing, Rewatching, Verified, Unverified, NotDeployed, Reverted, Failed, Closed, Obsolete:
	}
	return InFlight
}
