package cluster_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// manifest is a Job in the namespace of the place.
func (w *place) manifest(script kube.Script) []byte {
	return fmt.Appendf(nil, `# taken before every upgrade
apiVersion: batch/v1
kind: Job
metadata:
  name: dump-all
  namespace: %s
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - { name: dump, image: %q }
`, w.namespace, w.image(script))
}

func (w *place) jobRequest(key string, manifest []byte) cluster.BackupRequest {
	r := w.request(key)
	r.Backup.Kind, r.Backup.Target, r.Manifest = policy.BackupJob, "backups/dump.yaml", manifest
	return r
}

func TestJobOfAManifest(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	manifest := w.manifest(kube.Succeeds(0, "dump complete"))
	first := w.ended(w.jobRequest("first", manifest))
	if first.State != lifecycle.Good || !strings.HasPrefix(first.Name, w.namespace+"/dump-all-") || !strings.Contains(first.Detail, "\ndump complete") {
		t.Errorf("got %+v", first)
	}
	second := w.ended(w.jobRequest("second", manifest))
	if !second.Shared || second.Name != first.Name {
		t.Errorf("got %+v, want %s shared", second, first.Name)
	}
	// What the manifest says now is not what was done then.
	third := w.ended(w.jobRequest("third", append([]byte("# dump everything\n"), manifest...)))
	if third.Shared || third.Name == first.Name || third.State != lifecycle.Good {
		t.Errorf("after a change of the manifest got %+v", third)
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	const good = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: dump, namespace: dbaas }\nspec: { template: { spec: { containers: [] } } }\n"
	belay, err := cluster.New(cluster.Options{Config: offline()})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, manifest, want string }{
		{"nothing", "", "backups/dump.yaml is empty"},
		{"only comments", "# nothing\n---\n# here\n", "backups/dump.yaml is empty"},
		{"two documents", good + "---\n" + good, "more than one document"},
		{"another kind", "apiVersion: batch/v1\nkind: CronJob\nmetadata: { name: dump, namespace: dbaas }\n", "is a CronJob: a Job of batch/v1 is expected"},
		{"a kind that is not of batch/v1", "apiVersion: v1\nkind: Pod\nmetadata: { name: dump, namespace: dbaas }\n", "is not a Job that can be read"},
		{"no namespace", strings.Replace(good, ", namespace: dbaas", "", 1), "has no metadata.namespace"},
		{"no name", strings.Replace(good, "name: dump, ", "", 1), "has no metadata.name"},
		{"a misspelt field", strings.Replace(good, "spec: {", "spec: { backofLimit: 0,", 1), `unknown field "spec.backofLimit"`},
		{"not YAML", "{", "is not a Job that can be read"},
		{"too large", good + strings.Repeat("#", 2<<20), "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &place{T: t}
			got, err := belay.Backup(t.Context(), w.jobRequest("key", []byte(test.manifest)))
			if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, test.want) {
				t.Errorf("got %+v, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestJobInANamespaceThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	manifest := strings.Replace(string(w.manifest(kube.Succeeds(0))), w.namespace, "not-there", 1)
	got, err := w.belay.Backup(t.Context(), w.jobRequest("key", []byte(manifest)))
	if err != nil || got.State != lifecycle.Bad || got.Detail != "namespace not-there does not exist" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKindsThatTheClusterDoesNotKnow(t *testing.T) {
	// What an API server says of a group that it does not serve.
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	belay, err := cluster.New(cluster.Options{Config: &rest.Config{Host: server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[policy.BackupKind]string{
		policy.BackupVolumeSnapshot: "does not know volumesnapshots.snapshot.storage.k8s.io", policy.BackupVelero: "does not know backups.velero.io",
	} {
		got, err := belay.Backup(t.Context(), cluster.BackupRequest{Key: "key", Backup: policy.Backup{Kind: kind, Target: "apps/data"}})
		if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, want) {
			t.Errorf("%s: got %+v, %v", kind, got, err)
		}
	}
}

func TestNoneSaysWhy(t *testing.T) {
	belay, err := cluster.New(cluster.Options{Config: offline()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := belay.Backup(t.Context(), cluster.BackupRequest{Backup: policy.Backup{Kind: policy.BackupNone, Target: "its data can be fetched again"}})
	if err != nil || got.State != lifecycle.Good || !strings.Contains(got.Detail, "its data can be fetched again") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestVolumeSnapshot(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.withCRDs()
	r := w.request("open-webui v0.8.12")
	r.Backup.Kind, r.Backup.Target = policy.BackupVolumeSnapshot, w.namespace+"/open-webui-data"
	ask := func(r cluster.BackupRequest) cluster.BackupResult {
		t.Helper()
		got, err := w.belay.Backup(t.Context(), r)
		w.must(err)
		return got
	}
	first := ask(r)
	if first.State != lifecycle.Running || !strings.HasPrefix(first.Name, w.namespace+"/open-webui-data-") {
		t.Fatalf("got %+v", first)
	}
	name := strings.TrimPrefix(first.Name, w.namespace+"/")
	made, err := w.dynamic().Resource(snapshots).Namespace(w.namespace).Get(t.Context(), name, metav1.GetOptions{})
	w.must(err)
	if claim, _, _ := unstructured.NestedString(made.Object, "spec", "source", "persistentVolumeClaimName"); claim != "open-webui-data" {
		t.Errorf("the snapshot is of %q", claim)
	}
	other := r
	other.Key = "another image on the same claim"
	if got := ask(other); !got.Shared || got.Name != first.Name || got.State != lifecycle.Running {
		t.Errorf("one under way is not shared: %+v", got)
	}
	w.status(snapshots, name, map[string]any{"readyToUse": false, "error": map[string]any{"message": "driver is busy"}})
	if got := ask(r); got.State != lifecycle.Running || !strings.Contains(got.Detail, "driver is busy") {
		t.Errorf("with an error that may pass: %+v", got)
	}
	w.clock.forward(6 * time.Minute)
	if got := ask(r); got.State != lifecycle.Bad || !strings.Contains(got.Detail, "driver is busy") || !strings.Contains(got.Detail, "it had 5m0s") {
		t.Errorf("after the time-out: %+v", got)
	}
	if got := ask(other); got.Shared || got.Name == first.Name {
		t.Errorf("one that took too long is shared: %+v", got)
	}
	w.clock.forward(-6 * time.Minute)
	w.status(snapshots, name, map[string]any{"readyToUse": true, "creationTime": time.Now().UTC().Format(time.RFC3339)})
	if got := ask(r); got.State != lifecycle.Good || got.Name != first.Name || got.Shared {
		t.Errorf("when ready: %+v", got)
	}
	third := r
	third.Key = "a third"
	if got := ask(third); got.State != lifecycle.Good || !got.Shared || got.Name != first.Name {
		t.Errorf("one that is ready is not shared first: %+v", got)
	}
	third.Backup.Target = w.namespace + "/another-claim"
	if got := ask(third); got.Shared {
		t.Errorf("a snapshot of another claim is shared: %+v", got)
	}
}

func TestVelero(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status map[string]any
		state  lifecycle.Progress
		want   string
	}{
		{"nothing yet", map[string]any{}, lifecycle.Running, "waits for Velero"},
		{"under way", map[string]any{"phase": "InProgress"}, lifecycle.Running, "is in phase InProgress"},
		{"uploading", map[string]any{"phase": "WaitingForPluginOperations"}, lifecycle.Running, "WaitingForPluginOperations"},
		{"completed", map[string]any{"phase": "Completed"}, lifecycle.Good, "is in phase Completed"},
		{"failed in part", map[string]any{"phase": "PartiallyFailed"}, lifecycle.Bad, "PartiallyFailed"},
		{"failed", map[string]any{"phase": "Failed", "failureReason": "no bucket"}, lifecycle.Bad, "Failed: no bucket"},
		{"refused", map[string]any{"phase": "FailedValidation", "validationErrors": []any{"no such location"}}, lifecycle.Bad, "FailedValidation: no such location"},
		{"being deleted", map[string]any{"phase": "Deleting"}, lifecycle.Bad, "Deleting"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			w.withCRDs()
			w.schedule()
			r := w.request("key")
			r.Backup.Kind, r.Backup.Target = policy.BackupVelero, w.namespace+"/nightly"
			first, err := w.belay.Backup(t.Context(), r)
			w.must(err)
			name := strings.TrimPrefix(first.Name, w.namespace+"/")
			made, err := w.dynamic().Resource(veleroBackups).Namespace(w.namespace).Get(t.Context(), name, metav1.GetOptions{})
			w.must(err)
			if ttl, _, _ := unstructured.NestedString(made.Object, "spec", "ttl"); ttl != "72h0m0s" || made.GetLabels()["velero.io/schedule-name"] != "nightly" || made.GetLabels()["team"] != "home" {
				t.Errorf("the Backup is not that of the Schedule: %v", made.Object)
			}
			w.status(veleroBackups, name, test.status)
			got, err := w.belay.Backup(t.Context(), r)
			if err != nil || got.State != test.state || got.Name != first.Name || !strings.Contains(got.Detail, test.want) {
				t.Errorf("got %+v, %v, want %s: %s", got, err, test.state, test.want)
			}
			r.Key = "another"
			got, err = w.belay.Backup(t.Context(), r)
			if want := test.state != lifecycle.Bad; err != nil || got.Shared != want {
				t.Errorf("for another got %+v, %v, want shared %v", got, err, want)
			}
		})
	}
	t.Run("a Schedule that is missing", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		w.withCRDs()
		r := w.request("key")
		r.Backup.Kind, r.Backup.Target = policy.BackupVelero, w.namespace+"/nightly"
		got, err := w.belay.Backup(t.Context(), r)
		if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, "Schedule "+w.namespace+"/nightly does not exist") {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// schedule makes Velero's Schedule "nightly".
func (w *place) schedule() {
	w.Helper()
	schedule := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "velero.io/v1", "kind": "Schedule",
		"metadata": map[string]any{"name": "nightly", "labels": map[string]any{"team": "home"}},
		"spec":     map[string]any{"schedule": "0 3 * * *", "template": map[string]any{"ttl": "72h0m0s", "includedNamespaces": []any{"apps"}}},
	}}
	_, err := w.dynamic().Resource(veleroSchedules).Namespace(w.namespace).Create(w.Context(), schedule, metav1.CreateOptions{})
	w.must(err)
}
