package cluster_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// snapshotName is the snapshot's, without its namespace.
func (w *kept) snapshotName() string {
	_, name, _ := strings.Cut(w.snapshot, "/")
	return name
}

// untouched holds that the service's data is where it was.
func (w *kept) untouched(before *corev1.PersistentVolumeClaim) {
	w.Helper()
	if after := w.claim(); after.UID != before.UID || after.DeletionTimestamp != nil || after.Spec.VolumeName != w.volume {
		w.Errorf("the claim was changed: %+v", after)
	}
	if got := w.on(*w.disk.Load()); got != "new" {
		w.Errorf("on the volume is %q", got)
	}
}

func TestSnapshotsThatAreNotPutBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		claim func(*corev1.PersistentVolumeClaim)
		world func(*kept)
		ask   func(*kept, *cluster.RestoreRequest)
		want  string
	}{
		{name: "a snapshot that is gone", want: "is gone: nothing is changed", world: func(w *kept) {
			w.must(w.dynamic().Resource(snapshots).Namespace(w.namespace).Delete(w.Context(), w.snapshotName(), metav1.DeleteOptions{}))
		}},
		{name: "a snapshot that is not ready any more", want: "is not ready to use: disk failure: nothing is changed", world: func(w *kept) {
			w.status(snapshots, w.snapshotName(), map[string]any{"readyToUse": false, "error": map[string]any{"message": "disk failure"}})
		}},
		{name: "a snapshot nobody remembers", want: "which snapshot was taken before the merge is not known", ask: func(_ *kept, r *cluster.RestoreRequest) { r.Name = "" }},
		{name: "a snapshot of another namespace", want: "is not in the namespace of claim", ask: func(_ *kept, r *cluster.RestoreRequest) { r.Name = "elsewhere/data" }},
		{name: "a claim that is not there", want: "does not exist, and it was not belay that took it away", ask: func(w *kept, r *cluster.RestoreRequest) { r.Restore.Target = w.namespace + "/date" }},
		{name: "a claim of which another snapshot was taken", want: "was taken of claim \"data\", not of \"other\"", ask: func(w *kept, r *cluster.RestoreRequest) {
			w.another("other")
			r.Restore.Target = w.namespace + "/other"
		}},
		{name: "a claim that another workload uses too", want: "of Deployment report too, which is not stopped for this", world: func(w *kept) {
			w.mounting("report", "example.org/report:1")
			w.eventually("the other pod is there", func(ctx context.Context) (bool, error) {
				pods, err := w.admin.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=report"})
				return err == nil && len(pods.Items) == 1, err
			})
		}},
		{name: "a claim that an operator keeps", want: "is kept by Database main, which would make an empty one", ask: func(w *kept, _ *cluster.RestoreRequest) {
			claim := w.claim()
			claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.org/v1", Kind: "Database", Name: "main", UID: "1", Controller: new(true)}}
			_, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Update(w.Context(), claim, metav1.UpdateOptions{})
			w.must(err)
		}},
		{name: "a claim of a StatefulSet of three", want: "is one of the 3 of StatefulSet set", ask: func(w *kept, r *cluster.RestoreRequest) {
			labels := map[string]string{"app": "set"}
			set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "set", Annotations: map[string]string{"belaybot.github.io/replicas-before": "3"}}, Spec: appsv1.StatefulSetSpec{
				Replicas: new(int32), Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "example.org/x:1"}}}},
				VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "files"}, Spec: w.another("files-set-0").Spec}},
			}}
			_, err := w.admin.AppsV1().StatefulSets(w.namespace).Create(w.Context(), set, metav1.CreateOptions{})
			w.must(err)
			r.Restore.Target = w.namespace + "/files-set-0"
			r.Name = w.snapshotOf("files-set-0")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := keeps(t, kube.ClassAtOnce, test.claim)
			before := w.claim()
			if test.world != nil {
				test.world(w)
			}
			r := w.restore()
			if test.ask != nil {
				test.ask(w, &r)
			}
			if why, err := w.belay.CheckRestore(t.Context(), r); err != nil || !strings.Contains(why, test.want) {
				t.Errorf("before the workload is stopped: %q, %v", why, err)
			}
			w.scaled(true)
			got, err := w.belay.Restore(t.Context(), r)
			if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, test.want) {
				t.Errorf("got %+v, %v, want %q", got, err, test.want)
			}
			w.untouched(before)
		})
	}
}

