package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
)

// observe looks at everything that concerns an upgrade. What it returns beside
// an error is still good for deciding to wait.
func (r *Reconciler) observe(ctx context.Context, j *job) (lifecycle.Observed, error) {
	o := lifecycle.Observed{Now: r.opts.Now(), State: lifecycle.State(j.u.State), Since: j.rec.Entered, Risk: j.rec.Risk, Automerge: j.rec.Automerge,
		Pull: lifecycle.Pull{State: lifecycle.PullNone}, Backup: lifecycle.None, Restore: lifecycle.None, Apply: lifecycle.Running, Health: lifecycle.Running}
	repo, err := r.opts.GitHub.Repository(ctx, j.u.Repository)
	if err != nil {
		return o, err
	}
	j.repo = repo
	if err := r.readPull(ctx, j); err != nil {
		return o, err
	}
	if err := r.readUndo(ctx, j); err != nil {
		return o, err
	}
	v, err := r.viewOf(ctx, j)
	if err != nil {
		return o, err
	}
	j.policy, j.view = v.policy, v
	if err := r.obey(ctx, j, j.pull, &j.rec.Seen); err != nil {
		return o, err
	}
	if err := r.obey(ctx, j, j.undo, &j.rec.Undo.Seen); err != nil {
		return o, err
	}
	j.rec.Recovering = false
	if err := r.obeyAsked(ctx, j); err != nil {
		return o, err
	}
	if err := r.observeBase(ctx, j, v); err != nil {
		return o, err
	}
	o.There, o.Newer, o.Held, o.Retry, o.Redo = j.rec.Gone != "" && j.rec.Newer == nil, j.rec.Newer != nil, j.rec.Held != nil, j.rec.Retry, j.rec.Redo
	if o.State == lifecycle.Queued && o.Held && j.rec.Held.Before {
		o.Held = false // it is opened all the same, so that there is a place to say that it goes on
	}
	o.Automerge = j.rec.Automerge && risk.MayAutomerge(j.rec.Risk, v.policy.Risk.Automerge)
	if err := observeSchedule(v.policy, &o); err != nil {
		return o, err
	}
	if err := r.observeFreeze(ctx, j, &o); err != nil {
		return o, err
	}
	if err := r.observeOthers(ctx, j, &o); err != nil {
		return o, err
	}
	if err := r.observeLadder(ctx, j, &o); err != nil {
		return o, err
	}
	switch o.State {
	case lifecycle.Queued:
		if err := r.observeRoom(ctx, j, &o); err != nil {
			return o, err
		}
	case lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted:
		if err := r.observePull(ctx, j, &o); err != nil {
			return o, err
		}
	case lifecycle.Applying, lifecycle.Undoing:
		if err := r.observeApply(ctx, j, v, &o); err != nil {
			return o, err
		}
	case lifecycle.Watching, lifecycle.Rewatching:
		r.observeHealth(ctx, j, v, &o)
	case lifecycle.Reverting, lifecycle.Restoring, lifecycle.Critical:
		// observeUndo looks at what these wait for.
	case lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed, lifecycle.Reverted, lifecycle.Failed, lifecycle.Closed, lifecycle.Obsolete:
	}
	o.Approved = j.rec.Approved != nil && j.pull != nil && j.rec.Approved.Head == j.pull.Head
	if o.State.Merged() || j.u.Final {
		return o, r.observeUndo(ctx, j, v, &o)
	}
	j.observeReady(o)
	return o, nil
}

// observeReady notes since when nothing but its turn and the backup keeps the
// pull request from being merged: a backup that somebody else had made since
// then serves this one too.
func (j *job) observeReady(o lifecycle.Observed) {
	o.Turn, o.Busy, o.NeedsRun = true, false, false
	switch {
	case o.State == lifecycle.Open && lifecycle.Next(o).Do != lifecycle.Merge:
		j.rec.Ready = time.Time{}
	case o.State == lifecycle.Open && j.rec.Ready.IsZero():
		j.rec.Ready = o.Now
	}
}

// observeOthers says whether another upgrade of what moves is in the way.
func (r *Reconciler) observeOthers(ctx context.Context, j *job, o *lifecycle.Observed) error {
	if o.State.Merged() || o.State.Final() {
		return nil
	}
	merged, err := r.opts.Store.UnderWay(ctx, j.u.Repository)
	if err != nil {
		return err
	}
	for _, u := range merged {
		other := job{u: u}
		if err := json.Unmarshal(u.Data, &other.rec); err != nil {
			return fmt.Errorf("upgrade %s: its record cannot be read: %w", u.ID, err)
		}
		if u.ID != j.u.ID && slices.ContainsFunc(other.services(), func(s string) bool { return slices.Contains(j.services(), s) }) {
			o.Busy = true
			o.Locked = o.Locked || lifecycle.State(u.State) == lifecycle.Critical
		}
	}
	return nil
}

