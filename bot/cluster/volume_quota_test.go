package cluster_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// quotas allows so much in the namespace, and waits until it is counted.
func (w *kept) quotas(name corev1.ResourceName, most string) {
	w.Helper()
	quotas := w.admin.CoreV1().ResourceQuotas(w.namespace)
	_ = quotas.Delete(w.Context(), "claims", metav1.DeleteOptions{})
	_, err := quotas.Create(w.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "claims"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{name: resource.MustParse(most)}}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the quota is counted", func(ctx context.Context) (bool, error) {
		q, err := quotas.Get(ctx, "claims", metav1.GetOptions{})
		return err == nil && len(q.Status.Used) == 1, err
	})
}

func TestQuotaThatCountsTheOldClaim(t *testing.T) {
	t.Parallel()
	for name, most := range map[corev1.ResourceName]string{
		corev1.ResourcePersistentVolumeClaims:                              "1",
		corev1.ResourceRequestsStorage:                                     "1Gi",
		kube.ClassAtOnce + ".storageclass.storage.k8s.io/requests.storage": "1Gi",
	} {
		t.Run(strings.ReplaceAll(string(name), "/", " "), func(t *testing.T) {
			t.Parallel()
			w := keeps(t, kube.ClassAtOnce, nil)
			w.quotas(name, most)
			if why, err := w.belay.CheckRestore(t.Context(), w.restore()); why != "" || err != nil {
				t.Errorf("before the workload is stopped: %q, %v", why, err)
			}
			w.scaled(true)
			if got := w.back(w.belay); got.State != lifecycle.Good {
				t.Errorf("got %+v", got)
			}
			w.together()
		})
	}
}

// TestQuotaThatHasNoRoomForTheNewClaim holds that nothing is begun when the
// quota would refuse the new claim even with the old one gone.
func TestQuotaThatHasNoRoomForTheNewClaim(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		claim string
		quota func(*kept)
	}{
		{name: "there are too many already", quota: func(w *kept) { w.quotas(corev1.ResourcePersistentVolumeClaims, "0") }},
		{name: "the snapshot is larger than the claim, and the quota is not", quota: func(w *kept) {
			w.status(snapshots, w.snapshotName(), map[string]any{"readyToUse": true, "restoreSize": "2Gi"})
			w.quotas(corev1.ResourceRequestsStorage, "1536Mi")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := keeps(t, kube.ClassAtOnce, nil)
			before := w.claim()
			test.quota(w)
			want := "a quota refuses to create persistentvolumeclaims"
			if why, err := w.belay.CheckRestore(t.Context(), w.restore()); err != nil || !strings.Contains(why, want) {
				t.Errorf("before the workload is stopped: %q, %v", why, err)
			}
			w.scaled(true)
			if got, err := w.belay.Restore(t.Context(), w.restore()); err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, want) {
				t.Errorf("got %+v, %v", got, err)
			}
			w.untouched(before)
		})
	}
}

// TestQuotaThatComesWhileTheClaimIsAway waits for it a while, says where the data
// is, and goes on when there is room again.
func TestQuotaThatComesWhileTheClaimIsAway(t *testing.T) {
	t.Parallel()
	w := keeps(t, kube.ClassLate, nil)
	w.scaled(true)
	w.clock.forward(-time.Hour) // that long ago the claim was deleted, and something kept it from going
	belay := w.at(http.MethodPost, func() {
		w.clock.forward(time.Hour)
		w.quotas(corev1.ResourcePersistentVolumeClaims, "0")
	})
	waiting := w.until("a refusal", func() (cluster.BackupResult, error) { return belay.Restore(w.Context(), w.restore()) },
		func(r cluster.BackupResult) bool { return strings.Contains(r.Detail, "exceeded quota") })
	if waiting.State != lifecycle.Running || !strings.Contains(waiting.Detail, w.volume+", is kept with all that is on it") {
		t.Errorf("at first %+v", waiting)
	}
	w.clock.forward(11 * time.Minute)
	got := w.back(w.belay)
	if got.State != lifecycle.Bad || !strings.Contains(got.Detail, "a quota refuses to create persistentvolumeclaims") || !strings.Contains(got.Detail, w.volume+", is kept with all that is on it. To give it back: kubectl patch pv "+w.volume) {
		t.Errorf("at last %+v", got)
	}
	w.quotas(corev1.ResourcePersistentVolumeClaims, "5")
	if got := w.back(w.life(w.plane.Config())); got.State != lifecycle.Good {
		t.Errorf("with room again %+v", got)
	}
	w.together()
}

// TestNameOfAQuota holds that a claim whose name speaks of a quota is not taken
// away where the new one would be refused for another reason.
func TestNameOfAQuota(t *testing.T) {
	t.Parallel()
	const name = "exceeded-quota-data"
	w := keeps(t, kube.ClassAtOnce, nil)
	w.another(name)
	r := w.restore()
	r.Restore.Target, r.Name = w.namespace+"/"+name, w.snapshotOf(name)
	all := rights(t, "belay-backup", "belay-restore", "belay-volumes")
	var rest []right
	for _, have := range all {
		if have != (right{"", "persistentvolumeclaims", "create"}) {
			rest = append(rest, have)
		}
	}
	config, err := w.plane.ConfigFor(t.Context(), w.bot("quota", rest))
	w.must(err)
	w.eventually("refused for want of the right", func(ctx context.Context) (bool, error) {
		why, err := w.life(config).CheckRestore(ctx, r)
		return strings.Contains(why, "not allowed to create persistentvolumeclaims"), err
	})
}
