package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// restores reports whether the configuration has the data put back with the
// revert, without asking.
func (j *job) restores() bool {
	b, _, ok := j.backup()
	return ok && b.Restore != nil && j.rec.Migration && j.policy.Revert.OnMigration == "restore" && j.rec.Backup.State == string(lifecycle.Good) && j.rec.Undo.Refused == ""
}

// observeRestore says whether the data is to be put back, and carries that on
// where it is under way: the workload is stopped first.
func (r *Reconciler) observeRestore(ctx context.Context, j *job, v *view, o *lifecycle.Observed) error {
	d := &j.rec.Undo.Data
	o.Restoring = j.rec.Undo.Restore != nil || j.restores()
	o.Migrated = o.Migrated || j.rec.Undo.Refused != "" // a person has to say what is to become of the data
	if o.State == lifecycle.Restoring && d.State == string(lifecycle.Running) {
		if err := r.putBack(ctx, j, v); err != nil {
			return err
		}
	}
	if d.State != "" {
		o.Restore = lifecycle.Progress(d.State)
	}
	return nil
}

// startRestore begins to put the data back. Its key names the revert's head, so
// that a repeat finds what was begun. Nothing else is merged meanwhile: an apply of the
// whole repository would start the workload again. Where it can be seen beforehand
// that the data cannot be put back, nothing is stopped and a person decides.
func (r *Reconciler) startRestore(ctx context.Context, j *job) error {
	key := hash(j.u.ID, "restore", j.undo.Head)
	if b, _, _ := j.backup(); r.opts.Backups != nil && b.Restore != nil {
		why, err := r.opts.Backups.CheckRestore(ctx, j.restoreRequest(key, b, j.writers(j.view)))
		if err != nil {
			return err
		}
		if why != "" {
			return r.refuseRestore(ctx, j, why)
		}
	}
	// Not before it is known to begin: who waits for a person's word keeps nobody waiting.
	got, err := r.takeTurn(ctx, j)
	if err != nil {
		return err
	}
	if !got {
		return &later{at: r.opts.Now().Add(5 * time.Second), why: "another upgrade merges first"}
	}
	j.rec.Undo.Data = restore{Key: key, Started: r.opts.Now(), State: string(lifecycle.Running)}
	return nil
}

// refuseRestore leaves the decision to a person again.
func (r *Reconciler) refuseRestore(ctx context.Context, j *job, why string) error {
	j.rec.Undo.Restore, j.rec.Undo.Refused = nil, why
	j.tellOnce("The data cannot be put back, and nothing was stopped: " + oneLine(why) + ".")
	j.event("belay", "restore refused", why, nil)
	if err := r.save(ctx, j); err != nil {
		return err
	}
	return &later{at: r.opts.Now(), why: "the data cannot be put back: " + why}
}

