// Package reconcile is the one place where all effects meet. For an upgrade it
// looks at everything that concerns it, asks rules/lifecycle what to do, does
// that one thing, records it, and looks again until there is nothing to do but wait.
//
// Nothing that matters is kept in memory: a killed process, a lost webhook and a
// new version of belay are the same case, namely to look again. So every effect
// finds what an earlier life may have made before it makes it. See DESIGN, idea 2.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// ConfigPath is where the configuration stands on the default branch.
const ConfigPath = ".github/belay.yml"

// Backups saves data before a merge and puts it back with a revert. Without
// it, a service whose backup is configured is never merged: the backup counts as
// failed. *cluster.Cluster is one.
type Backups interface {
	Backup(ctx context.Context, r cluster.BackupRequest) (cluster.BackupResult, error)
	Restore(ctx context.Context, r cluster.RestoreRequest) (cluster.BackupResult, error)
	CheckRestore(ctx context.Context, r cluster.RestoreRequest) (refused string, err error)
	Scale(ctx context.Context, key string, w watch.Workload, down bool) (done bool, err error)
}

// Options are what a Reconciler works with.
type Options struct {
	Store     *store.Store
	GitHub    *github.App
	Upstream  func(policy.Policy) (planner.Upstream, error) // a client for a repository's configuration; made once per revision
	Adviser   planner.Adviser                               // nil: nobody is asked
	Mirrors   string                                        // directory of the bare mirrors
	Backups   Backups                                       // nil: none can be taken
	Observers []Observer                                    // of what was applied; none: nothing is seen
	CI        CI                                            // for repositories with apply.woodpecker; nil: it cannot be asked
	Wake      func(ctx context.Context, upgrade string) error
	WakeTx    Enqueue                                                      // Wake within a transaction, if that is committed; nil: what does not outlive the process is woken after it
	Notify    func(ctx context.Context, upgrade string) error              // an event was recorded, or it waits for something else; nil: nobody is told
	Board     func(ctx context.Context, repository string, now bool) error // the repository's dashboard shows something else; nil: there is none
	Enqueue   Enqueue                                                      // has a dispatch planned; nil: nothing is scanned, and no bulk run taken
	Meter     Meter                                                        // nil: nothing is counted
	Now       func() time.Time
	Log       *slog.Logger

	// Of the Action, which has no state that lasts: see carry.go.
	Owner    string // who acts, as markers say it: "" for the App, ActionOwner
	TakeOver bool   // take up pull requests of another owner, too, where GitHub says that the same identity opened them
	Carry    string // names this run; the record is kept in the pull request's comment. "": the Store lasts
	Shallow  bool   // mirrors do not outlive the process
}

// ActionOwner is the owner in the markers of the Action.
const ActionOwner = "action"

// Reconciler carries out what the lifecycle decides. Use New to make one.
type Reconciler struct {
	opts Options

	mu    sync.Mutex
	homes map[string]*home
	write map[string]permission // by repository and login
	scans ScanCounts

	carried carried
}

// home is what is kept of a repository between two looks: nothing that could
// not be read anew.
type home struct {
	starting sync.Mutex // one at a time asks for room under the rate limit

	mu       sync.Mutex
	mirror   *git.Mirror
	view     *view
	noted    string // the configuration as noteConfig wrote it last
	required []string
	asked    time.Time // when required was read
	branch   string    // the default branch
	named    time.Time // when branch was read
	scanRead time.Time // when view was read in order to know whether to scan
}

// view is the default branch at one commit.
type view struct {
	sha       string
	policy    policy.Policy
	inventory *terraform.Inventory
	planner   *planner.Planner
	strays    []string // names in the configuration that nothing in the inventory answers to
}

type permission struct {
	may bool
	at  time.Time
}

