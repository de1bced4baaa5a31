package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// offline is a cluster that is not there.
func offline() *rest.Config { return &rest.Config{Host: "http://127.0.0.1:1"} }

func TestRestore(t *testing.T) {
	for _, test := range []struct {
		name   string
		script kube.Script
		job    bool
		state  lifecycle.Progress
		want   string
	}{
		{name: "a suspended CronJob's Job that succeeds", script: kube.Succeeds(0, "restored 254 MB"), state: lifecycle.Good, want: "\nrestored 254 MB"},
		{name: "a CronJob's Job that fails", script: kube.Exits(0, 1, "no such dump"), state: lifecycle.Bad, want: "\nno such dump"},
		{name: "a manifest's Job that succeeds", script: kube.Succeeds(0, "restored"), job: true, state: lifecycle.Good, want: "\nrestored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			r := cluster.RestoreRequest{
				Key: "revert of dawarich 1.6.1", Name: w.namespace + "/dump-1a2b3c", Service: "dawarich",
				Restore: policy.Restore{Kind: policy.BackupCronJob, Target: w.namespace + "/dump"},
				Backup:  policy.Backup{Timeout: time.Minute},
			}
			if test.job {
				r.Manifest = w.manifest(test.script)
				r.Restore = policy.Restore{Kind: policy.BackupJob, Target: "backups/restore.yaml"}
			} else {
				w.cronJob(test.script, func(c *batchv1.CronJob) { c.Spec.Suspend = new(true) })
			}
			ask := func() (cluster.BackupResult, error) { return w.belay.Restore(t.Context(), r) }
			got := w.until("restore", ask, isOver)
			if got.State != test.state || !strings.Contains(got.Detail, test.want) {
				t.Errorf("got %+v, want %s with %q", got, test.state, test.want)
			}
			w.belay = w.life(w.plane.Config())
			if again := w.until("restore", ask, isOver); again.Name != got.Name || len(w.jobs()) != 1 {
				t.Errorf("a later life restores again: %+v", again)
			}
			if env := w.jobs()[0].Spec.Template.Spec.Containers[0].Env; len(env) != 1 || env[0].Name != cluster.BackupVariable || env[0].Value != r.Name {
				t.Errorf("the Job is not told which backup to put back: %v", env)
			}
			r.Key = "another restore"
			if other := w.until("restore", ask, isOver); other.Name == got.Name || other.Shared {
				t.Errorf("a restore is shared: %+v", other)
			}
		})
	}
}

func TestRestoreThatBelayCannotDo(t *testing.T) {
	belay, err := cluster.New(cluster.Options{Config: offline()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := belay.Restore(t.Context(), cluster.RestoreRequest{Key: "key", Restore: policy.Restore{Kind: policy.BackupVelero, Target: "a/b"}})
	if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, "configure restore with a cronjob, a job") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func (w *place) workload(kind string, replicas int32) watch.Workload {
	w.Helper()
	meta := metav1.ObjectMeta{Name: "web"}
	labels := map[string]string{"app": "web"}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.org/web:1"}}}}
	var err error
	if kind == "Deployment" {
		_, err = w.admin.AppsV1().Deployments(w.namespace).Create(w.Context(), &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: template}}, metav1.CreateOptions{})
	} else {
		_, err = w.admin.AppsV1().StatefulSets(w.namespace).Create(w.Context(), &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, Template: template, ServiceName: "web"}}, metav1.CreateOptions{})
	}
	w.must(err)
	w.podsAre(int(replicas))
	return watch.Workload{Kind: kind, Namespace: w.namespace, Name: "web"}
}

func (w *place) podsAre(want int) {
	w.Helper()
	w.eventually("pods", func(ctx context.Context) (bool, error) {
		pods, err := w.admin.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		return err == nil && len(pods.Items) == want, err
	})
}

func (w *place) eventually(what string, holds func(context.Context) (bool, error)) {
	w.Helper()
	if err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, 3*time.Minute, true, holds); err != nil {
		w.Fatalf("%s: %v", what, err)
	}
}

func TestScale(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			web := w.workload(kind, 2)
			// Every call is made by a new life, as if each had been killed.
			scale := func(key string, workload watch.Workload, down bool) {
				t.Helper()
				w.eventually("scale", func(ctx context.Context) (bool, error) {
					return w.life(w.plane.Config()).Scale(ctx, key, workload, down)
				})
			}
			anyKind := web
			anyKind.Kind = ""
			scale("revert 1", anyKind, true)
			w.podsAre(0)
			scale("revert 1", web, true)
			if _, err := w.belay.Scale(t.Context(), "revert 2", web, true); !errors.Is(err, cluster.ErrCannotScale) || !strings.Contains(err.Error(), "revert 1") {
				t.Errorf("somebody else scales it down too: %v", err)
			}
			if _, err := w.belay.Scale(t.Context(), "revert 2", web, false); !errors.Is(err, cluster.ErrCannotScale) {
				t.Errorf("somebody else scales it up: %v", err)
			}
			scale("revert 1", web, false)
			w.podsAre(2)
			scale("revert 1", web, false)
			scale("revert 2", web, true)
			scale("revert 2", web, false)
			w.podsAre(2)
		})
	}
	t.Run("what cannot be scaled", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		if _, err := w.belay.Scale(t.Context(), "key", watch.Workload{Kind: "DaemonSet", Namespace: w.namespace, Name: "web"}, true); !errors.Is(err, cluster.ErrCannotScale) {
			t.Errorf("a DaemonSet: %v", err)
		}
		if done, err := w.belay.Scale(t.Context(), "key", watch.Workload{Kind: "Deployment", Namespace: w.namespace, Name: "web"}, true); !done || err != nil {
			t.Errorf("one that is not there: %v, %v", done, err)
		}
	})
	t.Run("somebody scales it up while the data is put back", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		web := w.workload("Deployment", 3)
		w.eventually("scale", func(ctx context.Context) (bool, error) { return w.belay.Scale(ctx, "key", web, true) })
		scale, err := w.admin.AppsV1().Deployments(w.namespace).GetScale(t.Context(), "web", metav1.GetOptions{})
		w.must(err)
		scale.Spec.Replicas = 1
		scale.ResourceVersion = ""
		_, err = w.admin.AppsV1().Deployments(w.namespace).UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{})
		w.must(err)
		w.eventually("scale", func(ctx context.Context) (bool, error) { return w.belay.Scale(ctx, "key", web, true) })
		w.podsAre(0)
		w.eventually("scale", func(ctx context.Context) (bool, error) { return w.belay.Scale(ctx, "key", web, false) })
		w.podsAre(3)
	})
}
