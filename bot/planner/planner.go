// Package planner makes a plan: it observes the repository and upstream, and has
// rules/ decide what the dispatch asks for.
//
// In go a tree, a dispatch and a policy; out comes a plan.Plan with the files
// as they would be. It writes nothing. Every decision is one of rules/plan,
// rules/version or rules/risk; here are only the questions that they need answered.
package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// Upstream is what the planner asks the outside. *upstream.Client answers it.
type Upstream interface {
	Repository(ctx context.Context, ref image.Ref, tag, hubLink string) (repo, how string, err error)
	ChartRepository(ctx context.Context, chart pin.Chart) (repo, how string, err error)
	Notes(ctx context.Context, repo string, from, to version.Tag) (upstream.Notes, error)
	ChartVersions(ctx context.Context, chart pin.Chart) ([]upstream.ChartVersion, error)
	ChartImages(ctx context.Context, chart pin.Chart, version string) ([]upstream.ChartImage, error)
	Digest(ctx context.Context, ref image.Ref, tag string) (string, error)
}

// Planner makes plans for one repository. Its fields are set once, before Plan is called.
type Planner struct {
	Policy   policy.Policy
	Upstream Upstream
	// Notes, when set, is a changelog that is used instead of upstream's (belay plan --notes).
	Notes *Changelog
	// Adviser, when set, is asked about the notes besides the rules.
	Adviser Adviser
}

// Adviser says what it makes of an upgrade, or why it does not. *advise.Adviser is one.
type Adviser interface {
	Advise(ctx context.Context, q advice.Question) advice.Outcome
}

// Changelog is release notes given by hand.
type Changelog struct {
	Name     string // the file's name, shown as where the notes come from
	Releases []notes.Release
}

// Tree opens the tree at dir, at a revision when rev is not empty, in the form
// that bot/terraform reads. Errors are those of git.Open.
func Tree(dir, rev string) (terraform.Tree, error) {
	t, err := git.Open(dir, rev)
	if err != nil {
		return nil, err
	}
	return Lend(t), nil
}

// Lend gives a git tree the form that bot/terraform reads.
func Lend(t git.Tree) terraform.Tree { return tree{t} }

// tree lends a git tree to bot/terraform, so that neither room knows the other.
type tree struct{ git.Tree }

func (t tree) Files(ctx context.Context) ([]terraform.File, error) {
	files, err := t.Tree.Files(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]terraform.File, len(files))
	for i, f := range files {
		out[i] = terraform.File(f)
	}
	return out, nil
}

// Result is a plan and the files as they would be.
type Result struct {
	plan.Plan
	Refused string                        // why the dispatch asks for nothing at all, or ""
	Unused  bool                          // what the dispatch names is pinned nowhere
	Changes map[string][]terraform.Change // by service

	found    map[string]found // by service: what Step needs
	warnings []string
}

// Why says why nothing is to be moved for a service, "" where no reason is known.
func (r Result) Why(service string) string {
	why := r.Refused
	for _, s := range r.Skipped {
		if s.Service == service {
			why = s.Reason
		}
	}
	return why
}

// found is what an upgrade was made of.
type found struct {
	candidate plan.Candidate
	notes     upstream.Notes
}

// Plan says what the dispatch asks for on the inventory. Where an answer that a
// service's plan depends on cannot be had (no network, a rate limit, a registry
// that refuses, a splice that does not hold), the error is an *Unplanned that
// names the service, and the result has all others. A service without notes is
// no error.
func (p *Planner) Plan(ctx context.Context, inv *terraform.Inventory, d plan.Dispatch) (Result, error) {
	out := Result{Plan: plan.Plan{Dispatch: d}, Changes: map[string][]terraform.Change{}, found: map[string]found{}}
	if out.Refused = plan.Filter(d, p.Policy); out.Refused != "" {
		return out, nil
	}
	t, err := p.targets(ctx, inv, d)
	if err != nil {
		return out, err
	}
	candidates, skipped := plan.Select(t.targets, inv.Pins, p.Policy)
	out.Skipped, out.warnings = append(skipped, t.skipped...), slices.Concat(t.warnings, p.strays(inv))
	for _, c := range candidates {
		u, changes, n, err := p.upgrade(ctx, inv, d, c)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err != nil {
			t.stick(c.Targets[0].Pin, err)
			continue
		}
		u.Warnings = append(u.Warnings, out.warnings...)
		out.Upgrades = append(out.Upgrades, u)
		out.Changes[u.Service], out.found[u.Service] = changes, found{candidate: c, notes: n}
	}
	if len(t.targets) == 0 && len(t.skipped) == 0 && len(t.stuck) == 0 {
		out.Refused, out.Unused = nowhere(d), true
	}
	if len(t.stuck) > 0 {
		return out, &Unplanned{Stuck: t.stuck}
	}
	return out, nil
}

func nowhere(d plan.Dispatch) string {
	name := "image " + d.Image.Familiar()
	if d.Chart.Name != "" {
		name = "chart " + d.Chart.Name
	}
	return name + " is not used in this repository"
}

// meant are the pins that a dispatch speaks of.
type meant struct {
	targets  []plan.Target // each with the version it is asked to move to
	skipped  []plan.Skipped
	stuck    []Stuck
	warnings []string
}

// stick takes a pin's service out of what moves: a service moves as a whole or not.
func (m *meant) stick(n pin.Pin, err error) {
	m.targets = slices.DeleteFunc(m.targets, func(t plan.Target) bool { return t.Pin.Service == n.Service })
	m.stuck = append(m.stuck, Stuck{Service: n.Service, Path: n.Span.Path, Line: n.Span.Line, Err: err})
}

