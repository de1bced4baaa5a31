// Package engine runs the work: reconciles of upgrades, plans of dispatches,
// messages to people, and what is done from time to time. The queue is River's,
// in the same database as the state, so that a dispatch and its job are stored
// together or not at all.
//
// A wake is a job that says "look again". One upgrade is looked at by one
// worker at a time; a wake that arrives meanwhile leads to another look, and
// wakes that are older than the last look are dropped. So timers need no
// cancelling, and a burst of webhooks costs one look.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/belaybot/belay/bot/store"
)

// Options are what an Engine runs.
type Options struct {
	Store     *store.Store
	Workers   int           // at once; 0: 4
	Poll      time.Duration // how often the queue is looked at; 0: 100 ms
	Log       *slog.Logger
	Backoff   func(failed int) time.Duration // how long a job waits that failed so often, from 1; nil: half a second to ten minutes
	Reconcile func(ctx context.Context, upgrade string) (wake time.Time, err error)
	Dispatch  func(ctx context.Context, id string) error
	Notify    func(ctx context.Context, upgrade string) error // nil: nobody is told
	Periodic  []Periodic
}

// Periodic is something that is done from time to time, by one process.
type Periodic struct {
	Name  string
	Every time.Duration
	Run   func(ctx context.Context) error
}

// Engine is a running queue. Use New to make one.
type Engine struct {
	opts   Options
	client *river.Client[*sql.Tx]

	mu   sync.Mutex
	last map[string]time.Time // when the last look at an upgrade began
	busy map[string]bool
}

// ErrRetry is an error that says when it is worth trying again.
type ErrRetry interface {
	error
	RetryAt() time.Time
}

// attempts is how often a job is tried: for practical purposes always.
const attempts = 10_000

// jobTimeout bounds one look, a first clone of a large repository included.
const jobTimeout = 5 * time.Minute

type reconcileArgs struct {
	Upgrade string `json:"upgrade"`
}

func (reconcileArgs) Kind() string { return "reconcile" }

type dispatchArgs struct {
	Dispatch string `json:"dispatch" river:"unique"`
}

func (dispatchArgs) Kind() string { return "dispatch" }

type notifyArgs struct {
	Upgrade string `json:"upgrade"`
}

func (notifyArgs) Kind() string { return "notify" }

type periodicArgs struct {
	Name string `json:"name"`
}

func (periodicArgs) Kind() string { return "periodic" }

// New prepares the queue's tables and takes over the jobs that a killed process
// was at. Start runs it.
func New(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Workers == 0 {
		opts.Workers = 4
	}
	if opts.Poll == 0 {
		opts.Poll = 100 * time.Millisecond
	}
	if opts.Backoff == nil {
		opts.Backoff = pause
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	e := &Engine{opts: opts, last: map[string]time.Time{}, busy: map[string]bool{}}
	var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(opts.Store.DB())
	if opts.Store.Pool() != nil {
		driver = riverdatabasesql.New(opts.Store.DB())
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet(opts.Log)})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if opts.Store.Pool() == nil {
		// SQLite has one process: what is running was running when it was killed.
		if _, err := opts.Store.DB().ExecContext(ctx, "UPDATE river_job SET state = 'available' WHERE state = 'running'"); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &reconciler{e: e})
	river.AddWorker(workers, &dispatcher{e: e})
	river.AddWorker(workers, &notifier{e: e})
	river.AddWorker(workers, &repeater{e: e})
	var periodic []*river.PeriodicJob
	for _, p := range opts.Periodic {
		periodic = append(periodic, river.NewPeriodicJob(river.PeriodicInterval(p.Every), func() (river.JobArgs, *river.InsertOpts) {
			return periodicArgs{Name: p.Name}, &river.InsertOpts{MaxAttempts: 1}
		}, &river.PeriodicJobOpts{ID: p.Name, RunOnStart: true}))
	}
	e.client, err = river.NewClient(driver, &river.Config{
		Logger: quiet(opts.Log), Workers: workers, PeriodicJobs: periodic,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: opts.Workers}, "tell": {MaxWorkers: 1}},
		FetchCooldown:     min(opts.Poll, 20*time.Millisecond),
		FetchPollInterval: opts.Poll, PollOnly: true, JobTimeout: jobTimeout, RescueStuckJobsAfter: jobTimeout + time.Minute,
		MaxAttempts: attempts, CompletedJobRetentionPeriod: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return e, nil
}

// quiet keeps River's own talk to what a person should know.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(g string) slog.Handler { return warnings{w.Handler.WithGroup(g)} }

// Start takes up work. It returns at once.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.client.Start(ctx); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Stop takes up no more work and waits for what is under way, until ctx ends.
func (e *Engine) Stop(ctx context.Context) error { return e.client.Stop(ctx) }

// Wake has an upgrade looked at again now.
func (e *Engine) Wake(ctx context.Context, upgrade string) error {
	return e.insert(ctx, reconcileArgs{upgrade}, nil)
}

