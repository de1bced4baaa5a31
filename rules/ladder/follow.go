package ladder

import (
	"fmt"
	"slices"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Follows is what comes after a step.
type Follows struct {
	Go   bool   // the next step is begun
	Stop string // it is not, and there would be one: where the ladder stands, and what a person can say
}

// After says what follows a step that is over. Only a version that was seen to
// be well for its whole window lets the next one come by itself; where nobody
// looked, or it does not run, or somebody else moved the pin, a person says that
// it goes on, which asked says. A step that failed or was closed ends the way:
// it has to be tried again first. See SPEC section 8.
func (l *Ladder) After(s lifecycle.State, asked bool) Follows {
	if l == nil || len(l.Ahead()) == 0 {
		return Follows{}
	}
	stop := func(why, say string) Follows {
		return Follows{Stop: fmt.Sprintf("the ladder stands at %s: %s; %s", l.Of(), why, say)}
	}
	const goes, again = "`/upgrade step` goes on", "`/upgrade retry` tries it again and goes on from there"
	switch s {
	case lifecycle.Verified:
		return Follows{Go: true}
	case lifecycle.Unverified:
		if !asked {
			return stop("nobody could see how "+l.To()+" fares", goes)
		}
	case lifecycle.NotDeployed:
		if !asked {
			return stop(l.To()+" was merged and does not run", goes)
		}
	case lifecycle.Obsolete:
		if !asked {
			return stop(l.To()+" did not come by this pull request", goes)
		}
	case lifecycle.Closed:
		return stop("somebody closed it", again)
	case lifecycle.Reverted:
		return stop(l.To()+" failed, and "+l.Start()+" runs again", again)
	case lifecycle.Failed:
		return stop(l.To()+" failed, and is left to a person", again)
	case lifecycle.Queued, lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted, lifecycle.Applying, lifecycle.Watching,
		lifecycle.Reverting, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching, lifecycle.Critical:
		return Follows{}
	}
	return Follows{Go: true}
}

// Holds says whether a step may go on, by the state of the one before it: false
// once that was undone, since its version is what this step starts from. Of a
// step that nobody remembers, which is the state "", that its version is left out
// says the same.
func (l *Ladder) Holds(previous lifecycle.State, blocked []Left) bool {
	switch {
	case l == nil || l.Previous == "":
		return true
	case previous == "":
		return l.On == "" || !left(blocked, l.On)
	}
	return previous != lifecycle.Reverted && previous != lifecycle.Failed
}

// Step is the ladder of the step after this one, whose upgrade is previous.
func (l *Ladder) Step(previous string) *Ladder {
	out := *l
	out.Previous, out.On, out.Next, out.Stopped = previous, l.To(), "", ""
	out.Place++
	return &out
}

// Retop gives a ladder another end, for the steps after this one: the rungs
// between are found when the next one is drawn. What was agreed to stays what it was.
func (l *Ladder) Retop(end string) *Ladder {
	out := *l
	out.Rungs = slices.DeleteFunc(slices.Clone(l.Rungs), func(v string) bool { return order(v, end) > 0 })
	if out.Top() != end {
		out.Rungs, out.Anew = append(out.Rungs, end), true
	}
	return &out
}

// Again is the ladder of a step that is tried again: who agreed to all has to
// agree anew, since something failed.
func (l *Ladder) Again() *Ladder {
	if l == nil {
		return nil
	}
	out := *l
	out.Next, out.Stopped, out.All = "", "", nil
	return &out
}