func (m *meant) isStuck(service string) bool {
	return slices.ContainsFunc(m.stuck, func(s Stuck) bool { return s.Service == service })
}

// targets are the pins that the dispatch speaks of.
func (p *Planner) targets(ctx context.Context, inv *terraform.Inventory, d plan.Dispatch) (*meant, error) {
	m := &meant{}
	if d.Chart.Name != "" {
		for _, n := range inv.Pins {
			if n.Kind == pin.KindChart && plan.SameChart(n.Chart, d.Chart) {
				m.targets = append(m.targets, plan.Target{Pin: n, To: d.Tag})
			}
		}
		return m, nil
	}
	direct := map[string]bool{} // services that pin the image themselves
	for _, n := range inv.Pins {
		if n.Kind != pin.KindImage || n.Image.Repository == "" || !n.Image.SameName(d.Image) {
			continue
		}
		direct[n.Service] = true
		t := plan.Target{Pin: n, To: d.Tag, Digest: d.Digest}
		if n.Digest != nil && n.Reason == pin.Followed && t.Digest == "" && !m.isStuck(n.Service) {
			digest, err := p.Upstream.Digest(ctx, d.Image, d.Tag)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			// What stays all the same needs no digest; of the same tag, nothing else says whether it does.
			if err != nil && (n.Version == d.Tag || plan.Stays(t, p.Policy) == "") {
				m.stick(n, noDigest(d, err))
			}
			t.Digest = digest
		}
		if !m.isStuck(n.Service) {
			m.targets = append(m.targets, t)
		}
	}
	unasked, err := p.shipped(ctx, inv, d, direct, m)
	if err != nil {
		return nil, err
	}
	if len(direct) == 0 && len(m.targets) == 0 && len(unasked) > 0 {
		m.stuck = append(m.stuck, Stuck{Err: &unaskedError{ref: d.Image, charts: unasked}})
	}
	for _, u := range unasked {
		m.warnings = append(m.warnings, fmt.Sprintf("chart %s could not be looked at: %v", u.chart, u.err))
	}
	return m, nil
}

// shipped adds the pins of charts that ship the image by default. A service that
// sets the image itself is left out: its own pin decides. A chart that cannot
// be looked at holds up nobody, since most have nothing to do with the dispatch.
func (p *Planner) shipped(ctx context.Context, inv *terraform.Inventory, d plan.Dispatch, direct map[string]bool, m *meant) ([]unasked, error) {
	var out []unasked
	for _, n := range inv.Pins {
		if direct[n.Service] || m.isStuck(n.Service) || n.Chart.Name == "" || n.Reason != pin.Followed {
			continue
		}
		if n.Kind == pin.KindImage && n.Image.Repository != "" || !mayShip(n.Chart, d.Image, len(direct) > 0, p.Policy) {
			continue
		}
		images, err := p.Upstream.ChartImages(ctx, n.Chart, chartVersion(inv, n))
		if errors.Is(err, upstream.ErrNotFound) {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, upstream.ErrOffline) && len(direct) > 0 {
			continue // the image is pinned directly; offline, the charts stay unasked
		}
		if err != nil {
			out = append(out, unasked{chart: n.Chart.Name, err: err})
			continue
		}
		own, ok := ships(images, d.Image)
		if !ok {
			continue
		}
		if n.Kind == pin.KindImage { // a tag set in values for the chart's own image
			n.Image = d.Image
			m.targets = append(m.targets, plan.Target{Pin: n, To: d.Tag, Digest: d.Digest})
			continue
		}
		to, why, err := p.chartFor(ctx, n, own, d)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			m.stick(n, fmt.Errorf("chart %s ships the image, and its versions could not be asked: %w", n.Chart.Name, err))
		case why != "":
			m.skipped = append(m.skipped, plan.Skipped{Service: n.Service, Path: n.Span.Path, Line: n.Span.Line, Reason: why})
		default:
			m.targets = append(m.targets, plan.Target{Pin: n, To: to, AppTo: d.Tag})
		}
	}
	return out, nil
}

// mayShip spares the look into charts that hardly ship the image. Where some
// service pins the image itself, only charts that share a name with it are
// asked; where none does, all but those known to be another project's.
func mayShip(chart pin.Chart, ref image.Ref, pinned bool, p policy.Policy) bool {
	a, okA := p.ChartSourceOf(chart.Repository)
	b, okB := p.SourceOf(ref)
	if okA && okB {
		orgA, _, _ := strings.Cut(a, "/")
		orgB, _, _ := strings.Cut(b, "/")
		return strings.EqualFold(orgA, orgB)
	}
	if !pinned {
		return true
	}
	org, name, _ := strings.Cut(strings.TrimPrefix(ref.Repository, "library/"), "/")
	where := strings.ToLower(chart.Repository + "/" + chart.Name)
	return strings.Contains(where, org) || name != "" && strings.Contains(where, name)
}

// chartVersion is the version of the chart that a values pin belongs to.
func chartVersion(inv *terraform.Inventory, n pin.Pin) string {
	if n.Kind == pin.KindChart {
		return n.Version
	}
	for _, c := range inv.Pins {
		if c.Kind == pin.KindChart && c.Service == n.Service && c.Address == n.Address {
			return c.Version
		}
	}
	return ""
}

// ships finds an image among those of a chart.
func ships(images []upstream.ChartImage, ref image.Ref) (upstream.ChartImage, bool) {
	i := slices.IndexFunc(images, func(i upstream.ChartImage) bool {
		r, err := image.Parse(i.Name)
		return err == nil && r.SameName(ref)
	})
	if i < 0 {
		return upstream.ChartImage{}, false
	}
	return images[i], true
}
