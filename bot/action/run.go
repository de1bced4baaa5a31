package action

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// Options are what a run works with.
type Options struct {
	Event   Event
	Inputs  Inputs
	Actions *githubactions.Action
	Getenv  func(string) string
	Name    string // of the run: GITHUB_RUN_ID and its attempt
	Dir     string // empty; for the throw-away state
	Store   *store.Store
	GitHub  *github.App

	Upstream  func(policy.Policy) (planner.Upstream, error)
	Backups   reconcile.Backups
	Observers []reconcile.Observer
	CI        reconcile.CI
	Notify    func(ctx context.Context, upgrade string) error

	Now func() time.Time
	Log *slog.Logger
}

// Run is one run of the Action. Use New to make one.
type Run struct {
	opts   Options
	rec    *reconcile.Reconciler
	queue  *queue
	begun  time.Time
	out    Result
	failed map[string]int       // looks that failed in a row, by upgrade
	since  map[string]time.Time // when an upgrade was first seen in its state
	state  map[string]string
	found  []string // dispatches that are to be planned
}

// Result is what became of a run.
type Result struct {
	Nothing   string // why there was nothing to do
	Upgrades  []Upgrade
	Outcomes  []store.Outcome // of the dispatches
	Elsewhere []string
	Assessed  *reconcile.Assessed // of somebody's pull request
	Pull      int                 // that was assessed
	Unwritten string              // why the check could not be written
	Problems  []string
	TimeUp    bool
}

// Upgrade is how an upgrade stands at the end of a run.
type Upgrade struct {
	Service string `json:"service"`
	From    string `json:"from"`
	To      string `json:"to"`
	State   string `json:"state"`
	Waits   string `json:"waits,omitempty"`
	Pull    int    `json:"pull_request,omitempty"`
	Undo    int    `json:"revert,omitempty"`
	URL     string `json:"url,omitempty"`
	Opened  bool   `json:"opened,omitempty"` // in this run
	id      string
}

// New makes a run.
func New(o Options) *Run {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	r := &Run{opts: o, queue: newQueue(), begun: o.Now(), failed: map[string]int{}, since: map[string]time.Time{}, state: map[string]string{}}
	r.rec = reconcile.New(reconcile.Options{Store: o.Store, GitHub: o.GitHub, Upstream: o.Upstream, Mirrors: filepath.Join(o.Dir, "mirrors"), Backups: o.Backups,
		Observers: o.Observers, CI: o.CI, Notify: o.Notify, Now: o.Now, Log: o.Log, Owner: reconcile.ActionOwner, TakeOver: o.Inputs.TakeOver, Carry: o.Name, Shallow: true,
		Enqueue: func(_ context.Context, _ *sql.Tx, id string) error {
			r.found = append(r.found, id)
			return nil
		},
		Wake: func(_ context.Context, id string) error {
			r.queue.set(id, o.Now())
			return nil
		}})
	return r
}

