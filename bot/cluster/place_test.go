package cluster_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// place is one namespace of the real control plane with a belay that has all
// rights.
type place struct {
	*testing.T
	plane     *kube.ControlPlane
	admin     kubernetes.Interface
	namespace string
	clock     *clock
	belay     *cluster.Cluster
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	plane := kube.ForTest(t)
	w := &place{T: t, plane: plane, admin: kubernetes.NewForConfigOrDie(plane.Config()), clock: &clock{}}
	namespace, err := w.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "db-"}}, metav1.CreateOptions{})
	w.must(err)
	w.namespace = namespace.Name
	w.belay = w.life(plane.Config())
	return w
}

// life is a belay that has just been started.
func (w *place) life(config *rest.Config) *cluster.Cluster {
	w.Helper()
	belay, err := cluster.New(cluster.Options{Config: config, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	return belay
}

func (w *place) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// clock is the time of day, which tests put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// image is one of this place alone, with a script.
func (w *place) image(script kube.Script) string {
	image := "example.org/" + w.namespace + "/dump:1"
	w.plane.Kubelet.Play(image, script)
	return image
}

// cronJob makes the CronJob "dump"; change may be nil.
func (w *place) cronJob(script kube.Script, change func(*batchv1.CronJob)) string {
	w.Helper()
	cron := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "dump"},
		Spec: batchv1.CronJobSpec{Schedule: "0 3 1 1 *", JobTemplate: batchv1.JobTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "dump"}, Annotations: map[string]string{"note": "kept"}},
			Spec: batchv1.JobSpec{BackoffLimit: new(int32), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "dump", Image: w.image(script)}},
			}}},
		}},
	}
	if change != nil {
		change(cron)
	}
	_, err := w.admin.BatchV1().CronJobs(w.namespace).Create(w.Context(), cron, metav1.CreateOptions{})
	w.must(err)
	return w.namespace + "/dump"
}

// request asks for a backup of the CronJob "dump" for a pull request that has
// been mergeable for ten minutes.
func (w *place) request(key string) cluster.BackupRequest {
	return cluster.BackupRequest{
		Key: key, Service: "linkwarden", Ready: time.Now().Add(-10 * time.Minute),
		Backup: policy.Backup{Kind: policy.BackupCronJob, Target: w.namespace + "/dump", Timeout: 5 * time.Minute, MaxAge: time.Hour},
	}
}

// until asks again and again until the answer is good enough.
func (w *place) until(what string, ask func() (cluster.BackupResult, error), enough func(cluster.BackupResult) bool) cluster.BackupResult {
	w.Helper()
	var result cluster.BackupResult
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		var err error
		result, err = ask()
		return err == nil && enough(result), err
	})
	if err != nil {
		w.Fatalf("%s: %v, at last %+v", what, err, result)
	}
	return result
}

// ended asks until the backup is good or bad.
func (w *place) ended(r cluster.BackupRequest) cluster.BackupResult {
	w.Helper()
	return w.until("backup", func() (cluster.BackupResult, error) { return w.belay.Backup(w.Context(), r) }, isOver)
}

func isOver(r cluster.BackupResult) bool { return r.State != lifecycle.Running }

// jobs are those of the namespace.
func (w *place) jobs() []batchv1.Job {
	w.Helper()
	jobs, err := w.admin.BatchV1().Jobs(w.namespace).List(w.Context(), metav1.ListOptions{})
	w.must(err)
	return jobs.Items
}

// gate is a script that waits to be opened.
func gate(code int32, log ...string) (script kube.Script, open func()) {
	opened := make(chan struct{})
	return func(ctx context.Context, c *kube.Container) {
		c.Run()
		c.Log(log...)
		select {
		case <-opened:
			c.Exit(code, "Completed")
		case <-ctx.Done():
		}
	}, sync.OnceFunc(func() { close(opened) })
}
