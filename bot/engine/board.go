package engine

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

type boardArgs struct {
	Repository string    `json:"repository" river:"unique"`
	Failed     int       `json:"failed,omitempty"` // times in a row
	Not        time.Time `json:"not_before,omitzero"`
}

func (boardArgs) Kind() string { return "board" }

// InsertOpts makes the job the only one of its repository.
func (boardArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: boardQueue, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished}}
}

func (a boardArgs) again(failed int, not time.Time) river.JobArgs {
	a.Failed, a.Not = failed, not
	return a
}

// boardKey names a repository's dashboard where upgrades go by their id.
func boardKey(repository string) string { return "board " + repository }

// Board has a repository's dashboard issue brought up to date: soon, so that
// what happens in a burst is one edit, or now, when somebody waits for it.
func (e *Engine) Board(ctx context.Context, repository string, now bool) error {
	if e.opts.Board == nil {
		return nil
	}
	return e.opts.Store.Transact(ctx, func(tx *sql.Tx) error {
		if err := e.opts.Store.AskTx(ctx, tx, boardKey(repository)); err != nil {
			return err
		}
		opts := &river.InsertOpts{}
		if !now {
			opts.ScheduledAt = time.Now().Add(e.opts.BoardEvery)
		}
		got, err := e.client.InsertTx(ctx, tx, boardArgs{Repository: repository}, opts)
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		if !now {
			return e.hasten(ctx, tx, got, opts)
		}
		return e.forward(ctx, tx, got)
	})
}

type boarder struct {
	river.WorkerDefaults[boardArgs]
	e *Engine
}

// NextRetry says when River repeats an edit of which it does not know how it ended.
func (w *boarder) NextRetry(job *river.Job[boardArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work brings a dashboard up to date. What is asked meanwhile has it done once
// more, not sooner than BoardEvery after this.
func (w *boarder) Work(ctx context.Context, job *river.Job[boardArgs]) error {
	e, repository := w.e, job.Args.Repository
	if e.opts.Board == nil {
		return nil
	}
	key := boardKey(repository)
	return e.alone(ctx, key, func() error { return e.opts.Board(ctx, repository) }, func(asked int64, err error) error {
		return follow(ctx, e, job, outcome{id: key, failed: job.Args.Failed, err: err, asked: asked})
	})
}
