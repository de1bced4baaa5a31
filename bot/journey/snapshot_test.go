package journey_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

var snapshots = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}

// snapshots has the cluster know volumes and their snapshots.
func (w *world) snapshots(t *testing.T) {
	t.Helper()
	w.crds.Do(func() { w.install(t) })
}

func (w *world) install(t *testing.T) {
	t.Helper()
	must(t, w.plane.StartStorage(t.Context()))
	file, err := os.Open("../cluster/testdata/crds/volumesnapshots.yaml")
	must(t, err)
	defer file.Close()
	client := dynamic.NewForConfigOrDie(w.plane.Config()).Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		crd := &unstructured.Unstructured{}
		err := decoder.Decode(&crd.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		_, err = client.Create(t.Context(), crd, metav1.CreateOptions{})
		must(t, err)
	}
}

// snapshotTaken waits for a snapshot in a namespace and plays the driver that
// takes it.
func (w *world) snapshotTaken(j *journey, namespace string) {
	j.Helper()
	client := dynamic.NewForConfigOrDie(w.plane.Config()).Resource(snapshots).Namespace(namespace)
	j.eventually("a snapshot is asked for in "+namespace, func() bool {
		list, err := client.List(j.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 {
			return false
		}
		snapshot := &list.Items[0]
		snapshot.Object["status"] = map[string]any{"readyToUse": true, "creationTime": time.Now().UTC().Format(time.RFC3339)}
		_, err = client.UpdateStatus(j.Context(), snapshot, metav1.UpdateOptions{})
		return err == nil
	})
}
