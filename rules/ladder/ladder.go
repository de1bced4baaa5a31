// Package ladder decides how a service climbs from one version to another in
// several steps: which versions are rungs, to which of them the next step goes,
// and whether it goes by itself.
//
// In go versions and what people said, out comes Ladder, which is kept in the
// record of every step and drawn in its pull request. Each step is an upgrade of
// its own with its own risk, approval, backup, watch and undo. It asks nobody and
// reads nothing. See SPEC section 8.
package ladder

import (
	"fmt"
	"slices"
	"time"

	"github.com/belaybot/belay/rules/version"
)

// Ladder is the way of a service through the versions between, as it is seen
// from one of its steps.
type Ladder struct {
	ID       string        `json:"id"`                 // of the first step's upgrade; all steps have it
	From     string        `json:"from"`               // what ran before the first step
	Rungs    []string      `json:"rungs"`              // every version on the way, the ones behind included; the last is its end
	Place    int           `json:"place"`              // the rung that this step goes to, from 1
	Rule     version.Steps `json:"rule,omitempty"`     // which releases are rungs
	Chosen   bool          `json:"chosen,omitempty"`   // a person chose Rule; else it is the configuration's
	Why      []string      `json:"why,omitempty"`      // why the way as a whole is not one hop: its risk, in words
	Previous string        `json:"previous,omitempty"` // id of the step before; "" of the first
	On       string        `json:"on,omitempty"`       // the version that the step before brought
	Next     string        `json:"next,omitempty"`     // id of the step after, once there is one
	All      *Agreed       `json:"all,omitempty"`      // somebody agreed to every step
	Left     []Left        `json:"left,omitempty"`     // versions on the way that are no rungs
	Asked    []Answer      `json:"asked,omitempty"`    // what the registry said of versions
	Anew     bool          `json:"anew,omitempty"`     // the rung is to be chosen anew: the end or the rule changed
	Stopped  string        `json:"stopped,omitempty"`  // why no step follows by itself, and what a person can say
}

// Agreed is /upgrade step all: one agreement to every step up to a version. What
// is put on top of the ladder later is not part of it.
type Agreed struct {
	Login string    `json:"login"`
	To    string    `json:"to"`
	At    time.Time `json:"at"`
}

// Left is a version that is left out of a ladder.
type Left struct {
	Version string `json:"version"`
	Why     string `json:"why"`
}

// Answer is what the registry said when it was asked for a version's image. It
// is asked once for each version.
type Answer struct {
	Version string `json:"version"`
	Why     string `json:"why,omitempty"` // why nobody knows; "" when the image is there
}

// To is the version that this step goes to, "" of no ladder.
func (l *Ladder) To() string {
	if l == nil || l.Place < 1 || l.Place > len(l.Rungs) {
		return ""
	}
	return l.Rungs[l.Place-1]
}

// Start is the version from which this step goes, as the ladder has it.
func (l *Ladder) Start() string {
	if l.Place < 2 || l.Place > len(l.Rungs)+1 {
		return l.From
	}
	return l.Rungs[l.Place-2]
}

// Top is the end of the ladder.
func (l *Ladder) Top() string {
	if l == nil || len(l.Rungs) == 0 {
		return ""
	}
	return l.Rungs[len(l.Rungs)-1]
}

// Ahead are the versions after this step.
func (l *Ladder) Ahead() []string {
	if l == nil || l.Place < 0 || l.Place >= len(l.Rungs) {
		return nil
	}
	return l.Rungs[l.Place:]
}

// Of names the place: "step 2 of 5".
func (l *Ladder) Of() string { return fmt.Sprintf("step %d of %d", l.Place, len(l.Rungs)) }

// Covered reports whether somebody agreed to this step by agreeing to all.
func (l *Ladder) Covered() bool {
	return l != nil && l.All != nil && l.To() != "" && !above(l.To(), l.All.To)
}

// Way is what a ladder is drawn from.
type Way struct {
	Pinned   version.Tag   // what the default branch has
	Top      version.Tag   // where the ladder ends
	Released []version.Tag // releases, written as the pin is
	Rule     version.Steps
	Left     []Left // versions that are no rungs: yanked, without an image, failed before
}

// Reached reports whether the default branch is at this step's version already,
// or beyond: somebody else moved it.
func (l *Ladder) Reached(pinned version.Tag) bool {
	return l.To() != "" && order(l.To(), pinned.String()) <= 0
}

// Draw draws a ladder anew on what is pinned today. old is the ladder as it was,
// nil for none. The rung of a step that has been begun stays, so that nobody
// finds another version in a pull request that they have read, unless Anew asks
// for another, or it is none any more, or what is pinned is not what the step
// was to start from. The way always ends at its top, and every step goes up.
func Draw(old *Ladder, w Way) Ladder {
	var l Ladder
	if old != nil {
		l = *old
	}
	pinned := w.Pinned.String()
	if l.From == "" || order(pinned, l.From) < 0 {
		l.From = pinned
	}
	released := slices.DeleteFunc(slices.Clone(w.Released), func(t version.Tag) bool { return left(w.Left, t.String()) })
	from := func(from version.Tag) []string {
		var out []string
		for _, t := range version.Ladder(from, w.Top, released, w.Rule) {
			out = append(out, t.String())
		}
		return out
	}
	ahead := from(w.Pinned)
	if old != nil && old.keeps(w) {
		if at, err := version.Parse(old.To()); err == nil {
			ahead = []string{old.To()}
			if order(old.To(), w.Top.String()) < 0 {
				ahead = append(ahead, from(at)...)
			}
		}
	}
	var rungs []string
	if old != nil {
		for _, v := range old.Rungs {
			if order(v, pinned) <= 0 && order(v, l.From) > 0 {
				rungs = append(rungs, v)
			}
		}
	}
	l.Rungs, l.Place = append(rungs, ahead...), len(rungs)+1
	l.Rule, l.Anew, l.Left = w.Rule, false, within(w.Left, l.From, w.Top.String())
	return l
}

// keeps reports whether the step goes on to the version that it was begun for.
func (l *Ladder) keeps(w Way) bool {
	to := l.To()
	return to != "" && !l.Anew && !left(w.Left, to) && order(w.Pinned.String(), l.Start()) == 0 &&
		order(to, w.Pinned.String()) > 0 && order(to, w.Top.String()) <= 0
}

func left(list []Left, v string) bool {
	return slices.ContainsFunc(list, func(l Left) bool { return l.Version == v || !above(l.Version, v) && !above(v, l.Version) })
}

// within are the versions that concern a way, each once, in order.
func within(list []Left, from, top string) []Left {
	var out []Left
	for _, l := range list {
		if order(l.Version, from) > 0 && order(l.Version, top) < 0 && !left(out, l.Version) {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b Left) int { return order(a.Version, b.Version) })
	return out
}

// above reports whether a version is above another one. What is no version is
// above all: nobody agreed to it, and it is no other one.
func above(a, b string) bool {
	_, errA := version.Parse(a)
	_, errB := version.Parse(b)
	return errA != nil || errB != nil || order(a, b) > 0
}

// order compares two versions; what is none is neither above nor below.
func order(a, b string) int {
	x, errX := version.Parse(a)
	y, errY := version.Parse(b)
	if errX != nil || errY != nil {
		return 0
	}
	if c, err := version.Compare(x, y); err == nil {
		return c
	}
	return version.CompareReleases(x, y)
}