// WakeAt has an upgrade looked at again at a moment.
func (e *Engine) WakeAt(ctx context.Context, upgrade string, at time.Time) error {
	opts := &river.InsertOpts{ScheduledAt: at}
	if time.Until(at) > schedulerEvery {
		return e.insert(ctx, reconcileArgs{upgrade}, opts)
	}
	// River looks for jobs that have become due every few seconds, and only in
	// the process that leads. As with its own short snoozes, a job that is due
	// sooner is made available at once: its time is looked at there, too.
	tx, err := e.opts.Store.DB().BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	res, err := e.client.InsertTx(ctx, tx, reconcileArgs{upgrade}, opts)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE river_job SET state = 'available' WHERE id = %d", res.Job.ID)); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// schedulerEvery is how often River looks for jobs that have become due.
const schedulerEvery = 5 * time.Second

// DispatchTx has a dispatch planned, if the transaction is committed.
func (e *Engine) DispatchTx(ctx context.Context, tx *sql.Tx, id string) error {
	if _, err := e.client.InsertTx(ctx, tx, dispatchArgs{id}, nil); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Notify has people told what happened to an upgrade. It never holds up anything.
func (e *Engine) Notify(ctx context.Context, upgrade string) error {
	if e.opts.Notify == nil {
		return nil
	}
	return e.insert(ctx, notifyArgs{upgrade}, &river.InsertOpts{Queue: "tell"})
}

func (e *Engine) insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := e.client.Insert(ctx, args, opts); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// pause is how long a job that failed n times waits: from a second to ten
// minutes, with jitter so that many do not come back at once.
func pause(n int) time.Duration {
	d := time.Second << min(max(n-1, 0), 10)
	d = min(d, 10*time.Minute)
	return d/2 + rand.N(d/2+1)
}

// outcome turns an error into what River does about it.
func (e *Engine) outcome(what, id string, attempt int, err error) error {
	if err == nil {
		return nil
	}
	var retry ErrRetry
	if errors.As(err, &retry) {
		e.opts.Log.Info("waits", "job", what, "id", id, "until", retry.RetryAt(), "why", err)
		return river.JobSnooze(max(0, time.Until(retry.RetryAt())))
	}
	level := slog.LevelWarn
	if attempt >= 8 { // some minutes of trying: a person should know
		level = slog.LevelError
	}
	e.opts.Log.Log(context.Background(), level, "tried again later", "job", what, "id", id, "attempt", attempt, "why", err)
	return err
}

type reconciler struct {
	river.WorkerDefaults[reconcileArgs]
	e *Engine
}

// NextRetry says when a failed look is repeated.
func (w *reconciler) NextRetry(job *river.Job[reconcileArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work looks at an upgrade, unless somebody has looked since the job was made.
func (w *reconciler) Work(ctx context.Context, job *river.Job[reconcileArgs]) error {
	id := job.Args.Upgrade
	switch w.e.begin(id, job.JobRow) {
	case begun:
	case redundant:
		return nil
	case taken:
		return river.JobSnooze(50 * time.Millisecond)
	}
	defer w.e.end(id)
	if w.e.opts.Store.Pool() != nil { // other processes may be at it
		owner := fmt.Sprint("job ", job.ID)
		got, err := w.e.opts.Store.Claim(ctx, "look "+id, owner, time.Now().Add(jobTimeout+time.Minute))
		if err != nil {
			return w.e.outcome("reconcile", id, job.Attempt, err)
		}
		if !got {
			return river.JobSnooze(200 * time.Millisecond)
		}
		defer func() { _ = w.e.opts.Store.Release(context.WithoutCancel(ctx), "look "+id, owner) }()
	}
	wake, err := w.e.opts.Reconcile(ctx, id)
	var retry ErrRetry
	if errors.As(err, &retry) {
		// A job of its own rather than a snooze: this one is older than the look
		// that failed, and would count as answered by it.
		w.e.opts.Log.Info("waits", "job", "reconcile", "id", id, "until", retry.RetryAt(), "why", err)
		wake, err = retry.RetryAt(), nil
	}
	if err == nil && !wake.IsZero() {
		err = w.e.WakeAt(ctx, id, wake)
	}
	return w.e.outcome("reconcile", id, job.Attempt, err)
}

type standing int

const (
	begun standing = iota
	redundant
	taken
)

// begin says whether a job is to look. Times are compared as this process sees
// them: a look that began after the job was made has seen what the job is about.
func (e *Engine) begin(id string, job *rivertype.JobRow) standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[id] {
		return taken
	}
	asked := job.CreatedAt
	if n := len(job.Errors); n > 0 {
		asked = job.Errors[n-1].At
	}
	if last, ok := e.last[id]; ok && last.After(asked.Add(time.Millisecond)) {
		return redundant
	}
	e.busy[id] = true
	e.last[id] = time.Now()
	return begun
}

func (e *Engine) end(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.busy, id)
}

type dispatcher struct {
	river.WorkerDefaults[dispatchArgs]
	e *Engine
}

// NextRetry says when a failed plan is repeated.
func (w *dispatcher) NextRetry(job *river.Job[dispatchArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work plans a dispatch.
func (w *dispatcher) Work(ctx context.Context, job *river.Job[dispatchArgs]) error {
	return w.e.outcome("dispatch", job.Args.Dispatch, job.Attempt, w.e.opts.Dispatch(ctx, job.Args.Dispatch))
}

type notifier struct {
	river.WorkerDefaults[notifyArgs]
	e *Engine
}

// NextRetry says when a message that could not be sent is sent again.
func (w *notifier) NextRetry(job *river.Job[notifyArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work tells people.
func (w *notifier) Work(ctx context.Context, job *river.Job[notifyArgs]) error {
	if w.e.opts.Notify == nil {
		return nil
	}
	return w.e.outcome("notify", job.Args.Upgrade, job.Attempt, w.e.opts.Notify(ctx, job.Args.Upgrade))
}

type repeater struct {
	river.WorkerDefaults[periodicArgs]
	e *Engine
}

// Work does what is done from time to time.
func (w *repeater) Work(ctx context.Context, job *river.Job[periodicArgs]) error {
	for _, p := range w.e.opts.Periodic {
		if p.Name != job.Args.Name {
			continue
		}
		if err := p.Run(ctx); err != nil {
			w.e.opts.Log.Warn("not done this time", "job", p.Name, "why", err)
		}
	}
	return nil
}
