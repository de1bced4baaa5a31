package cluster_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// tidies runs a Job that has the claim "data", to its end, and returns its pod.
func (w *kept) tidies() string {
	w.Helper()
	image := "example.org/" + w.namespace + "/tidy:1"
	w.plane.Kubelet.Play(image, kube.Succeeds(0))
	_, err := w.admin.BatchV1().Jobs(w.namespace).Create(w.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "tidy"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "tidy", Image: image}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}}},
	}}, metav1.CreateOptions{})
	w.must(err)
	name := ""
	w.eventually("the Job's pod has finished", func(ctx context.Context) (bool, error) {
		pods, err := w.admin.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=tidy"})
		if err != nil || len(pods.Items) != 1 {
			return false, err
		}
		name = pods.Items[0].Name
		return pods.Items[0].Status.Phase == corev1.PodSucceeded, nil
	})
	return name
}

func (w *kept) removePod(name string) {
	w.Helper()
	w.must(w.admin.CoreV1().Pods(w.namespace).Delete(w.Context(), name, metav1.DeleteOptions{}))
	w.eventually("the pod is gone", func(ctx context.Context) (bool, error) {
		pods, err := w.admin.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
		return err == nil && len(pods.Items) == 0, err
	})
}

// TestFinishedPodsKeepTheClaim holds that belay says beforehand what the cluster
// would wait for: it does not let a claim go while a pod on a node names it, even
// one that has long finished.
func TestFinishedPodsKeepTheClaim(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*kept) string{
		"of a Job": (*kept).tidies,
		"evicted, of the workload that is stopped": func(w *kept) string {
			pods := w.admin.CoreV1().Pods(w.namespace)
			list, err := pods.List(w.Context(), metav1.ListOptions{LabelSelector: "app=web"})
			w.must(err)
			pod := &list.Items[0]
			pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
			_, err = pods.UpdateStatus(w.Context(), pod, metav1.UpdateOptions{})
			w.must(err)
			w.podsAre(2)
			return pod.Name
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := keeps(t, kube.ClassAtOnce, nil)
			before := w.claim()
			pod := leave(w)
			want := "kubectl -n " + w.namespace + " delete pod " + pod
			if why, err := w.belay.CheckRestore(t.Context(), w.restore()); err != nil || !strings.Contains(why, want) || !strings.Contains(why, "though finished") {
				t.Errorf("before the workload is stopped: %q, %v", why, err)
			}
			w.scaled(true)
			if got, err := w.belay.Restore(t.Context(), w.restore()); err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, want) {
				t.Errorf("got %+v, %v", got, err)
			}
			w.untouched(before)
			w.removePod(pod)
			if why, err := w.belay.CheckRestore(t.Context(), w.restore()); why != "" || err != nil {
				t.Errorf("with the pod gone: %q, %v", why, err)
			}
			if got := w.back(w.belay); got.State != lifecycle.Good {
				t.Errorf("with the pod gone: %+v", got)
			}
			w.together()
		})
	}
}

// at calls do once, when belay is about to make a change by the method.
func (w *kept) at(method string, do func()) *cluster.Cluster {
	config, done := w.plane.Config(), false
	k := &killer{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == method && strings.Contains(r.URL.Path, "/persistentvolumeclaims") && !k.dry(r) && !done {
				done = true
				do()
			}
			return next.RoundTrip(r)
		})
	})
	return w.life(config)
}

// TestPodThatComesWhileTheClaimGoes holds that a claim that waits for a pod says
// for which, goes on when it is gone, and is not waited for for ever.
func TestPodThatComesWhileTheClaimGoes(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.scaled(true)
	pod := ""
	belay := w.at(http.MethodDelete, func() { pod = w.tidies() })
	ask := func() (cluster.BackupResult, error) { return belay.Restore(w.Context(), w.restore()) }
	got := w.until("it is named", ask, func(r cluster.BackupResult) bool { return strings.Contains(r.Detail, "still used by") })
	for _, want := range []string{"pod " + pod + " of Job tidy", "kubectl -n " + w.namespace + " delete pod " + pod, w.volume + ", is kept with all that is on it"} {
		if got.State != lifecycle.Running || !strings.Contains(got.Detail, want) {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
	if why, err := w.belay.CheckRestore(t.Context(), w.restore()); why != "" || err != nil {
		t.Errorf("what is under way is refused: %q, %v", why, err)
	}
	// Somebody sets the policy back meanwhile: the volume is kept all the same.
	w.policy(corev1.PersistentVolumeReclaimDelete)
	if got, err := ask(); err != nil || !strings.Contains(got.Detail, w.volume+", is kept with all that is on it") {
		t.Errorf("got %+v, %v", got, err)
	}
	w.clock.forward(3 * time.Hour)
	if got, err := ask(); err != nil || got.State != lifecycle.Bad {
		t.Errorf("three hours later %+v, %v", got, err)
	}
	w.clock.forward(-3 * time.Hour)
	w.removePod(pod)
	if got := w.back(belay); got.State != lifecycle.Good {
		t.Errorf("with the pod gone: %+v", got)
	}
	w.together()
}

// policy sets the reclaim policy of the volume that the claim had.
func (w *kept) policy(p corev1.PersistentVolumeReclaimPolicy) {
	w.Helper()
	volumes := w.admin.CoreV1().PersistentVolumes()
	pv, err := volumes.Get(w.Context(), w.volume, metav1.GetOptions{})
	w.must(err)
	pv.Spec.PersistentVolumeReclaimPolicy = p
	_, err = volumes.Update(w.Context(), pv, metav1.UpdateOptions{})
	w.must(err)
}

// TestWorkloadThatIsStartedAgain holds that the claim is not taken from under a
// workload that was stopped, and that somebody has started since.
func TestWorkloadThatIsStartedAgain(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	before := w.claim()
	got, err := w.belay.Restore(t.Context(), w.restore())
	if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, "of Deployment web too") {
		t.Errorf("got %+v, %v", got, err)
	}
	w.untouched(before)
}