// readPull reads the pull request, or finds the one that an earlier life opened.
func (r *Reconciler) readPull(ctx context.Context, j *job) error {
	if j.u.Pull == 0 || j.pull != nil {
		return nil
	}
	p, err := j.repo.Pull(ctx, j.u.Pull)
	if err != nil {
		return err
	}
	j.pull = &p
	return nil
}

// viewOf is the default branch as the pull request's answer shows it, or as it
// was fetched last where there is no pull request yet.
func (r *Reconciler) viewOf(ctx context.Context, j *job) (*view, error) {
	if j.pull == nil {
		branch, err := r.branchOf(ctx, j)
		if err != nil {
			return nil, err
		}
		return r.today(ctx, j, branch)
	}
	j.home.mu.Lock()
	v := j.home.view
	j.home.mu.Unlock()
	if v != nil && v.sha == j.pull.Base {
		return v, nil
	}
	return r.today(ctx, j, j.pull.BaseName)
}

// observeBase notices that the default branch moved under the edits. The same
// files mean that nothing did; otherwise the plan is made again and compared.
func (r *Reconciler) observeBase(ctx context.Context, j *job, v *view) error {
	if j.rec.Base == v.sha || j.rec.Base == "" && j.u.Pull == 0 || j.u.Final || !slices.Contains(unmerged, lifecycle.State(j.u.State)) {
		return nil
	}
	same := len(j.rec.Files) > 0
	for path, old := range j.rec.Files {
		content, err := v.inventory.Content(path)
		same = same && err == nil && hash(string(content)) == old
	}
	if same {
		j.rec.Base = v.sha
		return nil
	}
	p, err := r.plan(ctx, j, v, j.rec.Target)
	if err != nil {
		return err
	}
	if p == nil {
		return nil // Gone says why
	}
	if p.edits == j.rec.Edits {
		j.rec.Base, j.rec.Files, j.rec.Moved = v.sha, p.files(v), false
		return nil
	}
	// What a record that was rebuilt pushed last is not known: it is built again,
	// and nothing says that it does not fit.
	j.rec.Redo, j.rec.Moved = true, j.rec.Base != ""
	return nil
}

// unmerged are the states in which the pull request's content matters.
var unmerged = []lifecycle.State{lifecycle.Open, lifecycle.BackingUp, lifecycle.Aborted}

// zoneOf is the time zone in which a repository's people live.
func zoneOf(p policy.Policy) (*time.Location, error) {
	if p.Schedule.Timezone == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(p.Schedule.Timezone)
	if err != nil {
		return nil, fmt.Errorf("schedule.timezone: %w", err)
	}
	return zone, nil
}

func observeSchedule(p policy.Policy, o *lifecycle.Observed) error {
	zone, err := zoneOf(p)
	if err != nil {
		return err
	}
	window := func(s string) (lifecycle.Window, error) {
		if s == "" {
			return lifecycle.Window{Open: true}, nil
		}
		w, err := policy.ParseWindows(s)
		if err != nil {
			return lifecycle.Window{}, err
		}
		at := o.Now.In(zone)
		return lifecycle.Window{Open: w.Contains(at), Next: w.Next(at)}, nil
	}
	if o.Opening, err = window(p.Schedule.Open); err != nil {
		return fmt.Errorf("schedule.open: %w", err)
	}
	if o.Merging, err = window(p.Schedule.Merge); err != nil {
		return fmt.Errorf("schedule.merge: %w", err)
	}
	o.BackupTimeout, o.RestoreTimeout, o.ApplyTimeout = policy.DefaultBackupTimeout, 3*time.Hour, p.Apply.Timeout
	o.WatchLongest = plan.Longest(p, o.Risk)
	return nil
}

// published is what belay knows of a pull request that it wrote.
type published struct {
	head   string // the commit that belay pushed last
	pushed time.Time
	marker string
	redo   bool // somebody asked for it to be built again
	moved  bool // the base moved under the edits
}

// observePull sums up what the pull request says about the merge.
func (r *Reconciler) observePull(ctx context.Context, j *job, o *lifecycle.Observed) error {
	if j.pull == nil {
		return nil
	}
	var err error
	if o.Pull, err = r.lookAt(ctx, j, j.pull, published{head: j.rec.Head, pushed: j.rec.Pushed, marker: j.rec.Marker, redo: j.rec.Redo, moved: j.rec.Moved}); err != nil {
		return err
	}
	if o.Pull.State != lifecycle.PullOpen {
		return nil
	}
	if err := r.noteOthers(ctx, j); err != nil {
		return err
	}
	if m, err := report.ParseMarker(j.pull.Body); err != nil || m.String() != j.rec.Marker {
		o.Redo = true // somebody changed the marker: it is written again
	}
	if o.Turn, err = r.myTurn(ctx, j); err != nil {
		return err
	}
	return r.observeBackup(ctx, j, o)
}

