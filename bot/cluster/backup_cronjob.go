package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/rules/lifecycle"
)

// backupCronJob runs a CronJob's Job now, as `kubectl create job --from` does,
// unless one of its Jobs that is new enough serves.
func (c *Cluster) backupCronJob(ctx context.Context, r BackupRequest) (BackupResult, error) {
	namespace, name, err := split(r.Backup.Target)
	if err != nil {
		return BackupResult{}, err
	}
	defer c.only("cronjob " + r.Backup.Target)()
	own, free, err := c.ownJob(ctx, r, namespace, name)
	if err != nil {
		return BackupResult{}, err
	}
	if own != nil {
		return c.judge(ctx, r, own)
	}
	get := attempt{"get", "batch", "cronjobs", namespace, name}
	cron, err := c.api.CronJobs(namespace).Get(ctx, name)
	if apierrors.IsNotFound(err) {
		return BackupResult{}, refuse("CronJob %s does not exist: create it, or correct its name in belay.yml", r.Backup.Target)
	}
	if err := get.check(err); err != nil {
		return BackupResult{}, err
	}
	list := attempt{"list", "batch", "jobs", namespace, ""}
	jobs, err := c.api.Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err := list.check(err); err != nil {
		return BackupResult{}, err
	}
	siblings := slices.DeleteFunc(jobs.Items, func(job batchv1.Job) bool { return !metav1.IsControlledBy(&job, cron) })
	if result, err := c.shared(ctx, r, siblings); result.Shared || err != nil {
		return result, err
	}
	if result := c.turn(r, cron, siblings); result.State != "" {
		return result, nil
	}
	result, err := c.startJob(ctx, r, fromCronJob(r, cron, free))
	if err == nil && cron.Spec.Suspend != nil && *cron.Spec.Suspend {
		result.Detail += " (the CronJob is suspended; this Job runs all the same)"
	}
	return result, err
}

// fromCronJob is the Job that kubectl would make from the CronJob, with belay's
// marks, and kept for long enough that its end is seen.
func fromCronJob(r BackupRequest, cron *batchv1.CronJob, name string) *batchv1.Job {
	template := cron.Spec.JobTemplate.DeepCopy()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: cron.Namespace, Name: name,
		Labels: map[string]string{}, Annotations: map[string]string{instantiate: "manual"},
		// BlockOwnerDeletion stays unset: it would need a right on the CronJob's
		// finalizers.
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob", Name: cron.Name, UID: cron.UID, Controller: new(true),
		}},
	}, Spec: template.Spec}
	maps.Copy(job.Labels, template.Labels)
	maps.Copy(job.Labels, r.marks(hash("cronjob", r.Backup.Target)))
	maps.Copy(job.Annotations, template.Annotations)
	return job
}