// another makes a claim beside "data", and waits until it is bound.
func (w *kept) another(name string) *corev1.PersistentVolumeClaim {
	w.Helper()
	like := w.claim()
	claims := w.admin.CoreV1().PersistentVolumeClaims(w.namespace)
	_, err := claims.Create(w.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: like.Spec.StorageClassName, AccessModes: like.Spec.AccessModes, Resources: like.Spec.Resources}}, metav1.CreateOptions{})
	w.must(err)
	var claim *corev1.PersistentVolumeClaim
	w.eventually("the claim is bound", func(ctx context.Context) (bool, error) {
		claim, err = claims.Get(ctx, name, metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, err
	})
	spec := claim.DeepCopy()
	spec.Spec.VolumeName = ""
	return spec
}

func (w *kept) snapshotOf(claim string) string {
	w.Helper()
	r := w.request("of " + claim)
	r.Backup = policy.Backup{Kind: policy.BackupVolumeSnapshot, Target: w.namespace + "/" + claim}
	got := w.ended(r)
	if got.State != lifecycle.Good {
		w.Fatalf("%+v", got)
	}
	return got.Name
}

// volumeRights are those that putting a snapshot back needs besides the others.
var volumeRights = []right{
	{"", "persistentvolumeclaims", "get"}, {"", "persistentvolumeclaims", "create"}, {"", "persistentvolumeclaims", "delete"},
	{"", "persistentvolumes", "get"}, {"", "persistentvolumes", "patch"}, {"storage.k8s.io", "storageclasses", "get"},
	{"snapshot.storage.k8s.io", "volumesnapshots", "patch"}, {"apps", "statefulsets", "list"},
}

// TestRightsToPutASnapshotBack does it with exactly the rights of
// deploy/rbac.yaml, then without each of them in turn. What is missing is said,
// and the data is where it was.
func TestRightsToPutASnapshotBack(t *testing.T) {
	t.Parallel()
	all := rights(t, "belay-backup", "belay-restore", "belay-volumes")
	for _, needed := range volumeRights {
		if !slices.Contains(all, needed) {
			t.Errorf("deploy/rbac.yaml does not give the right to %s", needed)
		}
	}
	t.Run("all of them", func(t *testing.T) {
		t.Parallel()
		w := keeps(t, kube.ClassAtOnce, nil)
		w.scaled(true)
		config, err := w.plane.ConfigFor(t.Context(), w.bot("all", all))
		w.must(err)
		w.eventually("put back", func(ctx context.Context) (bool, error) { // rights take a moment to be known
			got, err := w.life(config).Restore(ctx, w.restore())
			return got.State == lifecycle.Good, err
		})
		w.together()
	})
	for _, missing := range volumeRights {
		t.Run("without "+missing.String(), func(t *testing.T) {
			t.Parallel()
			w := keeps(t, kube.ClassAtOnce, nil)
			before := w.claim()
			w.scaled(true)
			rest := slices.DeleteFunc(slices.Clone(all), func(r right) bool { return r == missing })
			config, err := w.plane.ConfigFor(t.Context(), w.bot("some", rest))
			w.must(err)
			var got cluster.BackupResult
			w.eventually("refused for want of it", func(ctx context.Context) (bool, error) {
				got, err = w.life(config).Restore(ctx, w.restore())
				return strings.Contains(got.Detail, "not allowed to "+missing.String()), err
			})
			t.Log(got.Detail)
			if got.State != lifecycle.Bad {
				t.Errorf("got %+v", got)
			}
			w.untouched(before)
		})
	}
}

func TestNewClaimThatGetsNoVolume(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.scaled(true)
	k := &killer{at: 4} // once the claim is made, the snapshot goes
	config := w.plane.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		k.next = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost && !k.dry(r) {
				w.must(w.dynamic().Resource(snapshots).Namespace(w.namespace).Delete(w.Context(), w.snapshotName(), metav1.DeleteOptions{}))
			}
			return next.RoundTrip(r)
		})
		return k
	})
	w.eventually("killed", func(ctx context.Context) (bool, error) {
		_, err := w.life(config).Restore(ctx, w.restore())
		return errors.Is(err, errKilled), nil
	})
	got := w.until("a complaint", func() (cluster.BackupResult, error) { return w.belay.Restore(w.Context(), w.restore()) },
		func(r cluster.BackupResult) bool { return strings.Contains(r.Detail, "ProvisioningFailed") })
	if got.State != lifecycle.Running || !strings.Contains(got.Detail, "is kept with all that is on it") {
		t.Errorf("got %+v", got)
	}
	w.clock.forward(3 * time.Hour)
	if got, err := w.belay.Restore(t.Context(), w.restore()); err != nil || got.State != lifecycle.Bad {
		t.Errorf("three hours later %+v, %v", got, err)
	}
	if w.on(*w.disk.Load()) != "new" {
		t.Error("the volume of before is lost")
	}
}
