// Package engine runs the work: reconciles of upgrades, plans of dispatches,
// messages to people, and what is done from time to time. The queue is River's,
// in the same database as the state, so that a dispatch and its job are stored
// together or not at all.
//
// An upgrade has one job at most: it waits for its moment, or is worked on. A
// wake makes the job, or brings it forward, or, while somebody looks, has it
// followed by another look. So a burst of webhooks costs one look, and timers
// need no cancelling. Each look says when the next one is due.
//
// What fails moves to a queue of its own and comes back later and later:
// however long it hangs, it takes no worker from what is well.
package engine

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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
	Store      *store.Store
	Workers    int           // looks at once, and as many for what failed before; 0: 4
	Poll       time.Duration // how often the queue is looked at; 0: 100 ms
	Timeout    time.Duration // of one look or plan; 0: 5 minutes, enough for a first clone of a large repository
	Log        *slog.Logger
	Backoff    func(failed int) time.Duration // how long a job waits that failed so often, from 1; nil: half a second to ten minutes
	Reconcile  func(ctx context.Context, upgrade string) (wake time.Time, err error)
	Dispatch   func(ctx context.Context, id string) error
	Notify     func(ctx context.Context, upgrade string) error    // nil: nobody is told
	Board      func(ctx context.Context, repository string) error // brings a dashboard issue up to date; nil: there are none
	BoardEvery time.Duration                                      // how far apart the edits of one dashboard are at least; 0: 30 s
	Periodic   []Periodic
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
	name   string        // of this process among the replicas
	hold   time.Duration // how long a replica that died keeps an upgrade to itself

	end func() // of what Start began beside the queue; nil before it

	mu   sync.Mutex
	busy map[string]bool // upgrades that are looked at
}

// The queues, each with its own workers.
const (
	planQueue  = "plan"  // dispatches
	againQueue = "again" // what failed before
	tellQueue  = "tell"  // messages to people
	boardQueue = "board" // dashboard issues
)

// attempts is how often River itself tries a job: for practical purposes always.
const attempts = 10_000

// unfinished are the states of a job that is still to be done, or being done.
var unfinished = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}

// New prepares the queue's tables and takes over the jobs that a killed process
// was at. Start runs it.
func New(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Workers == 0 {
		opts.Workers = 4
	}
	if opts.Poll == 0 {
		opts.Poll = 100 * time.Millisecond
	}
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.BoardEvery == 0 {
		opts.BoardEvery = 30 * time.Second
	}
	if opts.Backoff == nil {
		opts.Backoff = pause
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	e := &Engine{opts: opts, name: rand.Text(), hold: min(lease, 2*opts.Timeout), busy: map[string]bool{}}
	var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(opts.Store.DB())
	if opts.Store.Shared() {
		driver = riverdatabasesql.New(opts.Store.DB())
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet(opts.Log)})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if err := e.migrate(ctx, migrator); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if !opts.Store.Shared() {
		// SQLite has one process: what is running was running when it was killed,
		// and whoever leads is dead.
		for _, statement := range []string{"UPDATE river_job SET state = 'available' WHERE state = 'running'", "DELETE FROM river_leader"} {
			if _, err := opts.Store.DB().ExecContext(ctx, statement); err != nil {
				return nil, fmt.Errorf("queue: %w", err)
			}
		}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &reconciler{e: e})
	river.AddWorker(workers, &dispatcher{e: e})
	river.AddWorker(workers, &notifier{e: e})
	river.AddWorker(workers, &repeater{e: e})
	river.AddWorker(workers, &boarder{e: e})
	var periodic []*river.PeriodicJob
	for _, p := range opts.Periodic {
		periodic = append(periodic, river.NewPeriodicJob(river.PeriodicInterval(p.Every), func() (river.JobArgs, *river.InsertOpts) {
			return periodicArgs{Name: p.Name}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished}}
		}, &river.PeriodicJobOpts{ID: p.Name, RunOnStart: true}))
	}
	e.client, err = river.NewClient(driver, &river.Config{
		ID: e.name, Logger: quiet(opts.Log), Workers: workers, PeriodicJobs: periodic,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: opts.Workers}, againQueue: {MaxWorkers: opts.Workers},
			planQueue: {MaxWorkers: max(1, opts.Workers/2)}, tellQueue: {MaxWorkers: 2}, boardQueue: {MaxWorkers: 2}},
		FetchCooldown:     min(opts.Poll, 20*time.Millisecond),
		FetchPollInterval: opts.Poll, PollOnly: true, JobTimeout: opts.Timeout, RescueStuckJobsAfter: opts.Timeout + min(time.Minute, opts.Timeout),
		MaxAttempts: attempts, CompletedJobRetentionPeriod: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return e, nil
}

// migrate makes the queue's tables, one replica at a time.
func (e *Engine) migrate(ctx context.Context, m *rivermigrate.Migrator[*sql.Tx]) error {
	up := func(*sql.Tx) error {
		_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	}
	if !e.opts.Store.Shared() {
		return up(nil)
	}
	return e.opts.Store.Alone(ctx, up)
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
	e.end = func() {}
	if e.opts.Store.Shared() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.alive(ctx)
		}()
		e.end = func() {
			cancel()
			<-done
		}
	}
	return nil
}

// stopping is how long what was told to end may take to do so.
const stopping = 5 * time.Second

// Stop takes up no more work and waits for what is under way, until ctx ends.
// What is not ready by then is told to end; it is taken up at the next start.
func (e *Engine) Stop(ctx context.Context) error {
	if e.end != nil {
		defer e.end() // the last word: what was not ready in time is somebody else's
	}
	err := e.client.Stop(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
	defer cancel()
	return e.client.StopAndCancel(ctx)
}

// Wake has an upgrade looked at again now. When it has returned, the look is
// sure to come, whatever dies.
func (e *Engine) Wake(ctx context.Context, upgrade string) error {
	return e.opts.Store.Transact(ctx, func(tx *sql.Tx) error { return e.WakeTx(ctx, tx, upgrade) })
}

// WakeTx has an upgrade looked at again, if the transaction is committed.
func (e *Engine) WakeTx(ctx context.Context, tx *sql.Tx, upgrade string) error {
	// Counted first: that waits for a look that is just being ended.
	if err := e.opts.Store.AskTx(ctx, tx, upgrade); err != nil {
		return err
	}
	got, err := e.client.InsertTx(ctx, tx, reconcileArgs{Upgrade: upgrade}, nil)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return e.forward(ctx, tx, got)
}

// forward has a job done now that was there already, unless it is being done or
// is not to be brought forward.
func (e *Engine) forward(ctx context.Context, tx *sql.Tx, got *rivertype.JobInsertResult) error {
	if !got.UniqueSkippedAsDuplicate || got.Job.State == rivertype.JobStateRunning || held(got.Job) {
		return nil
	}
	if _, err := e.client.JobRetryTx(ctx, tx, got.Job.ID); err != nil && !errors.Is(err, rivertype.ErrNotFound) {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// DispatchTx has a dispatch planned, if the transaction is committed.
func (e *Engine) DispatchTx(ctx context.Context, tx *sql.Tx, id string) error {
	if _, err := e.client.InsertTx(ctx, tx, dispatchArgs{Dispatch: id}, nil); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Notify has people told what happened to an upgrade. It never holds up anything.
func (e *Engine) Notify(ctx context.Context, upgrade string) error {
	if e.opts.Notify == nil {
		return nil
	}
	if _, err := e.client.Insert(ctx, notifyArgs{Upgrade: upgrade}, nil); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}
