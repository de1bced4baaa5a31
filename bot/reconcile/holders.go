package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

// Found is what a run of the Action finds in the pull requests of a repository.
type Found struct {
	Policy    policy.Policy
	Upgrades  []string         // ids of those that it takes up
	Elsewhere []string         // of those that somebody else holds, in words
	Waiting   []store.Dispatch // what earlier runs left for want of room, in the order of arrival

	parked parked
}

// takeUpFor is how long after its last change a merged pull request is still
// looked at: longer than any watch.
const takeUpFor = 14 * 24 * time.Hour

// TakeUp makes the state of a run from the pull requests of a repository: the
// open ones that pass wanted, the merged ones that are not over, versions that
// are left out, and what counts against the rate limit.
func (r *Reconciler) TakeUp(ctx context.Context, repository string, wanted func(github.Pull) bool) (Found, error) {
	var out Found
	j, v, err := r.viewNow(ctx, repository)
	if err != nil {
		return out, err
	}
	out.Policy = v.policy
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return out, err
	}
	open, err := j.repo.OpenPulls(ctx, "belay/")
	if err != nil {
		return out, err
	}
	closed, err := j.repo.ClosedPulls(ctx, "belay/")
	if err != nil {
		return out, err
	}
	var past []ours
	for _, p := range append(open, closed...) {
		m, err := report.MarkerIn(p.Body, p.Branch)
		if err != nil {
			continue
		}
		if !r.holds(p, m, slug) {
			if p.State == "OPEN" {
				out.Elsewhere = append(out.Elsewhere, fmt.Sprintf("#%d (%s) is left to %s", p.Number, m.Service, holder(p, m)))
			}
			continue
		}
		past = append(past, ours{p, m})
		old := r.opts.Now().Sub(p.Updated) > takeUpFor
		if p.State == "OPEN" && !wanted(p) || p.State != "OPEN" && (m.Over != "" || m.Undoes != 0 || old) {
			continue
		}
		id, err := r.takeUp(ctx, j.repo, p.Number)
		if err != nil {
			return out, err
		}
		if id != "" && !slices.Contains(out.Upgrades, id) {
			out.Upgrades = append(out.Upgrades, id)
		}
	}
	if err := r.takeHistory(ctx, repository, v.policy, past); err != nil {
		return out, err
	}
	out.parked, err = r.unpark(ctx, j.repo, past)
	for _, t := range out.parked.had {
		if d, err := t.dispatch(); err == nil {
			out.Waiting = append(out.Waiting, Stored(d, "waiting", repository))
		}
	}
	return out, err
}

// TakeUpPull takes up one pull request, over or not, such as one that somebody
// commented on. "" means that it is none of belay's.
func (r *Reconciler) TakeUpPull(ctx context.Context, repository string, number int) (string, error) {
	repo, err := r.opts.GitHub.Repository(ctx, repository)
	if err != nil {
		return "", err
	}
	return r.takeUp(ctx, repo, number)
}

// ours is a pull request of belay's own, with its marker.
type ours struct {
	pull   github.Pull
	marker report.Marker
}

func (o ours) lane() string {
	return lane(plan.Upgrade{Images: o.marker.Images, Chart: o.marker.Chart})
}

// key tells versions of what moves together apart.
func (o ours) key(to string) string { return o.marker.Service + "\x00" + o.lane() + "\x00" + to }

// stopped says why the version of a pull request is left out, "" where it is not.
func (o ours) stopped() string {
	switch lifecycle.State(o.marker.Over) {
	case lifecycle.Failed, lifecycle.Reverted, lifecycle.Closed:
		return firstOf(o.marker.Why, fmt.Sprintf("#%d was closed by a person", o.pull.Number))
	default:
		return ""
	}
}

// takeHistory notes which versions are left out, and what was started lately.
func (r *Reconciler) takeHistory(ctx context.Context, repository string, p policy.Policy, past []ours) error {
	slices.SortFunc(past, func(a, b ours) int { return b.pull.Number - a.pull.Number }) // the last word first
	undone := map[int]int{}                                                             // by which pull request, the last one
	for _, o := range past {
		if n := o.marker.Undoes; n != 0 && undone[n] == 0 {
			undone[n] = o.pull.Number
		}
	}
	past = slices.DeleteFunc(past, func(o ours) bool { return o.marker.Undoes != 0 })
	last := map[string]ours{} // on a version
	for _, o := range past {
		key := o.key(o.marker.To)
		if _, decided := last[key]; decided {
			continue
		}
		last[key] = o
		if err := r.leaveOut(ctx, repository, o); err != nil {
			return err
		}
	}
	if err := r.leaveOutEnds(ctx, repository, past, last); err != nil {
		return err
	}
	var starts []time.Time
	for _, o := range slices.Backward(past) { // the newest is the last that changed
		counts := r.opts.Now().Sub(o.pull.Created) < p.Dispatch.Limit.Window
		if l := o.marker.Ladder; !counts && (l == nil || l.Stopped == "") {
			continue
		}
		started, err := r.countPast(ctx, repository, o, undone[o.pull.Number])
		if err != nil {
			return err
		}
		if counts {
			starts = append(starts, started)
		}
	}
	opened := lifecycle.WindowOpened(starts, p.Dispatch.Limit.Window)
	if opened.IsZero() {
		return nil
	}
	return r.opts.Store.Put(ctx, windowKey(repository), opened.UTC().Format(timeForm))
}

