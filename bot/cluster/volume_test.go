package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// kept is a service whose data is on the claim "data", a snapshot of it, and what
// was written since.
type kept struct {
	*place
	class    string
	disk     atomic.Pointer[string] // where the claim's volume is
	volume   string                 // that the claim had before
	snapshot string                 // "namespace/name"
}

// keeps starts a service, snapshots its "old" data and lets it write "new".
func keeps(t *testing.T, class string, change func(*corev1.PersistentVolumeClaim)) *kept {
	t.Helper()
	w := &kept{place: newPlace(t), class: class}
	w.must(w.plane.StartStorage(t.Context()))
	w.withCRDs()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"meta.helm.sh/release-name": "web"}},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
	}
	if change != nil {
		change(claim)
	}
	_, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Create(t.Context(), claim, metav1.CreateOptions{})
	w.must(err)
	image := w.image(func(ctx context.Context, c *kube.Container) {
		disk := c.Disk(ctx, "data")
		w.disk.Store(&disk)
		kube.ReadyAfter(0)(ctx, c)
	})
	w.mounting("web", image)
	w.podsAre(1)
	w.eventually("the volume is mounted", func(context.Context) (bool, error) { return w.disk.Load() != nil, nil })
	w.write("old")
	r := w.request("before the merge")
	r.Backup = policy.Backup{Kind: policy.BackupVolumeSnapshot, Target: w.namespace + "/data"}
	taken := w.ended(r)
	if taken.State != lifecycle.Good {
		t.Fatalf("the snapshot: %+v", taken)
	}
	w.snapshot = taken.Name
	w.write("new")
	w.volume = w.claim().Spec.VolumeName
	return w
}

// mounting makes a Deployment whose pod has the claim "data".
func (w *kept) mounting(name, image string) {
	w.Helper()
	labels := map[string]string{"app": name}
	_, err := w.admin.AppsV1().Deployments(w.namespace).Create(w.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(1)), Containers: []corev1.Container{{Name: "web", Image: image}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}},
		}}}}, metav1.CreateOptions{})
	w.must(err)
}

func (w *kept) write(text string) {
	w.Helper()
	w.must(os.WriteFile(filepath.Join(*w.disk.Load(), "data"), []byte(text), 0o600))
}

// on reads what is on a volume.
func (w *kept) on(disk string) string {
	text, err := os.ReadFile(filepath.Join(disk, "data"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (w *kept) claim() *corev1.PersistentVolumeClaim {
	w.Helper()
	claim, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Get(w.Context(), "data", metav1.GetOptions{})
	w.must(err)
	return claim
}

var web = watch.Workload{Kind: "Deployment", Name: "web"}

func (w *kept) restore() cluster.RestoreRequest {
	return cluster.RestoreRequest{Key: "undo", Service: "web", Name: w.snapshot, Stopped: []watch.Workload{web},
		Restore: policy.Restore{Kind: policy.BackupVolumeSnapshot, Target: w.namespace + "/data"},
		Backup:  policy.Backup{Kind: policy.BackupVolumeSnapshot, Target: w.namespace + "/data"}}
}

// scaled takes the service down, or up.
func (w *kept) scaled(down bool) {
	w.Helper()
	workload := web
	workload.Namespace = w.namespace
	w.eventually("scale", func(ctx context.Context) (bool, error) { return w.belay.Scale(ctx, "undo", workload, down) })
}

// back asks until the snapshot is put back, or cannot be.
func (w *kept) back(belay *cluster.Cluster) cluster.BackupResult {
	w.Helper()
	return w.until("restore", func() (cluster.BackupResult, error) { return belay.Restore(w.Context(), w.restore()) }, isOver)
}

// together holds the end: the old data in a claim like the one before, and the
// volume of before with all that was written since.
func (w *kept) together() {
	w.Helper()
	former := *w.disk.Load()
	w.disk.Store(nil)
	w.scaled(false)
	w.eventually("the volume is mounted again", func(context.Context) (bool, error) { return w.disk.Load() != nil, nil })
	w.podsAre(1)
	claim := w.claim()
	if got := w.on(*w.disk.Load()); got != "old" || claim.Spec.VolumeName == w.volume {
		w.Errorf("the claim has %s with %q", claim.Spec.VolumeName, got)
	}
	if size := claim.Spec.Resources.Requests[corev1.ResourceStorage]; claim.Labels["app"] != "web" || *claim.Spec.StorageClassName != w.class || size.String() != "1Gi" || !slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}) {
		w.Errorf("the claim is %+v", claim)
	}
	if a := claim.Annotations; a["belaybot.github.io/volume-before"] != w.volume || a["meta.helm.sh/release-name"] != "web" || w.namespace+"/"+a["belaybot.github.io/restored-from"] != w.snapshot {
		w.Errorf("the claim's annotations are %v", a)
	}
	var pv *corev1.PersistentVolume
	w.eventually("the volume of before is released", func(ctx context.Context) (bool, error) { // the controller does that in its own time
		var err error
		pv, err = w.admin.CoreV1().PersistentVolumes().Get(ctx, w.volume, metav1.GetOptions{})
		return err == nil && pv.Status.Phase == corev1.VolumeReleased, err
	})
	if a := pv.Annotations; pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain ||
		a["belaybot.github.io/kept-for"] != w.namespace+"/data" || a["belaybot.github.io/reclaim-policy-before"] != "Delete" {
		w.Errorf("the volume of before is %s, %v", pv.Spec.PersistentVolumeReclaimPolicy, a)
	}
	if got := w.on(former); got != "new" {
		w.Errorf("on the volume of before is %q", got)
	}
	volumes, err := w.admin.CoreV1().PersistentVolumes().List(w.Context(), metav1.ListOptions{})
	w.must(err)
	n := 0
	for _, v := range volumes.Items {
		if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == w.namespace {
			n++
		}
	}
	if n != 2 {
		w.Errorf("there are %d volumes, want the one of before and the one of now", n)
	}
}

func TestSnapshotIsPutBack(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{kube.ClassAtOnce: "\nit has PersistentVolume pvc-", kube.ClassLate: "\nits class makes the new volume when the workload starts"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			w := keeps(t, class, nil)
			if why, err := w.belay.CheckRestore(t.Context(), w.restore()); why != "" || err != nil {
				t.Fatalf("it is refused before the workload is stopped: %s, %v", why, err)
			}
			w.scaled(true)
			got := w.back(w.belay)
			if got.State != lifecycle.Good || !strings.Contains(got.Detail, want) || !strings.Contains(got.Detail, w.volume+", is kept with all that is on it") {
				t.Errorf("got %+v", got)
			}
			// Asked again, it is found done.
			if again := w.back(w.life(w.plane.Config())); again.State != lifecycle.Good || again.Name != got.Name {
				t.Errorf("asked again, got %+v", again)
			}
			w.together()
		})
	}
}

