package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

type reconcileArgs struct {
	Upgrade string    `json:"upgrade" river:"unique"`
	Failed  int       `json:"failed,omitempty"` // times in a row
	Not     time.Time `json:"not_before,omitzero"`
}

func (reconcileArgs) Kind() string { return "reconcile" }

// InsertOpts makes the job the only one of its upgrade.
func (reconcileArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished}}
}

func (a reconcileArgs) again(failed int, not time.Time) river.JobArgs {
	a.Failed, a.Not = failed, not
	return a
}

// held reports whether a job is not to be brought forward: somebody has said
// until when it is of no use, such as GitHub when it limits requests.
func held(job *rivertype.JobRow) bool {
	var args struct {
		Not time.Time `json:"not_before"`
	}
	return json.Unmarshal(job.EncodedArgs, &args) == nil && time.Now().Before(args.Not)
}

type reconciler struct {
	river.WorkerDefaults[reconcileArgs]
	e *Engine
}

// NextRetry says when River repeats a look of which it does not know how it ended.
func (w *reconciler) NextRetry(job *river.Job[reconcileArgs]) time.Time {
	return time.Now().Add(w.e.opts.Backoff(job.Attempt))
}

// Work looks at an upgrade, and sees to it that it is looked at again when it is due.
func (w *reconciler) Work(ctx context.Context, job *river.Job[reconcileArgs]) error {
	id := job.Args.Upgrade
	var wake time.Time
	return w.e.alone(ctx, id, func() (err error) {
		wake, err = w.e.opts.Reconcile(ctx, id)
		return err
	}, func(asked int64, err error) error {
		return follow(ctx, w.e, job, outcome{id: id, failed: job.Args.Failed, err: err, wake: wake, asked: asked})
	})
}

// alone does something for a key while nobody else does, and then follows it up
// with what had been asked when it began. Who finds it taken comes again later.
func (e *Engine) alone(ctx context.Context, key string, do func() error, then func(asked int64, err error) error) error {
	release, err := e.take(ctx, key)
	if err != nil {
		return err
	}
	if release == nil {
		return river.JobSnooze(e.hold / 10)
	}
	asked, err := e.opts.Store.Asked(ctx, key)
	if err == nil {
		err = guard(do)
	}
	release() // before the job that follows is there to be fetched
	return then(asked, err)
}

// take reserves an upgrade for a look; release is nil while another look has
// it. That happens when a look hangs beyond its time-out, or a replica died.
func (e *Engine) take(ctx context.Context, id string) (release func(), err error) {
	e.mu.Lock()
	taken := e.busy[id]
	e.busy[id] = true
	e.mu.Unlock()
	if taken {
		return nil, nil
	}
	free := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.busy, id)
	}
	if !e.opts.Store.Shared() { // no other process
		return free, nil
	}
	claim := func() (bool, error) {
		return e.opts.Store.Claim(context.WithoutCancel(ctx), "look "+id, e.name, time.Now().Add(e.hold))
	}
	got, err := claim()
	if err != nil || !got {
		free()
		return nil, err
	}
	// The claim lasts as long as the look, however long that is, but not much
	// longer than this process.
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(e.hold / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if _, err := claim(); err != nil {
					e.opts.Log.Warn("the claim of an upgrade was not renewed", "upgrade", id, "why", err)
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		if err := e.opts.Store.Release(context.WithoutCancel(ctx), "look "+id, e.name); err != nil {
			e.opts.Log.Warn("the claim of an upgrade was not given back", "upgrade", id, "why", err)
		}
		free()
	}, nil
}
