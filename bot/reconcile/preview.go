package reconcile

import (
	"context"

	"github.com/belaybot/belay/bot/store"
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
	_, v, err := r.viewNow(ctx, name)
	if err != nil {
		return nil, err
	}
	result, err := v.planner.Plan(ctx, v.inventory, d)
	stuck, err := stuckOf(ctx, err)
	if err != nil {
		return nil, err
	}
	var out []Previewed
	for _, s := range stuck {
		out = append(out, Previewed{Repository: name, Service: s.Service, Reason: "cannot be planned now: " + told(s.Err)})
	}
	if result.Refused != "" {
		out = append(out, Previewed{Repository: name, Reason: result.Refused})
	}
	for _, s := range result.Skipped {
		out = append(out, Previewed{Repository: name, Service: s.Service, Reason: s.Reason})
	}
	for _, u := range result.Upgrades {
		p := Previewed{Repository: name, Service: u.Service, From: u.From, To: u.To, Risk: string(u.Risk.Level)}
		if p.Reason, err = r.foreseen(ctx, name, u, d.Tag); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// foreseen says what would come of an upgrade, "" when it would be a new one.
func (r *Reconciler) foreseen(ctx context.Context, name string, u plan.Upgrade, tag string) (string, error) {
	open, reason, err := r.standing(ctx, name, u)
	if err != nil || open == "" {
		return reason, err
	}
	j, err := r.load(ctx, open)
	if err != nil || j.u.Final {
		return "", err
	}
	reason, _ = j.meets(u.To, tag)
	return reason, nil
}
