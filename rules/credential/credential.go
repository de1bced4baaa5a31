// Package credential says when the credentials that belay works with end, and
// what that asks of a person.
//
// In go what is known of a credential: when it was made and for how long, the
// header that GitHub sends about a token, or the token itself where it is a
// JWT. Out come its end and a State. It asks nobody and keeps no secret. See
// SPEC sections 16 and 17.
package credential

import (
	"fmt"
	"time"
)

// Source says where the end of a credential is known from.
type Source string

// The sources.
const (
	SourceNone   Source = ""       // no end is known: most have none
	SourceMint   Source = "mint"   // the day it was made and its lifetime, as configured
	SourceHeader Source = "header" // what the service said when the credential was used
	SourceJWT    Source = "jwt"    // its own claim exp
)

// String is the source in words for people.
func (s Source) String() string {
	switch s {
	case SourceMint:
		return "the day it was made and its lifetime"
	case SourceHeader:
		return "what the service says"
	case SourceJWT:
		return "the token itself"
	case SourceNone:
	}
	return "not known"
}

// Credential is what is known of one credential. It never holds the secret.
type Credential struct {
	Name    string    // the label that people know it by, which is its variable's: "adviser_token", "github_token"
	Expires time.Time // when it ends; zero: no end is known
	SeenAt  time.Time // when it was last found good, by whom it is for or, where nobody can be asked, by reading it; zero: never
	Source  Source    // where Expires is known from
	Refused bool      // whom it is for said no to it the last time
	Problem string    // what is wrong with it, for people; "" when nothing is
	Spare   bool      // used when another of its kind is refused
}

// When a person is told. See SPEC section 16.
const (
	WarnBefore     = 30 * 24 * time.Hour
	CriticalBefore = 7 * 24 * time.Hour
	StaleAfter     = 48 * time.Hour
)

// State is what a credential asks of a person.
type State string

// The states, what needs a person most first.
const (
	Refused  State = "refused"  // it does not work now
	Expired  State = "expired"  // its end has passed
	Critical State = "critical" // it ends within CriticalBefore
	Warning  State = "warning"  // it ends within WarnBefore
	Never    State = "never"    // it has never been found good
	Stale    State = "stale"    // it was not found good for StaleAfter
	OK       State = "ok"
)

// String is the state in words for people.
func (s State) String() string {
	switch s {
	case Refused:
		return "refused"
	case Expired:
		return "expired"
	case Critical:
		return "ends within a week"
	case Warning:
		return "ends within a month"
	case Never:
		return "never seen to work"
	case Stale:
		return "not seen to work for two days"
	case OK:
	}
	return "ok"
}

// State is what the credential asks of a person at a moment.
func (c Credential) State(now time.Time) State {
	left := c.Expires.Sub(now)
	switch ends := !c.Expires.IsZero(); {
	case c.Refused:
		return Refused
	case ends && left <= 0:
		return Expired
	case ends && left <= CriticalBefore:
		return Critical
	case ends && left <= WarnBefore:
		return Warning
	case c.SeenAt.IsZero():
		return Never
	case now.Sub(c.SeenAt) > StaleAfter:
		return Stale
	}
	return OK
}

// Line is one sentence about the credential for a person, such as "ends in 12
// days (what the service says)".
func (c Credential) Line(now time.Time) string {
	switch c.State(now) {
	case Refused:
		if c.Problem != "" {
			return "refused: " + c.Problem
		}
		return "refused; give belay a new one"
	case Never:
		if c.Problem != "" {
			return "never seen to work: " + c.Problem
		}
		return "never seen to work" + c.end(now)
	case Stale:
		line := fmt.Sprintf("not seen to work since %s", c.SeenAt.UTC().Format("2 January 2006"))
		if c.Problem != "" {
			return line + ": " + c.Problem
		}
		return line + c.end(now)
	case Expired:
		return fmt.Sprintf("expired on %s; give belay a new one", c.Expires.UTC().Format("2 January 2006"))
	case Critical, Warning:
		return fmt.Sprintf("ends %s, on %s; give belay a new one before", in(c.Expires.Sub(now)), c.Expires.UTC().Format("2 January 2006"))
	case OK:
	}
	return "works" + c.end(now)
}

func (c Credential) end(now time.Time) string {
	if c.Expires.IsZero() {
		return "; no end is known"
	}
	return fmt.Sprintf("; ends %s, on %s", in(c.Expires.Sub(now)), c.Expires.UTC().Format("2 January 2006"))
}

func in(d time.Duration) string {
	switch days := int(d.Hours() / 24); {
	case days > 1:
		return fmt.Sprintf("in %d days", days)
	case days == 1:
		return "tomorrow"
	}
	return "within a day"
}
