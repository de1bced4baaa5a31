package plan

import "time"

// Patience is how long what could not be planned for trouble that passes (no
// network, a server's error, a rate limit) is tried again: long enough for a
// night in which a registry is down, and for somebody to see it by day.
const Patience = 24 * time.Hour

// Trouble is why something of a dispatch could not be planned.
type Trouble struct {
	Lasting bool      // it was answered, and the answer does not change by itself: not there, refused
	Since   time.Time // when it could not be planned first, without success since
}

// Waits reports whether what met the trouble is to be tried again. What is not
// has ended, with the trouble as its reason.
func (t Trouble) Waits(now time.Time) bool {
	return !t.Lasting && now.Sub(t.Since) < Patience
}
