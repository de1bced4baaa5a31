package lifecycle

import (
	"slices"
	"time"
)

// WindowOpened says when the rate limit's window opened in which the last of some
// upgrades was started: a window opens with its first upgrade, and the first one
// after its end opens the next. Zero when there are none. See SPEC section 3.
func WindowOpened(starts []time.Time, window time.Duration) time.Time {
	sorted := slices.SortedFunc(slices.Values(starts), time.Time.Compare)
	var opened time.Time
	for _, at := range sorted {
		if opened.IsZero() || !at.Before(opened.Add(window)) {
			opened = at
		}
	}
	return opened
}