// leaveOut blocks a version that failed or that a person closed.
func (r *Reconciler) leaveOut(ctx context.Context, repository string, o ours) error {
	for _, kind := range o.marker.Ignores {
		if !slices.Contains(command.Ignorable(), kind) {
			continue
		}
		b := store.Block{Repository: repository, Service: o.marker.Service, Image: o.lane(), Target: kind, Why: fmt.Sprintf("/upgrade ignore on #%d", o.pull.Number), At: o.pull.Updated}
		if err := r.opts.Store.AddBlock(ctx, b); err != nil {
			return err
		}
	}
	why := o.stopped()
	if why == "" {
		return nil
	}
	return r.opts.Store.AddBlock(ctx, store.Block{Repository: repository, Service: o.marker.Service, Image: o.lane(), Target: o.marker.To, Why: why, At: o.pull.Updated})
}

// leaveOutEnds blocks the ends of ladders that stopped on the way, as block does.
// past begins with the newest; last are the newest on each version.
func (r *Reconciler) leaveOutEnds(ctx context.Context, repository string, past []ours, last map[string]ours) error {
	// The step before it was undone: that one says where the ladder stopped.
	broken := func(o ours) bool {
		return o.marker.Ladder != nil && o.marker.Over == string(lifecycle.Obsolete) && last[o.key(o.marker.Ladder.On)].stopped() != ""
	}
	ended := map[string]bool{}
	for _, o := range past {
		l := o.marker.Ladder
		if l.Top() == "" || ended[o.key(l.Top())] || broken(o) {
			continue
		}
		// A pull request to that very version says how that went.
		if d, ok := last[o.key(l.Top())]; ok && !broken(d) && (d.pull.Number > o.pull.Number || d.stopped() != "") {
			continue
		}
		ended[o.key(l.Top())] = true
		why := o.stopped()
		if why == "" {
			continue
		}
		err := r.opts.Store.AddBlock(ctx, store.Block{Repository: repository, Service: o.marker.Service, Image: o.lane(), Target: l.Top(), Why: stoppedAt + o.marker.To + ": " + why, At: o.pull.Updated})
		if err != nil {
			return err
		}
	}
	return nil
}

// countPast records a pull request that is not taken up as one that is over, so
// that it counts against the rate limit and people can ask for what may follow.
// It says when the upgrade was started. undo is the pull request that undoes it.
func (r *Reconciler) countPast(ctx context.Context, repository string, o ours, undo int) (started time.Time, err error) {
	u, err := r.opts.Store.UpgradeByPull(ctx, repository, o.pull.Number)
	switch {
	case err == nil && !u.Started.IsZero():
		return u.Started, nil // a little before its pull request
	case err == nil:
		return o.pull.Created, nil
	case !errors.Is(err, store.ErrNotFound):
		return time.Time{}, err
	}
	if o.marker.Over == "" {
		o.marker.Over = string(lifecycle.Obsolete) // open, and not looked at in this run
	}
	u, rec, err := r.recovered(ctx, nil, repository, o.pull, o.marker)
	if err != nil {
		r.opts.Log.Warn("a pull request is not counted", "repo", repository, "pull", o.pull.Number, "why", err)
		return o.pull.Created, nil
	}
	o.ended(&u, &rec)
	u.ID, u.Undo = pastPrefix+hash(strings.ToLower(repository), fmt.Sprint(o.pull.Number)), undo
	rec.Entered, rec.Lost, rec.Recovering, rec.Undo.Pull = o.pull.Updated, o.pull.Updated, false, undo
	if u.Data, err = json.Marshal(rec); err != nil {
		return time.Time{}, err
	}
	_, _, err = r.opts.Store.CreateUpgrade(ctx, u)
	return u.Started, err
}

// holds reports whether belay acts on a pull request: it opened it, as whoever
// it is now.
func (r *Reconciler) holds(p github.Pull, m report.Marker, slug string) bool {
	return p.Author == slug && (m.Owner == r.opts.Owner || r.opts.TakeOver)
}

// holder names whoever acts on a pull request that is not belay's to act on.
func holder(p github.Pull, m report.Marker) string {
	return ownerName(m.Owner) + " of " + p.Author
}

func ownerName(owner string) string {
	if owner == "" {
		return "the App"
	}
	return "the Action"
}

// elsewhere says who else has an upgrade of a service open, "" when nobody has:
// an App and an Action on one repository do not both act on one service.
func (r *Reconciler) elsewhere(ctx context.Context, repository, service string) (string, error) {
	repo, err := r.opts.GitHub.Repository(ctx, repository)
	if err != nil {
		return "", err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return "", err
	}
	open, err := repo.OpenPullsUnder(ctx, strings.TrimSuffix(report.Branch(service, "x"), "x"))
	if err != nil {
		return "", err
	}
	for _, p := range open {
		if m, err := report.MarkerIn(p.Body, p.Branch); err == nil && !r.holds(p, m, slug) {
			return fmt.Sprintf("left to %s, which has #%d open for it", holder(p, m), p.Number), nil
		}
	}
	return "", nil
}

// pastPrefix begins the ids of upgrades that were over when they were recorded.
const pastPrefix = "past"

// Counted reports whether an upgrade is one that TakeUp or Recover noted as being
// over, and did not take up.
func Counted(u store.Upgrade) bool { return strings.HasPrefix(u.ID, pastPrefix) }

// Waits is what an upgrade waits for, in words, "" when it waits for nothing.
func Waits(u store.Upgrade) string {
	var rec record
	if err := json.Unmarshal(u.Data, &rec); err != nil {
		return ""
	}
	return rec.Waits
}