// lookAt sums up what a pull request says about its merge.
func (r *Reconciler) lookAt(ctx context.Context, j *job, p *github.Pull, known published) (lifecycle.Pull, error) {
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return lifecycle.Pull{}, err
	}
	others, err := r.othersOn(ctx, p, known.head)
	if err != nil {
		return lifecycle.Pull{}, err
	}
	out := lifecycle.Pull{State: pullState(p.State), Draft: p.Draft, Mergeable: mergeable(p.Mergeable), Foreign: others != "", ByPerson: p.MergedBy != "" && p.MergedBy != slug}
	if out.State != lifecycle.PullOpen {
		return out, nil
	}
	// The head is belay's and yet not the recorded one: an earlier life pushed and was killed.
	// What nobody may overwrite is not built again, whoever asked for it.
	out.Stale = known.moved || !out.Foreign && (known.redo || p.Head != known.head)
	required, err := r.required(ctx, j, p.BaseName)
	if err != nil {
		return out, err
	}
	var reported []lifecycle.Reported
	for _, c := range p.Checks {
		reported = append(reported, lifecycle.Reported{Name: c.Name, State: progress(c.State), Own: strings.HasPrefix(c.Name, "belay/") && c.App == slug})
	}
	out.Checks = lifecycle.Checks(required, reported, r.opts.Now().Sub(known.pushed))
	out.Review, err = r.review(ctx, j, p, slug)
	return out, err
}

func pullState(s string) lifecycle.PullState {
	switch s {
	case "MERGED":
		return lifecycle.PullMerged
	case "CLOSED":
		return lifecycle.PullClosed
	}
	return lifecycle.PullOpen
}

func mergeable(s string) lifecycle.Mergeable {
	switch s {
	case "MERGEABLE":
		return lifecycle.MergeClean
	case "CONFLICTING":
		return lifecycle.MergeConflict
	}
	return lifecycle.MergeUnknown
}

func progress(s github.CheckState) lifecycle.Progress {
	switch s {
	case github.CheckGood:
		return lifecycle.Good
	case github.CheckBad:
		return lifecycle.Bad
	case github.CheckPending:
	}
	return lifecycle.Running
}

// rulesFor is how long a branch's rules and a person's permission are believed.
const rulesFor = 5 * time.Minute

func (r *Reconciler) required(ctx context.Context, j *job, base string) ([]string, error) {
	j.home.mu.Lock()
	known, asked := j.home.required, j.home.asked
	j.home.mu.Unlock()
	if !asked.IsZero() && r.opts.Now().Sub(asked) < rulesFor {
		return slices.Clone(known), nil
	}
	list, err := j.repo.RequiredChecks(ctx, base)
	if err != nil {
		return nil, err
	}
	j.home.mu.Lock()
	defer j.home.mu.Unlock()
	j.home.required, j.home.asked = list, r.opts.Now()
	return slices.Clone(list), nil
}

// review sums up the reviews. Whether somebody may write is asked of GitHub,
// not taken from what the review says.
func (r *Reconciler) review(ctx context.Context, j *job, p *github.Pull, slug string) (lifecycle.Review, error) {
	var opinions []lifecycle.Opinion
	for _, v := range p.Reviews {
		if v.Login == "" || v.State == "COMMENTED" || v.State == "PENDING" {
			continue
		}
		may, err := r.mayWrite(ctx, j, v.Login)
		if err != nil {
			return "", err
		}
		opinions = append(opinions, lifecycle.Opinion{State: v.State, Login: v.Login, OfHead: v.Commit == p.Head, MayWrite: may, Bot: v.Login == slug})
	}
	return lifecycle.Reviews(opinions), nil
}

func (r *Reconciler) mayWrite(ctx context.Context, j *job, login string) (bool, error) {
	key := j.u.Repository + " " + login
	r.mu.Lock()
	known, ok := r.write[key]
	r.mu.Unlock()
	if ok && r.opts.Now().Sub(known.at) < rulesFor {
		return known.may, nil
	}
	may, err := j.repo.MayWrite(ctx, login)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write[key] = permission{may: may, at: r.opts.Now()}
	return may, nil
}

// observeBackup says whether a backup is needed and how it stands.
func (r *Reconciler) observeBackup(ctx context.Context, j *job, o *lifecycle.Observed) error {
	b, _, ok := j.backup()
	if !ok || b.Kind == policy.BackupNone {
		return nil
	}
	o.NeedsRun = true
	if b.Timeout > 0 {
		o.BackupTimeout = b.Timeout
	}
	if j.rec.Backup.Key == "" {
		return nil
	}
	if j.rec.Backup.State == string(lifecycle.Running) && o.State != lifecycle.Aborted {
		if err := r.lookAtBackup(ctx, j); err != nil {
			return err
		}
	}
	o.Backup = lifecycle.Progress(j.rec.Backup.State)
	if o.State == lifecycle.Open && !lifecycle.Serves(o.Now, j.rec.Backup.Started, j.rec.Ready, b.MaxAge) {
		o.Backup = lifecycle.None
	}
	return nil
}
