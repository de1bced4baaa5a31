package cluster

import (
	"context"
	"fmt"
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// RestoreRequest asks for a backup to be put back.
type RestoreRequest struct {
	Key      string // as BackupRequest.Key
	Restore  policy.Restore
	Backup   policy.Backup // how the backup was taken
	Name     string        // of the backup to put back, as BackupResult.Name has it; "" where it is not known
	Manifest []byte        // of kind job, from the default branch
	Service  string
	Stopped  []watch.Workload // that are stopped for it
}

// restoreLimit is how long a restore may take. Putting data back takes longer
// than writing it out, and giving up half-way helps nobody.
const restoreLimit = 2 * time.Hour

// BackupVariable is the environment variable in which a restore finds the name
// of the backup to put back: "dbaas/postgresql-backup-1a2b3c4d5e".
const BackupVariable = "BELAY_BACKUP"

// Restore puts a backup back and says how it stands: by a Job from a CronJob
// (suspended or not) or a manifest, or by a claim that is made anew from its
// snapshot (restoreVolume). It is never shared: each key has its own, once. The
// workload has to be scaled down before.
func (c *Cluster) Restore(ctx context.Context, r RestoreRequest) (BackupResult, error) {
	// The rest is that of a backup that is always new enough, and whose log is
	// not held against what a backup has to say.
	asBackup := BackupRequest{
		Key: r.Key, Service: r.Service, Manifest: r.Manifest,
		Backup: policy.Backup{Kind: r.Restore.Kind, Target: r.Restore.Target, Timeout: max(restoreLimit, r.Backup.Timeout)},
	}
	var result BackupResult
	var err error
	if r.Restore.Kind == policy.BackupVolumeSnapshot {
		result, err = c.restoreVolume(ctx, r)
	} else {
		result, err = c.restore(ctx, r, asBackup)
	}
	return refusedIsBad(result, err, fmt.Sprintf("restore %s %s", r.Restore.Kind, r.Restore.Target))
}

func (c *Cluster) restore(ctx context.Context, r RestoreRequest, b BackupRequest) (BackupResult, error) {
	var template *batchv1.Job
	var namespace, base string
	var err error
	switch r.Restore.Kind {
	case policy.BackupCronJob:
		namespace, base, err = split(r.Restore.Target)
	case policy.BackupJob:
		if template, err = parseJob(r.Restore.Target, r.Manifest); err == nil {
			namespace, base = template.Namespace, template.Name
		}
	default:
		err = refuse("belay cannot put a backup of kind %s back by itself: configure restore with a cronjob, a job, or for a snapshot a volumesnapshot", r.Restore.Kind)
	}
	if err != nil {
		return BackupResult{}, err
	}
	defer c.only("restore " + r.Restore.Target)()
	own, free, err := c.ownJob(ctx, b, namespace, base)
	if err != nil {
		return BackupResult{}, err
	}
	if own != nil {
		return c.judge(ctx, b, own)
	}
	if template == nil {
		get := attempt{"get", "batch", "cronjobs", namespace, base}
		cron, err := c.api.CronJobs(namespace).Get(ctx, base)
		if apierrors.IsNotFound(err) {
			return BackupResult{}, refuse("CronJob %s does not exist: create it, suspended, or correct its name in belay.yml", r.Restore.Target)
		}
		if err := get.check(err); err != nil {
			return BackupResult{}, err
		}
		template = fromCronJob(b, cron, free)
	}
	template.Name = free
	if template.Labels == nil {
		template.Labels = map[string]string{}
	}
	maps.Copy(template.Labels, b.marks(hash("restore", r.Restore.Target)))
	nameBackup(&template.Spec.Template.Spec, r.Name)
	return c.startJob(ctx, b, template)
}

// nameBackup tells every container which backup to put back.
func nameBackup(spec *corev1.PodSpec, name string) {
	if name == "" {
		return
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].Env = append(containers[i].Env, corev1.EnvVar{Name: BackupVariable, Value: name})
		}
	}
}
