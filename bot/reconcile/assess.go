package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
)

// Proposed is a pull request whose changes of pins are to be judged, whoever
// opened it.
type Proposed struct {
	Repository string
	Pull       int
	Head       string // commit
}

// Assessed is what a pull request does to pins. Nothing of it was run, and the
// configuration is the default branch's.
type Assessed struct {
	Upgrades []plan.Upgrade // as a dispatch of the new version would plan them
	Lines    []Changed      // where the new versions stand in the pull request's files
	Unjudged []plan.Skipped // changes that are no upgrade, with the reason
	Whole    bool           // it was compared as GitHub would merge it; otherwise it conflicts with its base
}

// Changed is a pin that a pull request changes.
type Changed struct {
	Service  string
	From, To string
	Path     string // in the pull request's files
	Line     int
}

// Level is the risk of the whole pull request: that of its riskiest upgrade, and
// UNKNOWN where a change could not be judged. "" when no pin changes.
func (a Assessed) Level() risk.Level {
	levels := make([]risk.Level, 0, len(a.Upgrades)+1)
	for _, u := range a.Upgrades {
		levels = append(levels, u.Risk.Level)
	}
	if len(a.Unjudged) > 0 {
		levels = append(levels, risk.Unknown)
	}
	return risk.Highest(levels...)
}

// Assess judges a pull request as if its new versions had been dispatched.
func (r *Reconciler) Assess(ctx context.Context, p Proposed) (Assessed, error) {
	var out Assessed
	j, v, err := r.viewNow(ctx, p.Repository)
	if err != nil {
		return out, err
	}
	before, after, whole, err := r.sides(ctx, j, v, p)
	if err != nil {
		return out, err
	}
	out.Whole = whole
	for _, c := range changes(before.Pins, after.Pins) {
		at := pin.Location{Path: c.after.Span.Path, Line: c.after.Span.Line}
		if at.Path == "" {
			at = c.after.Use
		}
		out.Lines = append(out.Lines, Changed{Service: c.after.Service, From: c.before.Version, To: c.after.Version, Path: at.Path, Line: at.Line})
		found, why, err := judge(ctx, v, before, c)
		if err != nil {
			return out, err
		}
		if why != "" {
			out.Unjudged = append(out.Unjudged, plan.Skipped{Service: c.after.Service, Path: at.Path, Line: at.Line, Reason: why})
			continue
		}
		if !slices.ContainsFunc(out.Upgrades, func(u plan.Upgrade) bool {
			return u.Service == found.Service && u.To == found.To && lane(u) == lane(found)
		}) {
			out.Upgrades = append(out.Upgrades, found)
		}
	}
	return out, nil
}

// sides reads the pins as they are, and as they would be. GitHub offers the
// merge of a pull request as a commit: its first parent is the base. Without it,
// what conflicts is compared with the default branch.
func (r *Reconciler) sides(ctx context.Context, j *job, v *view, p Proposed) (before, after *terraform.Inventory, whole bool, err error) {
	m, err := r.mirrorOf(j)
	if err != nil {
		return nil, nil, false, err
	}
	base, head := v.sha, p.Head
	merge, err := m.FetchRef(ctx, fmt.Sprintf("refs/pull/%d/merge", p.Pull), 2)
	switch {
	case err == nil:
		parents, err := m.Parents(merge)
		if err != nil {
			return nil, nil, false, err
		}
		if len(parents) == 2 && parents[1] == p.Head {
			base, head, whole = parents[0], merge, true
		}
	case !errors.Is(err, git.ErrUnknownRevision):
		return nil, nil, false, err
	}
	if !whole {
		if _, err := m.FetchRef(ctx, p.Head, 1); err != nil {
			return nil, nil, false, err
		}
	}
	if before, err = r.pinsAt(ctx, j, v.policy, base); err != nil {
		return nil, nil, false, err
	}
	after, err = r.pinsAt(ctx, j, v.policy, head)
	return before, after, whole, err
}

// pinsAt reads the pins of a commit by the default branch's configuration.
func (r *Reconciler) pinsAt(ctx context.Context, j *job, p policy.Policy, sha string) (*terraform.Inventory, error) {
	m, err := r.mirrorOf(j)
	if err != nil {
		return nil, err
	}
	tree, err := m.Tree(sha)
	if err != nil {
		return nil, err
	}
	return terraform.Scan(ctx, planner.Lend(tree), terraform.Options{Roots: p.Services.Roots, Repository: path.Base(j.u.Repository)})
}

// change is one pin before and after.
type change struct{ before, after pin.Pin }

// changes pairs the pins of two trees and gives those whose version is another
// one. Pins that come or go with their service are no change of a version.
func changes(before, after []pin.Pin) []change {
	name := func(p pin.Pin) string {
		what := p.Image.Name()
		if p.Kind == pin.KindChart {
			what = p.Chart.Name
		}
		return fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", p.Service, p.Kind, what, p.Address, p.Use.Path)
	}
	old := map[string][]pin.Pin{}
	for _, p := range before {
		old[name(p)] = append(old[name(p)], p)
	}
	var out []change
	for _, p := range after {
		list := old[name(p)]
		if len(list) == 0 {
			continue
		}
		was := list[0]
		if len(list) > 1 {
			old[name(p)] = list[1:]
		}
		if was.Version != p.Version || was.Image.Digest != p.Image.Digest {
			out = append(out, change{was, p})
		}
	}
	slices.SortStableFunc(out, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.after.Service, b.after.Service), cmp.Compare(a.after.Use.Path, b.after.Use.Path), cmp.Compare(a.after.Use.Line, b.after.Use.Line))
	})
	return out
}

// judge plans the change as if its new version had been dispatched; why says
// that it is no upgrade.
func judge(ctx context.Context, v *view, before *terraform.Inventory, c change) (plan.Upgrade, string, error) {
	d := plan.Dispatch{Tag: c.after.Version, Status: "new"}
	p := v.policy
	p.Dispatch.Statuses = []string{"new"}
	if c.after.Kind == pin.KindChart {
		d.Chart = c.after.Chart
	} else {
		d.Image, d.Digest = c.after.Image, c.after.Image.Digest
		d.Image.Tag, d.Image.Digest = "", ""
		// What belay does not upgrade by itself, such as a database, is judged all the same.
		p.Dispatch.Skip = append(slices.Clone(p.Dispatch.Skip), "!"+d.Image.Name())
	}
	if c.before.Version == c.after.Version {
		return plan.Upgrade{}, "the tag stays " + c.after.Version + ", and its digest is another one", nil
	}
	result, err := (&planner.Planner{Policy: p, Upstream: v.planner.Upstream}).Plan(ctx, before, d)
	if err = planner.About(err, c.after.Service); err != nil {
		return plan.Upgrade{}, "", err
	}
	for _, u := range result.Upgrades {
		if u.Service == c.after.Service {
			return u, "", nil
		}
	}
	why := firstOf(result.Why(c.after.Service), "it is not the version that belay would go to")
	return plan.Upgrade{}, fmt.Sprintf("%s → %s: %s", c.before.Version, c.after.Version, why), nil
}
