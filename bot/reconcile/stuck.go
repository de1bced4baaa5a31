package reconcile

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/plan"
)

// stuckOf is what could not be planned. A plan that came to no end is no answer
// about any one service; one that was told to stop is an error, and says nothing.
func stuckOf(ctx context.Context, err error) ([]planner.Stuck, error) {
	var unplanned *planner.Unplanned
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &unplanned):
		return unplanned.Stuck, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, err
	}
	return []planner.Stuck{{Err: err}}, nil
}

// stuckOutcome is what becomes of a service that could not be planned since a
// moment, and whether it is tried again.
func stuckOutcome(s planner.Stuck, since, now time.Time) (o store.Outcome, waits bool) {
	t := plan.Trouble{Lasting: s.Lasting(), Since: since}
	o = store.Outcome{Service: s.Service, Path: s.Path, Line: s.Line, Reason: told(s.Err), At: since, Stuck: store.Waits}
	switch {
	case t.Waits(now):
		return o, true
	case !t.Lasting:
		o.Reason = fmt.Sprintf("given up after %d hours of trying: %s; send the dispatch again when that is mended", int(plan.Patience.Hours()), o.Reason)
	}
	o.Stuck, o.At = store.GivenUp, now
	return o, false
}

// waitsSince is since when a service of a repository waits, now where it does not yet.
func waitsSince(d store.Dispatch, repository, service string, now time.Time) time.Time {
	for _, o := range d.Outcomes {
		if o.Stuck == store.Waits && o.Repository == repository && o.Service == service {
			return o.At
		}
	}
	return now
}

// waited reports whether something of a repository was waited for: then this is
// another try at the same dispatch, and not the dispatch come again.
func waited(d store.Dispatch, repository string) bool {
	for _, o := range d.Outcomes {
		if o.Stuck == store.Waits && o.Repository == repository {
			return true
		}
	}
	return false
}

// begunBefore are the upgrades that earlier tries at a dispatch have begun or
// joined: that a registry does not answer for one service begins nothing twice
// for the others.
func begunBefore(d store.Dispatch, repository string) (out []store.Outcome, services map[string]bool) {
	services = map[string]bool{}
	if !waited(d, repository) {
		return nil, services
	}
	for _, o := range d.Outcomes {
		if o.Repository == repository && o.Upgrade != "" {
			out = append(out, o)
			services[o.Service] = true
		}
	}
	return out, services
}

// unread is what is recorded where a repository could not be read, or an upgrade
// not begun: all that was recorded before, and that it waits. It waits without an end, as all that belay
// does for the repository does; nil when belay was told to stop.
func (r *Reconciler) unread(ctx context.Context, d store.Dispatch, repository string, err error) []store.Outcome {
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	var out []store.Outcome
	for _, o := range d.Outcomes {
		if o.Repository == repository && (o.Service != "" || o.Stuck != store.Waits) {
			out = append(out, o)
		}
	}
	return append(out, store.Outcome{Repository: repository, Reason: told(err), At: waitsSince(d, repository, "", r.opts.Now()), Stuck: store.Waits})
}

// setOutcomes records what a dispatch led to in a repository, and counts what is
// new. What a time limit has ended is recorded all the same.
func (r *Reconciler) setOutcomes(ctx context.Context, d store.Dispatch, repository string, outcomes []store.Outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.opts.Store.SetOutcomes(ctx, d.ID, repository, outcomes); err != nil {
		return err
	}
	known := map[store.Outcome]bool{}
	if waited(d, repository) {
		for _, o := range d.Outcomes {
			o.At = time.Time{}
			known[o] = true
		}
	}
	var fresh []store.Outcome
	for _, o := range outcomes {
		key := o
		if key.At = (time.Time{}); !known[key] && o.Stuck != store.Waits {
			fresh = append(fresh, o)
		}
	}
	r.countOutcomes(fresh)
	return nil
}

// longest is how much of an error is recorded, in characters.
const longest = 600

// address matches a URL with what nobody is to see of it: "https://ann:secret@host/a",
// "https://token@host", "https://host/a.tgz?sig=secret".
var address = regexp.MustCompile(`(://)(?:[^\s"]*@)?([^\s?"]*)(?:\?[^\s"]*)?`)

// told is an error as it is shown to people: one line, not endless, without
// the secrets that an address may hold.
func told(err error) string {
	text := address.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "$1$2")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}
