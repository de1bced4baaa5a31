// Package risk decides how dangerous an upgrade is: SAFE, CAUTION or UNKNOWN,
// with the reasons and the quoted evidence.
//
// In go the two versions, the releases between them and their signals; out
// comes Assessment. Adding a signal never lowers the risk. See SPEC section 7.
package risk

import (
	"slices"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

// Level is the risk of an upgrade.
type Level string

// The levels of SPEC section 7.
const (
	Safe    Level = "safe"
	Caution Level = "caution"
	Unknown Level = "unknown"
)

// Highest is the risk of several changes as a whole: that of the riskiest. What is
// unknown is riskier than what is safe, and what is known to ask for care riskier
// still. "" of none.
func Highest(levels ...Level) Level {
	order := []Level{"", Safe, Unknown, Caution}
	var out Level
	for _, l := range levels {
		if slices.Index(order, l) > slices.Index(order, out) {
			out = l
		}
	}
	return out
}

// Use is an identifier of the evidence that was looked up in the service's own files.
type Use struct {
	Identifier string
	At         []pin.Location // where it is set; empty: not used here
}

// Evidence is a signal with what it means for this service.
type Evidence struct {
	notes.Signal
	Uses []Use
}

// Input is what the assessment looks at.
type Input struct {
	From, To   version.Tag
	Releases   []notes.Release // between, oldest first, with their notes
	Missing    []string        // versions known to lie between that have no notes
	Evidence   []Evidence      // signals of the releases, with uses filled in where they were looked up
	Security   []string        // CVE and GHSA ids
	Migration  string          // passage that speaks of a data migration, or ""
	AlwaysStep bool            // risk.always_step names the service
	Strict     bool            // risk.strict
	ZeroMajor  bool            // risk.zero_major
}

// Assessment is the outcome.
type Assessment struct {
	Level         Level
	Bump          version.Bump
	Reasons       []string   // sentences for people, most important first
	Evidence      []Evidence // used-here first, then strong before weak, then by version
	Security      []string
	Migration     bool   // rolling back may need a restore
	MigrationText string // the passage that says so
}