// errKilled is what a belay that was killed would have seen.
var errKilled = errors.New("killed")

// killer ends a life at its nth change of the cluster, before it is made or after.
type killer struct {
	next   http.RoundTripper
	at     int32
	before bool
	writes atomic.Int32
	dead   atomic.Bool
}

// dry reports whether the request changes nothing. Of a deletion, the body says so.
func (k *killer) dry(r *http.Request) bool {
	if r.Method != http.MethodDelete {
		return r.URL.Query().Has("dryRun")
	}
	body, err := r.GetBody()
	if err != nil {
		return false
	}
	text, err := io.ReadAll(body)
	return err == nil && bytes.Contains(text, []byte(metav1.DryRunAll))
}

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if k.dead.Load() {
		return nil, errKilled
	}
	if r.Method == http.MethodGet || k.dry(r) || k.writes.Add(1) != k.at {
		return k.next.RoundTrip(r)
	}
	k.dead.Store(true)
	if k.before {
		return nil, errKilled
	}
	if response, err := k.next.RoundTrip(r); err == nil {
		_ = response.Body.Close()
	}
	return nil, errKilled
}

// TestKilledBetweenStepsOfPuttingASnapshotBack kills belay before and after each
// of its changes; the end is always the same.
func TestKilledBetweenStepsOfPuttingASnapshotBack(t *testing.T) {
	t.Parallel()
	const changes = 4 // the plan, the volume is kept, the claim goes, the claim comes
	for at := int32(1); at <= changes+1; at++ {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("change %d, before it: %v", at, before), func(t *testing.T) {
				t.Parallel()
				w := keeps(t, []string{kube.ClassAtOnce, kube.ClassLate}[at%2], nil)
				w.scaled(true)
				k := &killer{at: at, before: before}
				config := w.plane.Config()
				config.Wrap(func(next http.RoundTripper) http.RoundTripper { k.next = next; return k })
				first := w.life(config)
				w.eventually("it is killed, or done", func(ctx context.Context) (bool, error) {
					got, err := first.Restore(ctx, w.restore())
					return errors.Is(err, errKilled) || isOver(got), nil
				})
				if killed := k.dead.Load(); killed != (at <= changes) {
					t.Fatalf("killed: %v after %d changes", killed, k.writes.Load())
				}
				if got := w.back(w.life(w.plane.Config())); got.State != lifecycle.Good {
					t.Fatalf("the next life: %+v", got)
				}
				w.together()
			})
		}
	}
}
