package reconcile

import (
	"context"
	"fmt"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
)

// Stored is a dispatch in the form in which the store keeps it. repository is
// the one that it is meant for, "" for all.
func Stored(d plan.Dispatch, source, repository string) store.Dispatch {
	out := store.Dispatch{Tag: d.Tag, Digest: d.Digest, Status: d.Status, Provider: d.Provider, HubLink: d.HubLink, Source: source, Repository: repository}
	if d.Chart.Name != "" {
		out.Chart, out.ChartFrom = d.Chart.Name, d.Chart.Repository
	} else {
		out.Image = d.Image.Name()
	}
	return out
}

// Previewed is what a dispatch would lead to in one place.
type Previewed struct {
	Repository string
	Service    string
	From, To   string
	Risk       string
	Reason     string // why nothing would happen, or how it joins what is open
}

// Preview says what a dispatch would lead to, and changes nothing. A repository
// that cannot be looked at is named with the reason.
func (r *Reconciler) Preview(ctx context.Context, d plan.Dispatch) ([]Previewed, error) {
	names, err := r.opts.GitHub.Installed(ctx)
	if err != nil {
		return nil, err
	}
	var out []Previewed
	for _, name := range names {
		rows, err := r.previewIn(ctx, name, d)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			rows = []Previewed{{Repository: name, Reason: "cannot be planned now: " + err.Error()}}
		}
		out = append(out, rows...)
	}
	return out, nil
}

func (r *Reconciler) previewIn(ctx context.Context, name string, d plan.Dispatch) ([]Previewed, error) {
	v, err := r.viewNow(ctx, name)
	if err != nil {
		return nil, err
	}
	result, err := v.planner.Plan(ctx, v.inventory, d)
	if err != nil {
		return nil, err
	}
	var out []Previewed
	if result.Refused != "" {
		out = append(out, Previewed{Repository: name, Reason: result.Refused})
	}
	for _, s := range result.Skipped {
		out = append(out, Previewed{Repository: name, Service: s.Service, Reason: s.Reason})
	}
	for _, u := range result.Upgrades {
		p := Previewed{Repository: name, Service: u.Service, From: u.From, To: u.To, Risk: string(u.Risk.Level)}
		if p.Reason, err = r.standing(ctx, name, u); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// standing says what keeps an upgrade from being a new one, "" when nothing does.
func (r *Reconciler) standing(ctx context.Context, name string, u plan.Upgrade) (string, error) {
	blocks, err := r.opts.Store.Blocks(ctx, name, u.Service)
	if err != nil {
		return "", err
	}
	for _, b := range blocks {
		if b.Image == lane(u) && (b.Target == u.To || b.Target == string(u.Risk.Bump)) {
			return fmt.Sprintf("%s is left out: %s", u.To, b.Why), nil
		}
	}
	open, err := r.opts.Store.OpenUpgrades(ctx, name)
	for _, old := range open {
		if old.Service != u.Service || old.Lane != lane(u) || lifecycle.State(old.State).Merged() {
			continue
		}
		if newer(u.To, old.To) {
			return "updates the upgrade that is open", nil
		}
		return fmt.Sprintf("an upgrade to %s is open already", old.To), nil
	}
	return "", err
}

// viewNow is a repository's default branch as it is.
func (r *Reconciler) viewNow(ctx context.Context, name string) (*view, error) {
	j := &job{u: store.Upgrade{Repository: name}, home: r.home(name)}
	var err error
	if j.repo, err = r.opts.GitHub.Repository(ctx, name); err != nil {
		return nil, err
	}
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return nil, err
	}
	return r.today(ctx, j, branch)
}
