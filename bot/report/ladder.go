package report

import (
	"fmt"
	"strings"

	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/version"
)

// steps reports whether a ladder has more than one step: else there is nothing to draw.
func steps(l *ladder.Ladder) bool { return l != nil && len(l.Rungs) > 1 }

// rung is one line of a drawn ladder.
type rung struct {
	Place   int
	Version string
	Said    string // "done", "this pull request", ""
	This    bool
	Gap     int // so many versions are left out of the drawing here; the rest is empty
}

// Of a long ladder are drawn its beginning, its end, and what is around the step.
const (
	drawnEnds   = 3
	drawnAround = 6
)

// rungs draws a ladder for a list.
func rungs(l *ladder.Ladder) []rung {
	var out []rung
	for i, v := range l.Rungs {
		place := i + 1
		if place > drawnEnds && place <= len(l.Rungs)-drawnEnds && (place < l.Place-drawnAround || place > l.Place+drawnAround) {
			if n := len(out); n > 0 && out[n-1].Gap > 0 {
				out[n-1].Gap++
			} else {
				out = append(out, rung{Gap: 1})
			}
			continue
		}
		r := rung{Place: place, Version: v, This: place == l.Place}
		switch {
		case place < l.Place:
			r.Said = "done"
		case r.This:
			r.Said = "this pull request"
		}
		out = append(out, r)
	}
	return out
}

// path draws a ladder on one line, where this step stands in bold.
func path(l *ladder.Ladder) string {
	out := []string{code(l.From)}
	for i, v := range l.Rungs {
		switch place := i + 1; {
		case place == l.Place:
			out = append(out, "**"+code(v)+"**")
		case place == len(l.Rungs) || place >= l.Place-1 && place <= l.Place+2:
			out = append(out, code(v))
		case out[len(out)-1] != "…":
			out = append(out, "…")
		}
	}
	return strings.Join(out, " → ")
}

// rule says which versions are steps.
func rule(l *ladder.Ladder) string {
	switch l.Rule {
	case version.StepsEvery:
		return "every release is a step"
	case version.StepsMinor:
		return "the last patch of every minor is a step"
	case version.StepsMajor:
		return "the last release of every major is a step"
	case version.StepsDirect:
	}
	return "it goes on in one step"
}

// leftOut names the versions on the way that are no steps, and why.
func leftOut(l *ladder.Ladder) string {
	var out []string
	for i, v := range l.Left {
		if i == 10 {
			out = append(out, fmt.Sprintf("and %d more", len(l.Left)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s (%s)", code(v.Version), neutral(v.Why)))
	}
	return strings.Join(out, ", ")
}

// ofSteps is " (step 2 of 5)", "" where there is one step alone.
func ofSteps(l *ladder.Ladder) string {
	if !steps(l) {
		return ""
	}
	return " (" + l.Of() + ")"
}
