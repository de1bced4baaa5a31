package lifecycle

import "time"

// Budget is a limit of upgrades started, with what is used of it: of a
// repository, of a service, of a bulk run. The window opens with its first
// upgrade; when it ends, the count starts again. See SPEC section 3.
type Budget struct {
	Limit   int // in a window
	Window  time.Duration
	Opened  time.Time // when the window opened; zero: none is open
	Started int       // in it
}

// today is the budget as it is at a moment: a window that has ended is none.
func (b Budget) today(now time.Time) Budget {
	if b.Opened.IsZero() || !now.Before(b.Opened.Add(b.Window)) {
		b.Opened, b.Started = time.Time{}, 0
	}
	return b
}

// Candidate is an upgrade that waits to be started.
type Candidate struct {
	From []string // the budgets that it takes one of each
	Free bool     // it passes every limit: a security fix under risk.security_first
}

// Admit says whether the last of the queue may be started now, and otherwise
// when a window ends that it waits for; zero when none is open and those before
// it are about to open one. The queue is in the order of arrival. Whoever waits
// for a budget of its own, such as its service's, does not hold up the others.
func Admit(now time.Time, budgets map[string]Budget, queue []Candidate) (room bool, next time.Time) {
	left := map[string]int{}
	for name, b := range budgets {
		b = b.today(now)
		left[name] = b.Limit - b.Started
	}
	for _, c := range queue {
		room, next = true, time.Time{}
		for _, name := range c.From {
			b, ok := budgets[name]
			if !ok || c.Free || left[name] > 0 {
				continue
			}
			room = false
			if b = b.today(now); !b.Opened.IsZero() && b.Opened.Add(b.Window).After(next) {
				next = b.Opened.Add(b.Window)
			}
		}
		if !room || c.Free {
			continue
		}
		for _, name := range c.From {
			left[name]--
		}
	}
	return room, next
}
