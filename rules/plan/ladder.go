package plan

import (
	"fmt"

	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/version"
)

// Released are the releases that can be rungs of a candidate's ladder, written as
// its pins are: upstream's "v2.10.0" is "2.10.0" where the pin has no v.
// Pre-releases are none; what was withdrawn, and what the annotations beside a pin
// leave out, is told apart, since people look for it. See SPEC section 8.
func (c Candidate) Released(releases []notes.Release) (rungs []version.Tag, out []ladder.Left) {
	for _, r := range releases {
		if r.Draft || r.Prerelease && !c.To.Prerelease() {
			continue
		}
		t, err := version.Parse(r.Tag)
		if err != nil {
			continue
		}
		if t, err = c.From.Restyle(t); err != nil {
			continue
		}
		if notes.Withdrawn(r) {
			out = append(out, ladder.Left{Version: t.String(), Why: "its notes say that it was withdrawn"})
			continue
		}
		if why := c.Rung(t, "", "").Unwanted(); why != "" {
			out = append(out, ladder.Left{Version: t.String(), Why: why})
			continue
		}
		rungs = append(rungs, t)
	}
	return rungs, out
}

// Unwanted says which annotation beside a pin leaves the candidate's version out,
// "" when none does. They are about tags of images: a chart's version is not
// judged before it is known which image it installs.
func (c Candidate) Unwanted() string {
	for _, t := range c.Targets {
		if t.Pin.Kind == pin.KindChart && t.AppTo == "" {
			continue
		}
		if why := annotated(t.Pin, t); why != "" {
			return why
		}
	}
	return ""
}

// way is the way up of a new upgrade: one hop, unless the risk is CAUTION (SPEC
// section 8).
func way(f Facts, level risk.Level) []string {
	if level != risk.Caution || !f.Candidate.Climbs() {
		return []string{f.Candidate.To.String()}
	}
	released, left := f.Candidate.Released(f.Releases)
	return ladder.Draw(nil, ladder.Way{Pinned: f.Candidate.From, Top: f.Candidate.To, Released: released,
		Rule: f.Policy.StepsOf(f.Candidate.Service), Left: left}).Rungs
}

// Climbs reports whether a candidate can go up in steps: all its pins are of one
// kind and go to the same version, so that one version in between is one for all.
func (c Candidate) Climbs() bool {
	for _, t := range c.Targets {
		to, err := version.Parse(t.To)
		if err != nil || t.Pin.Kind != c.Targets[0].Pin.Kind || version.CompareReleases(to, c.To) != 0 {
			return false
		}
	}
	return true
}

// Rung is the candidate of one step: the same pins, to a version in between.
// app is the image tag that a chart of that version installs, digest what an
// image pin carries.
func (c Candidate) Rung(to version.Tag, app, digest string) Candidate {
	out := c
	out.To, out.Targets = to, nil
	for _, t := range c.Targets {
		t.To, t.Digest = to.String(), digest
		if t.Pin.Kind == pin.KindChart {
			t.AppTo = app
		}
		out.Targets = append(out.Targets, t)
	}
	return out
}

// OnLadder makes an upgrade a step of a ladder. Whatever its own risk is, it is
// on a way that asks for care as a whole, so a person agrees to each step, or
// once to all of them: it may be just this hop that the next one needs to have
// been looked at. Its watch and its undo go by its own risk.
func (u Upgrade) OnLadder(l ladder.Ladder) Upgrade {
	u.Ladder, u.Steps = &l, []string{u.To}
	u.Automerge = false
	if len(l.Rungs) > 1 && !l.Covered() {
		// Without its number: this stands in the commit, which a longer ladder must not change.
		u.Blockers = append([]string{"it is a step of a ladder, each of which needs an approval, or all at once /upgrade step all"}, u.Blockers...)
	}
	for _, a := range l.Asked {
		if a.Version == u.To && a.Why != "" {
			u.Warnings = append(u.Warnings, fmt.Sprintf("whether there is an image of %s could not be asked: %s", u.To, a.Why))
		}
	}
	return u
}
