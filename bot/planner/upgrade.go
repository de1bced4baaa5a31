package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/watch"
)

// upgrade fills in a candidate: its notes, its risk, its way and its edits.
func (p *Planner) upgrade(ctx context.Context, inv *terraform.Inventory, d plan.Dispatch, c plan.Candidate) (plan.Upgrade, []terraform.Change, upstream.Notes, error) {
	found, err := p.notes(ctx, d, c)
	unread := ""
	if errors.Is(err, upstream.ErrOffline) {
		// Asked for without network, this is an answer: UNKNOWN, and why.
		unread, err = "the release notes were not read: they are not in the cache, and --offline is set", nil
	}
	if err != nil {
		return plan.Upgrade{}, nil, found, err
	}
	u, changes, err := p.assess(ctx, inv, d, c, found)
	if unread != "" {
		u.Warnings = append(u.Warnings, unread)
	}
	return u, changes, found, err
}

// assess makes an upgrade of a candidate and its notes.
func (p *Planner) assess(ctx context.Context, inv *terraform.Inventory, d plan.Dispatch, c plan.Candidate, found upstream.Notes) (plan.Upgrade, []terraform.Change, error) {
	u := plan.Assess(plan.Facts{
		Dispatch: d, Candidate: c, Policy: p.Policy,
		Source: found.Repository, SourceURL: found.URL, NotesFrom: found.From,
		Releases: found.Releases, Missing: found.Missing, Evidence: p.evidence(inv, c, found.Releases), Advice: p.advice(ctx, inv, c, found.Releases),
	})
	for _, service := range append([]string{c.Service}, c.AlsoServices...) {
		where := inv.Where(service)
		s := watch.Subject{Service: service, Workloads: where.Workloads, URLs: where.URLs}
		p.Policy.Verify.Adds(&s)
		u.Verify.Sees(s)
	}
	splices, err := plan.Splices(c)
	if err != nil {
		return u, nil, &editError{err}
	}
	changes, edits, err := inv.Apply(splices)
	if err != nil {
		return u, nil, &editError{err}
	}
	u.Edits = edits
	if u.Moves, err = plan.Moves(c); err != nil {
		return u, nil, &editError{err}
	}
	return u, changes, nil
}

// advice asks the adviser, where there is one and the configuration lets it be
// asked about the service.
func (p *Planner) advice(ctx context.Context, inv *terraform.Inventory, c plan.Candidate, releases []notes.Release) advice.Outcome {
	if p.Adviser == nil || !p.Policy.Advised(c.Service, c.Directory) || len(releases) == 0 {
		return advice.Outcome{}
	}
	q := advice.Question{From: c.From.String(), To: c.To.String(), Releases: releases}
	if first := c.Targets[0].Pin; first.Kind == pin.KindChart {
		q.Images = []string{"chart " + first.Chart.Name}
	} else {
		q.Images = []string{first.Image.Familiar()}
	}
	if p.Policy.Adviser.Settings {
		q.Settings = inv.Settings(c.Service)
	}
	out := p.Adviser.Advise(ctx, q)
	if out.Advice == nil {
		return out
	}
	// Where what it names stands in the service's files is looked up here, as for the rules' own findings.
	var names []string
	for _, f := range out.Advice.Findings {
		names = append(names, f.Settings...)
	}
	uses := inv.Uses(c.Service, names)
	said := *out.Advice
	said.Findings = slices.Clone(said.Findings)
	for i, f := range said.Findings {
		for _, name := range f.Settings {
			said.Findings[i].Uses = append(said.Findings[i].Uses, risk.Use{Identifier: name, At: uses[name]})
		}
	}
	out.Advice = &said
	return out
}

// notes finds the release notes. Not finding any is an answer; not being able
// to ask is an error.
func (p *Planner) notes(ctx context.Context, d plan.Dispatch, c plan.Candidate) (upstream.Notes, error) {
	from, to := c.From, c.To
	if p.Notes != nil {
		between := notes.Between(p.Notes.Releases, from, to, "")
		out := upstream.Notes{Releases: between}
		if len(between) > 0 {
			out.From = p.Notes.Name
		}
		return out, nil
	}
	var repo string
	var err error
	if first := c.Targets[0].Pin; first.Kind == pin.KindChart {
		repo, _, err = p.Upstream.ChartRepository(ctx, first.Chart)
	} else {
		repo, _, err = p.Upstream.Repository(ctx, first.Image, d.Tag, d.HubLink)
	}
	switch {
	case errors.Is(err, upstream.ErrNotFound):
		return upstream.Notes{}, nil
	case err != nil:
		return upstream.Notes{}, fmt.Errorf("finding the source repository: %w", err)
	}
	found, err := p.Upstream.Notes(ctx, repo, from, to)
	switch {
	case errors.Is(err, upstream.ErrNotFound):
		return upstream.Notes{Repository: repo}, nil
	case err != nil:
		return upstream.Notes{}, fmt.Errorf("reading the release notes of %s: %w", repo, err)
	}
	return found, nil
}

// evidence reads the notes for signals and looks up, in the service's own
// files, what they name.
func (p *Planner) evidence(inv *terraform.Inventory, c plan.Candidate, releases []notes.Release) []risk.Evidence {
	var out []risk.Evidence
	var names []string
	for _, r := range releases {
		for _, s := range notes.Signals(r, p.Policy.Risk.Keywords) {
			out = append(out, risk.Evidence{Signal: s})
			names = append(names, s.Identifiers...)
		}
	}
	if len(names) == 0 {
		return out
	}
	uses := inv.Uses(c.Service, names)
	for i := range out {
		for _, id := range out[i].Identifiers {
			out[i].Uses = append(out[i].Uses, risk.Use{Identifier: id, At: uses[id]})
		}
	}
	return out
}
