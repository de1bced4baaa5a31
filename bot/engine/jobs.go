package engine

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

type dispatchArgs struct {
	Dispatch string `json:"dispatch"`
	Failed   int    `json:"failed,omitempty"` // times in a row
}

func (dispatchArgs) Kind() string { return "dispatch" }

// InsertOpts keeps a burst of dispatches from the workers of upgrades.
func (dispatchArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: planQueue} }

func (a dispatchArgs) again(failed int, _ time.Time) river.JobArgs {
	a.Failed = failed
	return a
}

type dispatcher struct {
	river.WorkerDefaults[dispatchArgs]
	e *Engine
}

// NextRetry says when River repeats a plan of which it does not know how it ended.
func (w *dispatcher) NextRetry(job *river.Job[dispatchArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work plans a dispatch.
func (w *dispatcher) Work(ctx context.Context, job *river.Job[dispatchArgs]) error {
	id := job.Args.Dispatch
	err := guard(func() error { return w.e.opts.Dispatch(ctx, id) })
	return follow(ctx, w.e, job, outcome{id: id, failed: job.Args.Failed, err: err})
}

type notifyArgs struct {
	Upgrade string `json:"upgrade"`
	Failed  int    `json:"failed,omitempty"` // times in a row
}

func (notifyArgs) Kind() string { return "notify" }

// InsertOpts keeps messages from everybody else's workers.
func (notifyArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: tellQueue} }

func (a notifyArgs) again(failed int, _ time.Time) river.JobArgs {
	a.Failed = failed
	return a
}

type notifier struct {
	river.WorkerDefaults[notifyArgs]
	e *Engine
}

// NextRetry says when River repeats a message of which it does not know how it ended.
func (w *notifier) NextRetry(job *river.Job[notifyArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Timeout is shorter than a look's: a message is one request.
func (*notifier) Timeout(*river.Job[notifyArgs]) time.Duration { return time.Minute }

// Work tells people.
func (w *notifier) Work(ctx context.Context, job *river.Job[notifyArgs]) error {
	if w.e.opts.Notify == nil {
		return nil
	}
	id := job.Args.Upgrade
	err := guard(func() error { return w.e.opts.Notify(ctx, id) })
	return follow(ctx, w.e, job, outcome{id: id, failed: job.Args.Failed, err: err})
}

type periodicArgs struct {
	Name string `json:"name"`
}

func (periodicArgs) Kind() string { return "periodic" }

type repeater struct {
	river.WorkerDefaults[periodicArgs]
	e *Engine
}

// Work does what is done from time to time. What fails is done the next time.
func (w *repeater) Work(ctx context.Context, job *river.Job[periodicArgs]) error {
	for _, p := range w.e.opts.Periodic {
		if p.Name != job.Args.Name {
			continue
		}
		if err := guard(func() error { return p.Run(ctx) }); err != nil {
			w.e.opts.Log.Warn("not done this time", "job", p.Name, "why", err)
		}
	}
	return nil
}