// New makes a Reconciler.
func New(opts Options) *Reconciler {
	if opts.Meter == nil {
		opts.Meter = unmetered{}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Reconciler{opts: opts, homes: map[string]*home{}, write: map[string]permission{}, carried: carried{at: map[string]carry{}}}
}

// maxSteps bounds the actions of one run. A life has fewer; more of them mean
// that two rules undo each other.
const maxSteps = 40

// Reconcile brings one upgrade as far as it can go now, and returns when to
// look again at the latest; zero when it is over. Errors that will pass carry
// RetryAt where it is known.
func (r *Reconciler) Reconcile(ctx context.Context, id string) (time.Time, error) {
	var seen, undo *github.Pull
	for range maxSteps {
		j, err := r.load(ctx, id)
		if err != nil {
			return time.Time{}, err
		}
		j.pull, j.undo = seen, undo
		until, again, touched, err := r.step(ctx, j)
		if seen, undo = j.pull, j.undo; touched {
			seen, undo = nil, nil // what was seen no longer holds
		}
		var conflict *store.ConflictError
		switch {
		case errors.As(err, &conflict): // somebody else wrote the record meanwhile
			continue
		case err != nil:
			return time.Time{}, fmt.Errorf("%s %s: %w", j.u.Repository, j.u.Service, err)
		case !again:
			return until, nil
		}
	}
	return time.Time{}, fmt.Errorf("upgrade %s: no rest after %d actions: two rules undo each other", id, maxSteps)
}

// backupPoll is how often a backup that runs outside its turn is looked at.
const backupPoll = 10 * time.Second

// job is one look at one upgrade.
type job struct {
	u      store.Upgrade
	rec    record
	repo   *github.Repository
	home   *home
	pull   *github.Pull // nil: none was read
	undo   *github.Pull // the revert's; nil: none was read
	events []store.Event
	policy policy.Policy
	view   *view          // the default branch as it was observed
	waited string         // rec.Waits as it was read
	asked  *answer        // rec.LastAsked as it was read
	next   *store.Upgrade // the step that follows: it is made when the record is written
}

func (r *Reconciler) load(ctx context.Context, id string) (*job, error) {
	u, err := r.opts.Store.Upgrade(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("upgrade %s: %w", id, err)
	}
	j := &job{u: u, home: r.home(u.Repository)}
	if err := json.Unmarshal(u.Data, &j.rec); err != nil {
		return nil, fmt.Errorf("upgrade %s: its record cannot be read: %w", id, err)
	}
	j.waited, j.asked = j.rec.Waits, j.rec.LastAsked
	return j, nil
}

func (r *Reconciler) home(repository string) *home {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.homes[repository]
	if h == nil {
		h = &home{}
		r.homes[repository] = h
	}
	return h
}

// step looks once and does one thing. again says that there is more to do now,
// touched that the pull request was changed.
func (r *Reconciler) step(ctx context.Context, j *job) (until time.Time, again, touched bool, err error) {
	o, err := r.observe(ctx, j)
	if errors.Is(err, github.ErrNoAccess) {
		r.opts.Log.Warn("no access", "repo", j.u.Repository, "upgrade", j.u.ID, "why", err)
		o.NoAccess = true
	} else if err != nil {
		return time.Time{}, false, true, err
	}
	a, was := lifecycle.Next(o), j.before()
	from := lifecycle.State(j.u.State)
	j.rec.Gates = lifecycle.Shut(o)
	r.opts.Log.Debug("decided", "upgrade", j.u.ID, "repo", j.u.Repository, "service", j.u.Service, "state", j.u.State, "do", a.Do, "to", a.To, "why", a.Why)
	if err := r.act(ctx, j, a); err != nil {
		return time.Time{}, false, true, err
	}
	if a.Do != lifecycle.Wait || a.To != lifecycle.State(j.u.State) {
		j.enter(a, r.opts.Now())
		if a.To.Final() {
			if err := r.followUp(j, false); err != nil {
				return time.Time{}, false, true, err
			}
		}
	}
	j.rec.Waits = ""
	if a.Do == lifecycle.Wait && !a.To.Final() { // what is over waits for nothing
		j.rec.Waits = a.Why
	}
	rest := a.Do == lifecycle.Wait || a.To.Final()
	if rest && !o.NoAccess {
		if err := r.tell(ctx, j); err != nil {
			return time.Time{}, false, true, err
		}
	}
	if again := r.opts.Now().Add(backupPoll); a.Do == lifecycle.Wait && j.rec.Backup.State == string(lifecycle.Running) && !a.To.Merged() && a.Until.After(again) {
		a.Until = again // one that somebody asked for
	}
	j.u.Wake = a.Until
	if err := r.save(ctx, j); err != nil {
		return time.Time{}, false, true, err
	}
	r.measure(j, was)
	if j.rec.Newer != nil && (a.To.Merged() || a.To.Final()) {
		var conflict *store.ConflictError
		err := r.passOn(ctx, j)
		if err != nil && (a.To.Final() || errors.As(err, &conflict)) {
			return time.Time{}, false, true, err
		}
		if err != nil { // what is merged is watched, whatever becomes of the next one
			r.opts.Log.Warn("the newer version is not begun yet", "upgrade", j.u.ID, "repo", j.u.Repository, "why", err)
		}
	}
	if from.Merged() && a.To.Final() {
		// Not before it is written: who waits for the end would not see it.
		if err := r.wakeOthers(ctx, j); err != nil {
			return time.Time{}, false, true, err
		}
	}
	return a.Until, !rest, a.Do != lifecycle.Enter, nil
}

// enter records what was done and the state that follows.
func (j *job) enter(a lifecycle.Action, now time.Time) {
	if lifecycle.State(j.u.State) != a.To {
		j.u.State, j.u.Final = string(a.To), a.To.Final()
		j.rec.Entered = now
		j.rec.Watched, j.rec.Parts = watch.Summary{}, nil
		j.rec.Retry = false
		j.rec.LastAsked = nil // the new state says more than the answer
	}
	what := string(a.Do)
	if a.Do == lifecycle.Enter || a.Do == lifecycle.Wait {
		what = string(a.To)
	}
	j.event("belay", what, a.Why, nil)
}

func (j *job) event(who, what, why string, data map[string]string) {
	j.events = append(j.events, store.Event{Upgrade: j.u.ID, Who: who, What: what, Why: why, Data: data})
}

// save writes the record and what happened, in one transaction, when anything changed.
func (r *Reconciler) save(ctx context.Context, j *job) error {
	var err error
	if j.u.Data, err = j.encode(); err != nil {
		return err
	}
	now := r.opts.Now()
	for i := range j.events {
		if j.events[i].At.IsZero() {
			j.events[i].At = now
		}
		e := j.events[i]
		r.opts.Log.Info(e.What, "upgrade", j.u.ID, "repo", j.u.Repository, "service", j.u.Service, "to", j.u.To, "who", e.Who, "why", e.Why)
	}
	u, err := r.put(ctx, j)
	if err != nil {
		return err
	}
	// What it waits for is no event, but the message about it shows it.
	told := len(j.events) > 0 || j.rec.Waits != j.waited
	answered := j.rec.LastAsked != j.asked
	j.u, j.events, j.waited, j.asked = u, nil, j.rec.Waits, j.rec.LastAsked
	if told || answered {
		if err := r.showBoard(ctx, j.u.Repository, answered); err != nil {
			return err
		}
	}
	if told && r.opts.Notify != nil {
		return r.opts.Notify(ctx, j.u.ID)
	}
	return nil
}

// encode is the record as it is stored, with what this version does not know of it.
func (j *job) encode() ([]byte, error) {
	data, err := json.Marshal(j.rec)
	if err != nil {
		return nil, err
	}
	if data, err = withUnknown(data, j.u.Data); err != nil {
		return nil, fmt.Errorf("upgrade %s: %w", j.u.ID, err)
	}
	return data, nil
}

// mirrorOf opens the repository's bare mirror.
func (r *Reconciler) mirrorOf(j *job) (*git.Mirror, error) {
	j.home.mu.Lock()
	defer j.home.mu.Unlock()
	if j.home.mirror != nil {
		return j.home.mirror, nil
	}
	dir := filepath.Join(r.opts.Mirrors, mirrorName(j.u.Repository))
	repository := j.u.Repository
	open := git.OpenMirror
	if r.opts.Shallow {
		open = git.OpenShallow
	}
	m, err := open(dir, git.Remote{URL: j.repo.URL(), Token: func(ctx context.Context) (string, error) {
		repo, err := r.opts.GitHub.Repository(ctx, repository)
		if err != nil {
			return "", err
		}
		return repo.Token(ctx)
	}})
	if err != nil {
		return nil, err
	}
	j.home.mirror = m
	return m, nil
}
