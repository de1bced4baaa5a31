package lifecycle

import "sync"

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

// groups are those that waits have of their own, by the Why of their rules.
var groups = sync.OnceValue(func() map[string]Group {
	out := map[string]Group{}
	for _, r := range Table() {
		if r.Do == Wait && r.Group != "" {
			out[r.Why] = r.Group
		}
	}
	return out
})

// GroupOf sorts an upgrade by its state and by what it waits for: the Why of
// the action that was decided last, "" when none was.
func GroupOf(s State, waits string) Group {
	if s.Final() {
		return Done
	}
	if group, ok := groups()[waits]; ok {
		return group
	}
	switch s {
	case Aborted, Critical:
		return NeedsYou
	case Reverting:
		if waits == "held" { // the service is not well meanwhile
			return NeedsYou
		}
	case Queued, Open:
		return Waiting
	case BackingUp, Applying, Watching, Restoring, Undoing, Rewatching, Verified, Unverified, NotDeployed, Reverted, Failed, Closed, Obsolete:
	}
	return InFlight
}
