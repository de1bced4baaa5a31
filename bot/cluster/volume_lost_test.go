package cluster_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestSnapshotThatGoesAfterTheClaim holds that people are told which volume has
// the data and how the claim gets it back, by following the words.
func TestSnapshotThatGoesAfterTheClaim(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.scaled(true)
	lose := func() {
		w.must(w.dynamic().Resource(snapshots).Namespace(w.namespace).Delete(w.Context(), w.snapshotName(), metav1.DeleteOptions{}))
	}
	w.killedAt(4, lose) // before the new claim is made
	for what, ask := range map[string]func() (string, error){
		"CheckRestore": func() (string, error) { return w.belay.CheckRestore(w.Context(), w.restore()) },
		"Restore": func() (string, error) {
			got, err := w.belay.Restore(w.Context(), w.restore())
			if got.State != lifecycle.Bad {
				t.Errorf("got %+v", got)
			}
			return got.Detail, err
		},
	} {
		why, err := ask()
		for _, want := range []string{"VolumeSnapshot " + w.snapshot + " is gone", "the volume that it had, " + w.volume + ", is kept with all that is on it",
			"kubectl patch pv " + w.volume + " --type merge -p '" + w.again() + "'", "spec.volumeName: " + w.volume} {
			if err != nil || !strings.Contains(why, want) {
				t.Errorf("%s: %q, %v; want %q", what, why, err, want)
			}
		}
	}
	// The way back, as it is said there and in docs/operate.md.
	pv, err := w.admin.CoreV1().PersistentVolumes().Patch(t.Context(), w.volume, types.MergePatchType, []byte(w.again()), metav1.PatchOptions{})
	w.must(err)
	var plan struct{ Claim *corev1.PersistentVolumeClaim }
	w.must(json.Unmarshal([]byte(pv.Annotations["belaybot.github.io/restore"]), &plan))
	plan.Claim.Spec.DataSource, plan.Claim.Spec.VolumeName = nil, w.volume
	_, err = w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Create(t.Context(), plan.Claim, metav1.CreateOptions{})
	w.must(err)
	w.eventually("it is bound again", func(context.Context) (bool, error) { return w.claim().Status.Phase == corev1.ClaimBound, nil })
	w.disk.Store(nil)
	w.scaled(false)
	w.eventually("the volume is mounted again", func(context.Context) (bool, error) { return w.disk.Load() != nil, nil })
	if got := w.on(*w.disk.Load()); got != "new" {
		t.Errorf("on the volume is %q", got)
	}
}

// again is the patch by which the volume waits for a claim "data".
func (w *kept) again() string {
	return `{"spec":{"claimRef":{"namespace":"` + w.namespace + `","name":"data","uid":null,"resourceVersion":null}}}`
}

// killedAt ends a belay before its nth change, and does something in that moment.
func (w *kept) killedAt(n int32, do func()) {
	w.Helper()
	k := &killer{at: n, before: true}
	config := w.plane.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { k.next = next; return k })
	belay := w.life(config)
	w.eventually("it is killed", func(ctx context.Context) (bool, error) {
		_, err := belay.Restore(ctx, w.restore())
		return err != nil && k.dead.Load(), nil
	})
	w.eventually("the claim is gone", func(ctx context.Context) (bool, error) {
		_, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Get(ctx, "data", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	do()
}

// TestVolumeThatGoesAfterTheClaim holds that nobody is told of data that is kept
// when it is not.
func TestVolumeThatGoesAfterTheClaim(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.scaled(true)
	w.killedAt(4, func() {
		w.policy(corev1.PersistentVolumeReclaimDelete)
		volumes := w.admin.CoreV1().PersistentVolumes()
		w.eventually("the volume is gone", func(ctx context.Context) (bool, error) {
			pv, err := volumes.Get(ctx, w.volume, metav1.GetOptions{})
			if err == nil && pv.DeletionTimestamp != nil { // nobody takes away kubernetes.io/pv-protection here
				pv.Finalizers = nil
				_, _ = volumes.Update(ctx, pv, metav1.UpdateOptions{})
			}
			return apierrors.IsNotFound(err), nil
		})
	})
	got := w.back(w.belay)
	if got.State != lifecycle.Good || strings.Contains(got.Detail, "is kept") || !strings.Contains(got.Detail, "the volume that it had, "+w.volume+", is gone") {
		t.Errorf("got %+v", got)
	}
}

// TestClaimThatSomebodyDeletes holds that a claim which is going, and not by
// belay, is refused before the workload is stopped.
func TestClaimThatSomebodyDeletes(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.must(w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Delete(t.Context(), "data", metav1.DeleteOptions{})) // its pod keeps it
	const want = "is being deleted by somebody else: nothing is changed"
	if why, err := w.belay.CheckRestore(t.Context(), w.restore()); err != nil || !strings.Contains(why, want) {
		t.Errorf("before the workload is stopped: %q, %v", why, err)
	}
	if got, err := w.belay.Restore(t.Context(), w.restore()); err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestClaimMadeByHandWithItsAnnotations holds that a claim is not taken for one
// that has the snapshot's data because of an annotation alone.
func TestClaimMadeByHandWithItsAnnotations(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassAtOnce, nil)
	w.scaled(true)
	w.killedAt(4, func() {})
	spec := corev1.PersistentVolumeClaimSpec{StorageClassName: &w.class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}
	_, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data", Annotations: map[string]string{"belaybot.github.io/key": "undo"}}, Spec: spec}, metav1.CreateOptions{})
	w.must(err)
	got, err := w.belay.Restore(t.Context(), w.restore())
	if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, "somebody else has made") || !strings.Contains(got.Detail, w.volume+", is kept with all that is on it") {
		t.Errorf("got %+v, %v", got, err)
	}
}