// turn has a CronJob whose runs must not overlap wait for the one that is under
// way. The result's State is "" when nothing is in the way.
func (c *Cluster) turn(r BackupRequest, cron *batchv1.CronJob, siblings []batchv1.Job) BackupResult {
	at := slices.IndexFunc(siblings, func(job batchv1.Job) bool { return !finished(&job) && !suspended(&job) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if at < 0 || cron.Spec.ConcurrencyPolicy == batchv1.AllowConcurrent || cron.Spec.ConcurrencyPolicy == "" {
		delete(c.waits, r.Key)
		return BackupResult{}
	}
	since, waiting := c.waits[r.Key]
	if !waiting {
		since = c.now()
		c.waits[r.Key] = since
	}
	other := &siblings[at]
	detail := fmt.Sprintf("Job %s/%s has been running since %s, and the CronJob's concurrencyPolicy is %s",
		other.Namespace, other.Name, started(other).UTC().Format("15:04:05 MST"), cron.Spec.ConcurrencyPolicy)
	if late(r.Backup, since, c.now()) {
		delete(c.waits, r.Key)
		return bad("no backup was started within %s: %s", r.Backup.Timeout, detail)
	}
	return BackupResult{State: lifecycle.Running, Detail: waitForTurn + detail}
}

// shared looks for somebody else's Job that serves: one that has succeeded, else
// one under way.
func (c *Cluster) shared(ctx context.Context, r BackupRequest, jobs []batchv1.Job) (BackupResult, error) {
	rank := func(job *batchv1.Job) int {
		if condition(job, batchv1.JobComplete) != nil {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(jobs, func(a, b batchv1.Job) int {
		if ranks := rank(&a) - rank(&b); ranks != 0 {
			return ranks
		}
		return started(&b).Compare(started(&a))
	})
	for i := range jobs {
		job := &jobs[i]
		if !r.serves(started(job), c.now()) || suspended(job) || job.DeletionTimestamp != nil || condition(job, batchv1.JobFailed) != nil {
			continue
		}
		result, err := c.look(ctx, r.Backup, job)
		if err != nil {
			return BackupResult{}, err
		}
		// One that hangs or whose log is not as it should be serves nobody else.
		if result.State == lifecycle.Bad {
			continue
		}
		result.Shared = true
		result.Detail = "shared with others who need the same backup: " + result.Detail
		return result, nil
	}
	return BackupResult{}, nil
}

// jobTTL is how long a finished Job is kept at least: belay may be down just
// then.
const jobTTL = int32(24 * 60 * 60)

// startJob makes the Job, or finds that another replica has just made it.
func (c *Cluster) startJob(ctx context.Context, r BackupRequest, job *batchv1.Job) (BackupResult, error) {
	if job.Annotations == nil {
		job.Annotations = map[string]string{}
	}
	job.Annotations[annotationKey] = r.Key
	if ttl := job.Spec.TTLSecondsAfterFinished; ttl != nil {
		job.Spec.TTLSecondsAfterFinished = new(max(*ttl, jobTTL))
	}
	create := attempt{"create", "batch", "jobs", job.Namespace, job.Name}
	made, err := c.api.Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{FieldManager: manager})
	if err := create.check(err); err != nil {
		return BackupResult{}, err
	}
	c.log.Info("backup started", "job", made.Namespace+"/"+made.Name, "key", r.Key)
	c.underWay(r.Key, made.Namespace+"/"+made.Name)
	return BackupResult{
		State: lifecycle.Running, Name: made.Namespace + "/" + made.Name, Started: made.CreationTimestamp.Time,
		Detail: fmt.Sprintf("Job %s/%s is started", made.Namespace, made.Name),
	}, nil
}

// ownJob finds the Job that this life or an earlier one made for the key and
// that still serves, else the name that a new one gets.
func (c *Cluster) ownJob(ctx context.Context, r BackupRequest, namespace, base string) (own *batchv1.Job, free string, err error) {
	for n := 1; n <= attemptsOfOneName; n++ {
		name := objectName(base, r.Key, n)
		get := attempt{"get", "batch", "jobs", namespace, name}
		job, err := c.api.Jobs(namespace).Get(ctx, name)
		if apierrors.IsNotFound(err) {
			if c.wasUnderWay(r.Key, namespace+"/"+name) {
				return nil, "", refuse("Job %s/%s was deleted before its end was seen", namespace, name)
			}
			return nil, name, nil
		}
		if err := get.check(err); err != nil {
			return nil, "", err
		}
		if key := job.Annotations[annotationKey]; key != r.Key {
			return nil, "", refuse("Job %s/%s is in the way: it was not made for this (%q)", namespace, name, key)
		}
		if r.stale(started(job), c.now()) && finished(job) {
			continue
		}
		return job, "", nil
	}
	return nil, "", refuse("%d Jobs named %s have been made in namespace %s and none serves: delete old ones", attemptsOfOneName, objectName(base, r.Key, 1), namespace)
}

// judge says how the Job made for this very key stands, and remembers that it
// is under way.
func (c *Cluster) judge(ctx context.Context, r BackupRequest, job *batchv1.Job) (BackupResult, error) {
	result, err := c.look(ctx, r.Backup, job)
	switch {
	case err != nil:
		return BackupResult{}, err
	case result.State == lifecycle.Running && job.DeletionTimestamp != nil:
		result.State = lifecycle.Bad
		result.Detail = fmt.Sprintf("Job %s was deleted while it ran: %s", result.Name, result.Detail)
	case result.State == lifecycle.Running:
		c.underWay(r.Key, result.Name)
		return result, nil
	}
	c.ended(r.Key)
	return result, nil
}

func (c *Cluster) underWay(key, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest[key] = name
	delete(c.waits, key)
}

func (c *Cluster) wasUnderWay(key, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest[key] == name
}

func (c *Cluster) ended(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.latest, key)
	delete(c.waits, key)
}

// condition is the Job's condition of the kind, if it holds.
func condition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func finished(job *batchv1.Job) bool {
	return condition(job, batchv1.JobComplete) != nil || condition(job, batchv1.JobFailed) != nil
}

func suspended(job *batchv1.Job) bool { return job.Spec.Suspend != nil && *job.Spec.Suspend }
