package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/version"
)

// Climb is what is known of the way of one service.
type Climb struct {
	Service string
	Old     *ladder.Ladder // as it was drawn last; nil: the upgrade has not begun to climb
	Blocked []ladder.Left  // versions that failed before, or that a person does not want
}

// Step is the hop of an upgrade that comes next.
type Step struct {
	Upgrade plan.Upgrade // its Ladder is nil where the upgrade goes in one hop
	Changes []terraform.Change
	Reached bool // the default branch is at the step's version already, or beyond
}

// Step plans the hop that comes next of a service in a result of Plan: the rung
// of the ladder that is due, or the whole upgrade where that goes in one hop. The
// registry is asked once for each version whether it has an image of it; one
// that has none is left out, and one that cannot be asked is gone to with a word
// about it. ok is false where the service is not in the result.
func (p *Planner) Step(ctx context.Context, inv *terraform.Inventory, r Result, c Climb) (s Step, ok bool, err error) {
	i := slices.IndexFunc(r.Upgrades, func(u plan.Upgrade) bool { return u.Service == c.Service })
	if i < 0 {
		return Step{}, false, nil
	}
	whole, found := r.Upgrades[i], r.found[c.Service]
	direct := Step{Upgrade: whole, Changes: r.Changes[c.Service]}
	if c.Old == nil && len(whole.Steps) < 2 || !found.candidate.Climbs() {
		return direct, true, nil
	}
	from, to := found.candidate.From, found.candidate.To
	if c.Old != nil && !c.Old.Anew && c.Old.Reached(from) {
		return Step{Upgrade: whole, Reached: true}, true, nil
	}
	old := ladder.Ladder{}
	if c.Old != nil {
		old = *c.Old
	}
	w := ladder.Way{Pinned: from, Top: to, Rule: p.Policy.StepsOf(c.Service)}
	if old.Chosen {
		w.Rule = old.Rule
	}
	w.Released, w.Left = found.candidate.Released(found.notes.Releases)
	w.Left = append(w.Left, c.Blocked...)
	for _, l := range old.Left { // the registry is not asked again
		if l.Why == noImage || l.Why == noChart {
			w.Left = append(w.Left, l)
		}
	}
	for {
		l := ladder.Draw(&old, w)
		if len(l.Rungs) == 1 && len(l.Left) == 0 {
			return direct, true, nil // nothing between
		}
		rung, err := version.Parse(l.To())
		if err != nil {
			return Step{}, true, err
		}
		app, digest, missing, err := p.image(ctx, r.Dispatch, found.candidate, &old, rung)
		if err != nil {
			return Step{}, true, err
		}
		if version.CompareReleases(rung, to) != 0 && missing == "" { // the end was let through when it was dispatched
			missing = found.candidate.Rung(rung, app, digest).Unwanted()
		}
		if missing != "" {
			w.Left = append(w.Left, ladder.Left{Version: l.To(), Why: missing})
			continue
		}
		l.Asked = old.Asked
		if l.Why == nil {
			l.Why = whole.Risk.Reasons
		}
		s := Step{}
		s.Upgrade, s.Changes, err = p.assess(ctx, inv, r.Dispatch, found.candidate.Rung(rung, app, digest), upto(found.notes, from, rung))
		s.Upgrade.Warnings = append(s.Upgrade.Warnings, r.warnings...)
		s.Upgrade = s.Upgrade.OnLadder(l)
		return s, true, err
	}
}

// upto are the notes of one hop.
func upto(n upstream.Notes, from, to version.Tag) upstream.Notes {
	n.Releases = notes.Between(n.Releases, from, to, "")
	n.Missing = slices.DeleteFunc(slices.Clone(n.Missing), func(tag string) bool {
		t, err := version.Parse(tag)
		return err == nil && version.CompareReleases(t, to) > 0
	})
	return n
}

// Why a version is no rung.
const (
	noImage = "the registry has no image of it"
	noChart = "the chart's repository does not have it"
)

// askFor is how long a registry has to say whether it has an image.
const askFor = 20 * time.Second

// image asks whether there is an image, or a chart, of a rung. missing says
// that there is none. What is not known is remembered in the ladder, so that it
// is asked once and said to people.
func (p *Planner) image(ctx context.Context, d plan.Dispatch, c plan.Candidate, l *ladder.Ladder, rung version.Tag) (app, digest, missing string, err error) {
	first := c.Targets[0]
	top := version.CompareReleases(rung, c.To) == 0
	for _, t := range c.Targets {
		if top { // not every pin carries a digest
			app, digest = cmp.Or(app, t.AppTo), cmp.Or(digest, t.Digest)
		}
	}
	carries := slices.ContainsFunc(c.Targets, func(t plan.Target) bool { return t.Pin.Digest != nil })
	asked := slices.ContainsFunc(l.Asked, func(a ladder.Answer) bool { return a.Version == rung.String() })
	if top || asked && !carries && first.Pin.Kind != pin.KindChart { // the end was dispatched: it is there
		return app, digest, "", nil
	}
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if first.Pin.Kind == pin.KindChart {
		app, err = p.chart(ask, first.Pin, d, rung.String())
		if errors.Is(err, upstream.ErrNotFound) {
			return "", "", noChart, nil
		}
	} else {
		ref := first.Pin.Image
		digest, err = p.Upstream.Digest(ask, ref, rung.String())
		if errors.Is(err, upstream.ErrNotFound) {
			// A registry that does not show the image at all says the same.
			if _, known := p.Upstream.Digest(ask, ref, first.Pin.Version); known == nil {
				return "", "", noImage, nil
			}
			err = errors.New("the registry does not show this image to belay")
		}
		if !carries {
			digest = ""
		}
	}
	if ctx.Err() != nil {
		return "", "", "", ctx.Err()
	}
	if err != nil && carries {
		return "", "", "", fmt.Errorf("%s:%d: the pin carries a digest and that of %s is not known: %w", first.Pin.Span.Path, first.Pin.Span.Line, rung, err)
	}
	if !asked {
		a := ladder.Answer{Version: rung.String()}
		if err != nil {
			a.Why = err.Error()
		}
		l.Asked = append(slices.Clone(l.Asked), a)
	}
	return app, digest, "", nil
}

// chart finds a version of a chart, and the image tag that it installs.
func (p *Planner) chart(ctx context.Context, n pin.Pin, d plan.Dispatch, to string) (app string, err error) {
	versions, err := p.Upstream.ChartVersions(ctx, n.Chart)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(versions, func(v upstream.ChartVersion) bool { return v.Version == to })
	if i < 0 {
		return "", upstream.ErrNotFound
	}
	if d.Chart.Name != "" {
		return "", nil
	}
	images, err := p.Upstream.ChartImages(ctx, n.Chart, to)
	if err != nil {
		return "", nil //nolint:nilerr // the version is there; what it installs shows in the cluster
	}
	own, ok := ships(images, d.Image)
	if !ok {
		return "", nil
	}
	return cmp.Or(own.Tag, versions[i].AppVersion), nil
}
