package cluster_test

import (
	"context"
	"log/slog"
	"os"
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

func TestMain(m *testing.M) { os.Exit(kube.Main(m)) }

// world is one namespace of the real control plane with a belay that has all
// rights.
type world struct {
	*testing.T
	plane     *kube.ControlPlane
	admin     kubernetes.Interface
	namespace string
	clock     *clock
	belay     *cluster.Cluster
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	plane := kube.ForTest(t)
	w := &world{T: t, plane: plane, admin: kubernetes.NewForConfigOrDie(plane.Config()), clock: &clock{}}
	namespace, err := w.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "db-"}}, metav1.CreateOptions{})
	w.must(err)
	w.namespace = namespace.Name
	w.belay = w.life(plane.Config())
	return w
}

// life is a belay that has just been started.
func (w *world) life(config *rest.Config) *cluster.Cluster {
	w.Helper()
	belay, err := cluster.New(cluster.Options{Config: config, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	return belay
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// clock is the time of day, which tests put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// image is one of this world alone, with a script.
func (w *world) image(script kube.Script) string {
	image := "example.org/" + w.namespace + "/dump:1"
	w.plane.Kubelet.Play(image, script)
	return image
}

// cronJob makes the CronJob "dump"; change may be nil.
func (w *world) cronJob(script kube.Script, change func(*batchv1.CronJob)) string {
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
// been mergeable for a minute.
func (w *world) request(key string) cluster.BackupRequest {
	return cluster.BackupRequest{
		Key: key, Service: "linkwarden", Ready: time.Now().Add(-time.Minute),
		Backup: policy.Backup{Kind: policy.BackupCronJob, Target: w.namespace + "/dump", Timeout: 5 * time.Minute, MaxAge: time.Hour},
	}
}

// until asks again and again until the answer is good enough.
func (w *world) until(what string, ask func() (cluster.BackupResult, error), enough func(cluster.BackupResult) bool) cluster.BackupResult {
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
func (w *world) ended(r cluster.BackupRequest) cluster.BackupResult {
	w.Helper()
	return w.until("backup", func() (cluster.BackupResult, error) { return w.belay.Backup(w.Context(), r) }, isOver)
}

func isOver(r cluster.BackupResult) bool { return r.State != lifecycle.Running }

// jobs are those of the namespace.
func (w *world) jobs() []batchv1.Job {
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
