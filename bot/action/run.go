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
	Adviser   planner.Adviser // nil: nobody is asked
	Notify    func(ctx context.Context, upgrade string) error

	Grace time.Duration // that what has begun is given to end after the time limit, and again what has to be written down; 0: 30 s
	Now   func() time.Time
	Log   *slog.Logger
}

// Run is one run of the Action. Use New to make one.
type Run struct {
	opts   Options
	rec    *reconcile.Reconciler
	queue  *queue
	begun  time.Time
	out    Result
	failed map[string]int       // looks that failed in a row, by upgrade
	asked  map[string]time.Time // until when GitHub asks to be left alone, by upgrade that waits for it
	since  map[string]time.Time // when an upgrade was first seen in its state
	state  map[string]string    // in which an upgrade was seen last
	found  []string             // dispatches that are to be planned
}

// Result is what became of a run.
type Result struct {
	Nothing   string // why there was nothing to do
	Upgrades  []Upgrade
	Outcomes  []store.Outcome // of the dispatches
	Elsewhere []string
	Assessed  *reconcile.Assessed // of somebody's pull request
	Unwritten string              // why the check could not be written
	Warnings  []string            // what somebody should know and need not mend
	Problems  []string
	TimeUp    bool
	Limited   time.Time // until when GitHub's rate limit holds up what is not over; zero: it does not
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
}

// New makes a run.
func New(o Options) *Run {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Grace == 0 {
		o.Grace = 30 * time.Second
	}
	r := &Run{opts: o, queue: newQueue(), begun: o.Now(), failed: map[string]int{}, asked: map[string]time.Time{}, since: map[string]time.Time{}, state: map[string]string{}}
	r.rec = reconcile.New(reconcile.Options{Store: o.Store, GitHub: o.GitHub, Upstream: o.Upstream, Mirrors: filepath.Join(o.Dir, "mirrors"), Backups: o.Backups,
		Observers: o.Observers, CI: o.CI, Adviser: o.Adviser, Notify: o.Notify, Now: o.Now, Log: o.Log, Owner: reconcile.ActionOwner, TakeOver: o.Inputs.TakeOver, Carry: o.Name, Shallow: true,
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
//
// The time limit of the inputs bounds all of it. What has begun by then is given
// Options.Grace to end, and what there is to write down the same again.
func (r *Run) Do(ctx context.Context) (Result, error) {
	within, cancel := context.WithTimeout(ctx, r.end().Sub(r.opts.Now()))
	defer cancel()
	err := r.do(ctx, within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		r.out.TimeUp = true
		err = fmt.Errorf("the time limit of %s came before all that the event asks for was begun: raise time-limit, or see what does not answer: %w", r.opts.Inputs.TimeLimit, err)
	}
	var limited *github.Limited
	if errors.As(err, &limited) {
		r.out.Limited = limited.Until
	}
	return r.out, err
}

// end is when the run's time is up.
func (r *Run) end() time.Time { return r.begun.Add(r.opts.Inputs.TimeLimit) }

// do is Do, with a context that ends when the time is up.
func (r *Run) do(ctx, within context.Context) error {
	todo := r.opts.Event.Todo()
	if todo.Nothing != "" {
		r.out.Nothing = todo.Nothing
		return nil
	}
	if todo.Pull != 0 {
		if todo.Foreign { // that takes fewer permissions
			return r.assess(within, todo)
		}
		id, err := r.rec.TakeUpPull(within, r.opts.Event.Repository, todo.Pull)
		if err != nil {
			return err
		}
		if id == "" && todo.Head != "" {
			return r.assess(within, todo)
		}
		if id == "" {
			r.out.Nothing = fmt.Sprintf("#%d is not a pull request of belay's that this Action acts on", todo.Pull)
			return nil
		}
		r.queue.set(id, r.opts.Now())
	}
	found, err := r.rec.TakeUp(within, r.opts.Event.Repository, func(p github.Pull) bool {
		return todo.All || todo.Pull == p.Number || todo.Commit != "" && todo.Commit == p.Head
	})
	if err != nil {
		return err
	}
	r.out.Elsewhere = found.Elsewhere
	for _, id := range found.Upgrades {
		r.queue.set(id, r.opts.Now())
	}
	if todo.All {
		if err := r.takeWaiting(within, found.Waiting); err != nil {
			return err
		}
	}
	if err := r.dispatches(within, todo, found.Policy); err != nil {
		return err
	}
	r.work(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Grace)
	defer cancel()
	if err := r.collect(ctx); err != nil || !todo.All {
		return err
	}
	lost, err := r.rec.Park(ctx, r.opts.Event.Repository, found)
	for _, name := range lost {
		r.out.Problems = append(r.out.Problems, name+" waits, and there is no pull request of belay's that could keep it: dispatch it again, or let a schedule look for new versions")
	}
	return err
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
		r.scan(ctx)
	}
	for _, id := range r.found {
		err := r.rec.Dispatch(ctx, id)
		var unplanned *planner.Unplanned
		switch {
		case errors.As(err, &unplanned): // what could be planned is carried on
			r.out.Problems = append(r.out.Problems, err.Error()+": dispatch it again, or let a schedule look for new versions")
		case err != nil:
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

// scan looks for new versions. Registries that do not answer hold up nothing
// else: it takes half of the time that is left.
func (r *Run) scan(ctx context.Context) {
	half, cancel := context.WithTimeout(ctx, r.end().Sub(r.opts.Now())/2)
	defer cancel()
	err := r.rec.ScanNow(half, r.opts.Event.Repository)
	switch {
	case err == nil:
	case half.Err() != nil && ctx.Err() == nil:
		r.out.Warnings = append(r.out.Warnings, "registries took half of the run's time without an answer from all of them: the log names them; what was found counts")
	default:
		r.out.Problems = append(r.out.Problems, "looking for new versions: "+err.Error())
	}
}

// collect says how everything stands.
func (r *Run) collect(ctx context.Context) error {
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
		out := Upgrade{Service: u.Service, From: u.From, To: u.To, State: u.State, Waits: reconcile.Waits(u), Pull: u.Pull, Undo: u.Undo, Opened: u.Pull != 0 && !u.Started.Before(r.begun)}
		if u.Pull != 0 {
			out.URL = repo.PullURL(u.Pull)
		}
		r.out.Upgrades = append(r.out.Upgrades, out)
	}
	return nil
}
