package lifecycle

import (
	"slices"
	"time"
)

// Reported is a check run or commit status, as far as the sum of checks needs it.
type Reported struct {
	Name  string
	State Progress // Running, Good or Bad
	Own   bool     // one of belay's: it never gates belay's own merge
	Cut   bool     // cancelled, killed, skipped or stale: it ended without a word on the commit. Applied heeds it
}

// Grace is how long belay waits for a first check where none is required: CI
// takes a while to see a new commit.
const Grace = 2 * time.Minute

// Checks sums up the checks of a head that is age old: the required ones count;
// with none required, all reported ones do. See SPEC section 10.
func Checks(required []string, reported []Reported, age time.Duration) Progress {
	state := map[string]Progress{}
	for _, r := range reported {
		if r.Own {
			continue
		}
		if old, ok := state[r.Name]; !ok || worse(r.State, old) {
			state[r.Name] = r.State
		}
	}
	if len(required) == 0 {
		if len(state) == 0 {
			if age < Grace {
				return Running
			}
			return Good
		}
		for name := range state {
			required = append(required, name)
		}
	}
	return sum(required, state)
}

// worse orders Good before Running before Bad.
func worse(a, b Progress) bool {
	order := []Progress{Good, Running, Bad}
	return slices.Index(order, a) > slices.Index(order, b)
}

func sum(names []string, state map[string]Progress) Progress {
	out := Good
	for _, name := range names {
		switch state[name] {
		case Good:
		case Bad:
			return Bad
		default:
			out = Running
		}
	}
	return out
}

// Opinion is what one reviewer said last.
type Opinion struct {
	State    string // as GitHub's API has it: APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	Login    string
	OfHead   bool // it speaks of the head as it is now
	MayWrite bool // the reviewer has write permission
	Bot      bool
}

// Reviews sums up reviews, oldest first: the last word of each reviewer with
// write permission counts. A request for changes holds until it is taken back,
// whatever was pushed since; an approval is of the head that was looked at.
func Reviews(opinions []Opinion) Review {
	last := map[string]Opinion{}
	for _, o := range opinions {
		if o.Bot || !o.MayWrite || o.State == "COMMENTED" || o.State == "PENDING" {
			continue
		}
		last[o.Login] = o
	}
	out := ReviewNone
	for _, o := range last {
		switch {
		case o.State == "CHANGES_REQUESTED":
			return ReviewChanges
		case o.State == "APPROVED" && o.OfHead:
			out = ReviewApproved
		}
	}
	return out
}

// Serves reports whether a backup that began at started lets an upgrade be merged
// now that has been ready since ready (zero: it is not): it has to have begun
// after that and to be no older than maxAge (0: any age). See SPEC section 10.
func Serves(now, started, ready time.Time, maxAge time.Duration) bool {
	return !ready.IsZero() && !started.Before(ready) && (maxAge == 0 || now.Sub(started) <= maxAge)
}