// Do does what the event asks for. The error is why the run as a whole failed;
// what went wrong with single upgrades is in the Result.
func (r *Run) Do(ctx context.Context) (Result, error) {
	todo := r.opts.Event.Todo()
	if todo.Nothing != "" {
		r.out.Nothing = todo.Nothing
		return r.out, nil
	}
	if todo.Pull != 0 {
		if todo.Foreign { // that takes fewer permissions
			return r.out, r.assess(ctx, todo)
		}
		id, err := r.rec.TakeUpPull(ctx, r.opts.Event.Repository, todo.Pull)
		if err != nil {
			return r.out, err
		}
		if id == "" && todo.Head != "" {
			return r.out, r.assess(ctx, todo)
		}
		if id == "" {
			r.out.Nothing = fmt.Sprintf("#%d is not a pull request of belay's that this Action acts on", todo.Pull)
			return r.out, nil
		}
		r.queue.set(id, r.opts.Now())
	}
	found, err := r.rec.TakeUp(ctx, r.opts.Event.Repository, func(p github.Pull) bool {
		return todo.All || todo.Pull == p.Number || todo.Commit != "" && todo.Commit == p.Head
	})
	if err != nil {
		return r.out, err
	}
	r.out.Elsewhere = found.Elsewhere
	for _, id := range found.Upgrades {
		r.queue.set(id, r.opts.Now())
	}
	if todo.All {
		if err := r.takeWaiting(ctx, found.Waiting); err != nil {
			return r.out, err
		}
	}
	if err := r.dispatches(ctx, todo, found.Policy); err != nil {
		return r.out, err
	}
	r.work(ctx)
	if err := r.collect(ctx); err != nil {
		return r.out, err
	}
	if !todo.All {
		return r.out, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	lost, err := r.rec.Park(ctx, r.opts.Event.Repository, found)
	for _, name := range lost {
		r.out.Problems = append(r.out.Problems, name+" waits, and there is no pull request of belay's that could keep it: dispatch it again, or let a schedule look for new versions")
	}
	return r.out, err
}

// takeWaiting takes up what earlier runs left for want of room, before all that is new.
func (r *Run) takeWaiting(ctx context.Context, list []store.Dispatch) error {
	for _, d := range list {
		d.Received = r.opts.Now()
		id, _, err := r.opts.Store.AddDispatch(ctx, d, nil)
		if err != nil {
			return err
		}
		r.found = append(r.found, id)
	}
	return nil
}

// dispatches takes what the event brought, or what a scan finds.
func (r *Run) dispatches(ctx context.Context, todo Todo, p policy.Policy) error {
	if todo.Dispatch != nil {
		want := r.opts.Inputs.Event
		if want == "" {
			want = p.Dispatch.Event
		}
		if todo.Type != "" && todo.Type != want {
			r.out.Nothing = fmt.Sprintf("the event's type is %q, and dispatches have the type %q (dispatch.event)", todo.Type, want)
			return nil
		}
		d, err := intake.Parse(todo.Dispatch)
		if err != nil {
			return fmt.Errorf("the dispatch is refused: %w", err)
		}
		stored := reconcile.Stored(d, "repository_dispatch", r.opts.Event.Repository)
		stored.Received = r.opts.Now()
		id, _, err := r.opts.Store.AddDispatch(ctx, stored, nil)
		if err != nil {
			return err
		}
		r.found = append(r.found, id)
	}
	if todo.Scan && r.opts.Inputs.Scan {
		// A registry that does not answer holds up nothing else.
		if err := r.rec.ScanNow(ctx, r.opts.Event.Repository); err != nil {
			r.out.Problems = append(r.out.Problems, "looking for new versions: "+err.Error())
		}
	}
	for _, id := range r.found {
		if err := r.rec.Dispatch(ctx, id); err != nil {
			return err
		}
		stored, err := r.opts.Store.Dispatch(ctx, id)
		if err != nil {
			return err
		}
		r.out.Outcomes = append(r.out.Outcomes, stored.Outcomes...)
	}
	return nil
}

// How often, and how long, a run looks at what no event would tell it of.
const (
	pollMerged = 15 * time.Second // after the merge
	pollOpen   = 5 * time.Second
	revertStay = 10 * time.Minute // a revert's checks take no longer
	maxFailed  = 4
)

// work looks at upgrades until nothing is left that is worth staying for.
func (r *Run) work(ctx context.Context) {
	end := r.begun.Add(r.opts.Inputs.TimeLimit)
	for ctx.Err() == nil {
		id, at, ok := r.queue.next()
		now := r.opts.Now()
		switch {
		case !ok:
			return
		case !now.Before(end) || at.After(end):
			r.out.TimeUp = !now.Before(end) || r.underWay(id)
			return
		case at.After(now):
			r.queue.wait(ctx, at.Sub(now))
			continue
		}
		r.queue.take(id)
		r.look(ctx, id)
	}
}

// underWay reports whether an upgrade is one that a run stays with to its end.
func (r *Run) underWay(id string) bool {
	s := lifecycle.State(r.state[id])
	return s == lifecycle.BackingUp || s.Merged() && s != lifecycle.Critical
}

// look has one look at an upgrade, and says when the next one is due, if it is
// worth staying for.
func (r *Run) look(ctx context.Context, id string) {
	until, err := r.rec.Reconcile(ctx, id)
	now := r.opts.Now()
	var again interface{ RetryAt() time.Time }
	switch {
	case errors.Is(err, reconcile.ErrOtherRun):
		r.opts.Log.Info("left to another run", "upgrade", id, "why", err)
		return
	case errors.As(err, &again):
		r.queue.set(id, again.RetryAt())
		return
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		if r.failed[id]++; r.failed[id] < maxFailed {
			r.queue.set(id, now.Add(time.Second<<r.failed[id]))
			return
		}
		r.out.Problems = append(r.out.Problems, err.Error())
		return
	}
	r.failed[id] = 0
	u, err := r.opts.Store.Upgrade(ctx, id)
	if err != nil {
		r.out.Problems = append(r.out.Problems, err.Error())
		return
	}
	if stay := r.stay(u, now); stay > 0 {
		next := now.Add(stay)
		if !until.IsZero() && until.Before(next) {
			next = until
		}
		r.queue.set(id, next)
	}
}

// stay is how soon to look again at an upgrade, 0 where the run need not stay for
// it: what is merged is watched to its end; what is not waits for the next event.
func (r *Run) stay(u store.Upgrade, now time.Time) time.Duration {
	if r.state[u.ID] != u.State {
		r.state[u.ID], r.since[u.ID] = u.State, now
	}
	switch lifecycle.State(u.State) {
	case lifecycle.BackingUp, lifecycle.Applying, lifecycle.Watching, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching:
		return pollMerged
	case lifecycle.Reverting:
		if now.Sub(r.since[u.ID]) < revertStay {
			return pollMerged
		}
	case lifecycle.Open, lifecycle.Queued:
		if now.Sub(r.begun) < r.opts.Inputs.Wait {
			return pollOpen
		}
	case lifecycle.Aborted, lifecycle.Critical, lifecycle.Verified, lifecycle.Unverified, lifecycle.NotDeployed, lifecycle.Reverted, lifecycle.Failed, lifecycle.Closed, lifecycle.Obsolete:
	}
	return 0
}

// collect says how everything stands.
func (r *Run) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	list, err := r.opts.Store.Upgrades(ctx, store.Filter{Repository: r.opts.Event.Repository, Limit: 1000})
	if err != nil {
		return err
	}
	repo, err := r.opts.GitHub.Repository(ctx, r.opts.Event.Repository)
	if err != nil {
		return err
	}
	for _, u := range list {
		if reconcile.Counted(u) {
			continue
		}
		out := Upgrade{Service: u.Service, From: u.From, To: u.To, State: u.State, Waits: reconcile.Waits(u), Pull: u.Pull, Undo: u.Undo, Opened: u.Pull != 0 && !u.Started.Before(r.begun), id: u.ID}
		if u.Pull != 0 {
			out.URL = repo.PullURL(u.Pull)
		}
		r.out.Upgrades = append(r.out.Upgrades, out)
	}
	return nil
}