// tellOnce adds a sentence to what people are told of the upgrade.
func (j *job) tellOnce(sentence string) {
	if !slices.Contains(j.rec.Updates, sentence) {
		j.rec.Updates = append(j.rec.Updates, sentence)
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (j *job) restoreRequest(key string, b policy.Backup, stopped []watch.Workload) cluster.RestoreRequest {
	_, service, _ := j.backup()
	return cluster.RestoreRequest{Key: key, Restore: *b.Restore, Backup: b, Name: j.rec.Backup.Name, Service: service, Stopped: stopped}
}

// putBack stops the workloads, then runs the restore.
func (r *Reconciler) putBack(ctx context.Context, j *job, v *view) error {
	if _, err := r.takeTurn(ctx, j); err != nil { // for as long as it takes
		return err
	}
	d := &j.rec.Undo.Data
	fail := func(format string, args ...any) error {
		d.State, d.Detail = string(lifecycle.Bad), fmt.Sprintf(format, args...)
		j.rec.Failure.Again = d.Detail
		return nil
	}
	b, _, _ := j.backup()
	if r.opts.Backups == nil || b.Restore == nil {
		return fail("belay has no access to a cluster in which it could put the data back")
	}
	if !d.Stopped {
		list := j.writers(v)
		if len(list) == 0 {
			return fail("which workloads to stop is not known: put the data back by hand")
		}
		all := true
		for _, w := range list {
			done, err := r.opts.Backups.Scale(ctx, d.Key, w, true)
			if errors.Is(err, cluster.ErrCannotScale) {
				return fail("%s %s/%s was not stopped: %v", cmp.Or(strings.ToLower(w.Kind), "workload"), w.Namespace, w.Name, err)
			}
			if err != nil {
				return err
			}
			all = all && done
		}
		if !all {
			return nil
		}
		d.Stopped = true
		j.event("belay", "stopped", "the workload is stopped, so that nothing writes while the data is put back", nil)
		if err := r.save(ctx, j); err != nil {
			return err
		}
	}
	manifest, err := r.manifest(j, v, b.Restore.Kind, b.Restore.Target)
	if err != nil {
		return fail("%v", err)
	}
	request := j.restoreRequest(d.Key, b, j.writers(v))
	request.Manifest = manifest
	result, err := r.opts.Backups.Restore(ctx, request)
	if err != nil {
		return err
	}
	d.State, d.Name, d.Detail = string(result.State), result.Name, result.Detail
	switch result.State {
	case lifecycle.Bad:
		j.rec.Failure.Again = "the restore failed: " + result.Detail
	case lifecycle.Good:
		j.event("belay", "put back", result.Detail, map[string]string{"name": result.Name})
		if b.Restore.Kind == policy.BackupVolumeSnapshot { // people have to know where what was written since is
			j.tellOnce("The data was put back: " + oneLine(result.Detail) + ".")
		}
	default:
	}
	return nil
}

// scalable are the workloads of what moves that keep pods running.
func (j *job) scalable(v *view) []watch.Workload {
	var all []watch.Workload
	for _, s := range j.subjects(v, lifecycle.Watching) {
		for _, w := range s.Workloads {
			if keeps := w.Kind == "" || w.Kind == "Deployment" || w.Kind == "StatefulSet"; keeps && !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}

// writers are those of the scalable workloads that run what was upgraded, where
// that is known. The database beside them stays up: the data is put back
// through it.
func (j *job) writers(v *view) []watch.Workload {
	all, images := j.scalable(v), imagesOf(j.u.Lane)
	var out []watch.Workload
	for _, w := range all {
		if slices.ContainsFunc(v.inventory.Pins, func(p pin.Pin) bool {
			return p.Kind == pin.KindImage && slices.Contains(j.services(), p.Service) && p.Workload == w.Name && (p.Namespace == "" || p.Namespace == w.Namespace) &&
				slices.Contains(images, p.Image.Familiar())
		}) {
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// startAgain scales the workloads up that were stopped for the restore.
func (r *Reconciler) startAgain(ctx context.Context, j *job, v *view) error {
	d := &j.rec.Undo.Data
	if !d.Stopped || d.Up {
		return nil
	}
	for _, w := range j.scalable(v) {
		done, err := r.opts.Backups.Scale(ctx, d.Key, w, false)
		if err != nil {
			return err
		}
		if !done {
			return &later{at: r.opts.Now().Add(time.Second), why: w.Name + " has not been started again yet: somebody else changes it"}
		}
	}
	d.Up = true
	return nil
}

// manifest reads the file of a Job from the default branch.
func (r *Reconciler) manifest(j *job, v *view, kind policy.BackupKind, target string) ([]byte, error) {
	if kind != policy.BackupJob {
		return nil, nil
	}
	m, err := r.mirrorOf(j)
	if err != nil {
		return nil, err
	}
	tree, err := m.Tree(v.sha)
	if err != nil {
		return nil, err
	}
	data, err := tree.ReadFile(target)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s is not on the default branch: %w", target, err)
	}
	return data, nil
}
