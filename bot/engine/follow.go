package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
)

// ErrRetry is an error that says when it is worth trying again. Nothing brings
// that forward.
type ErrRetry interface {
	error
	RetryAt() time.Time
}

// task are the arguments of a job that belay itself repeats.
type task interface {
	river.JobArgs
	again(failed int, not time.Time) river.JobArgs
}

// outcome is how a job ended.
type outcome struct {
	id     string
	failed int // times in a row before
	err    error
	wake   time.Time // when to look again; zero: when somebody asks
	asked  int64     // how often somebody had asked when the look began
}

// pause is how long a job that failed n times waits: from a second to ten
// minutes, with jitter so that many do not come back at once.
func pause(n int) time.Duration {
	d := time.Second << min(max(n-1, 0), 10)
	d = min(d, 10*time.Minute)
	return d/2 + rand.N(d/2+1)
}

// loud is after how many failures in a row a person should know: some minutes of trying.
const loud = 8

// guard turns a panic into an error: one upgrade's bad luck is not the others'.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// soon is how far ahead River's scheduler looks: what is due earlier is put
// among what may be fetched at once, else it would be late by as much.
const soon = 5 * time.Second

// follow ends a job and makes the one that follows it, together: there is never
// none, and never two.
func follow[A task](ctx context.Context, e *Engine, job *river.Job[A], o outcome) error {
	stopped := errors.Is(ctx.Err(), context.Canceled) // told to end, not timed out
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := e.opts.Store.Transact(ctx, func(tx *sql.Tx) error {
		again := false // somebody has asked meanwhile
		if job.Kind == (reconcileArgs{}).Kind() || job.Kind == (boardArgs{}).Kind() {
			now, err := e.opts.Store.AskedTx(ctx, tx, o.id)
			if err != nil {
				return err
			}
			again = now != o.asked
		}
		if err := complete(ctx, e, tx, job); err != nil {
			return err
		}
		next, opts := e.next(job.Args, o, again, stopped)
		if next == nil {
			return nil
		}
		got, err := e.client.InsertTx(ctx, tx, next, opts)
		if err != nil {
			return err
		}
		return e.hasten(ctx, tx, got, opts)
	})
	if errors.Is(err, rivertype.ErrNotFound) { // it hung so long that it was taken for dead
		return nil
	}
	return err
}

// hasten puts a job that is due soon among what may be fetched at once.
func (e *Engine) hasten(ctx context.Context, tx *sql.Tx, got *rivertype.JobInsertResult, opts *river.InsertOpts) error {
	if got.UniqueSkippedAsDuplicate || got.Job.State != rivertype.JobStateScheduled || time.Until(opts.ScheduledAt) >= soon {
		return nil
	}
	// The id is River's own number.
	_, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE river_job SET state = 'available' WHERE id = %d", got.Job.ID))
	return err
}

// next is the job that follows one, nil for none.
func (e *Engine) next(args task, o outcome, again, stopped bool) (river.JobArgs, *river.InsertOpts) {
	var retry ErrRetry
	switch {
	case o.err == nil && again && args.Kind() == (boardArgs{}).Kind():
		return args.again(0, time.Time{}), &river.InsertOpts{ScheduledAt: time.Now().Add(e.opts.BoardEvery)}
	case o.err == nil && again:
		return args.again(0, time.Time{}), &river.InsertOpts{}
	case o.err == nil && o.wake.IsZero():
		return nil, nil
	case o.err == nil:
		return args.again(0, time.Time{}), &river.InsertOpts{ScheduledAt: o.wake}
	case errors.As(o.err, &retry):
		e.opts.Log.Info("waits", "job", args.Kind(), "id", o.id, "until", retry.RetryAt(), "why", o.err)
		return args.again(o.failed, retry.RetryAt()), &river.InsertOpts{ScheduledAt: retry.RetryAt()}
	case stopped:
		return args.again(o.failed, time.Time{}), &river.InsertOpts{}
	}
	n := o.failed + 1
	level := slog.LevelWarn
	if n >= loud {
		level = slog.LevelError
	}
	e.opts.Log.Log(context.Background(), level, "tried again later", "job", args.Kind(), "id", o.id, "attempt", n, "why", o.err)
	opts := &river.InsertOpts{Queue: againQueue, ScheduledAt: time.Now().Add(e.opts.Backoff(n))}
	switch args.Kind() { // these stay by themselves
	case (notifyArgs{}).Kind():
		opts.Queue = tellQueue
	case (boardArgs{}).Kind():
		opts.Queue = boardQueue
	}
	return args.again(n, time.Time{}), opts
}

func complete[A task](ctx context.Context, e *Engine, tx *sql.Tx, job *river.Job[A]) error {
	var err error
	if !e.opts.Store.Shared() {
		_, err = river.JobCompleteTx[*riversqlite.Driver](ctx, tx, job)
	} else {
		_, err = river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, job)
	}
	return err
}
