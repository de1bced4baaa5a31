package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

// manifests reads the documents of a YAML file.
func manifests(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", path, err)
		case object.Object != nil:
			objects = append(objects, object)
		}
	}
}

// apply is kubectl apply --server-side, and with dryRun --dry-run=server too.
func apply(t *testing.T, plane *kube.ControlPlane, object *unstructured.Unstructured, dryRun bool) error {
	t.Helper()
	client := dynamic.NewForConfigOrDie(plane.Config())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(plane.Config())))
	mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	options := metav1.ApplyOptions{FieldManager: "test", Force: true}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = resource.Apply(t.Context(), object.GetName(), object, options)
	return err
}

var crds sync.Once

// withCRDs installs the custom resources once and waits until they are served.
func (w *place) withCRDs() {
	w.Helper()
	crds.Do(func() {
		for _, path := range []string{"testdata/crds/volumesnapshots.yaml", "testdata/crds/velero.yaml"} {
			for _, crd := range manifests(w.T, path) {
				w.must(apply(w.T, w.plane, crd, false))
			}
		}
	})
	for _, resource := range []schema.GroupVersionResource{snapshots, veleroBackups, veleroSchedules} {
		err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := w.dynamic().Resource(resource).Namespace(w.namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
		w.must(err)
	}
}

var (
	snapshots       = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}
	veleroBackups   = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "backups"}
	veleroSchedules = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "schedules"}
)

func (w *place) dynamic() dynamic.Interface { return dynamic.NewForConfigOrDie(w.plane.Config()) }

// status sets the status of a custom resource as its controller would.
func (w *place) status(resource schema.GroupVersionResource, name string, status map[string]any) {
	w.Helper()
	client := w.dynamic().Resource(resource).Namespace(w.namespace)
	object, err := client.Get(w.Context(), name, metav1.GetOptions{})
	w.must(err)
	object.Object["status"] = status
	if resource == snapshots {
		_, err = client.UpdateStatus(w.Context(), object, metav1.UpdateOptions{})
	} else {
		_, err = client.Update(w.Context(), object, metav1.UpdateOptions{}) // Velero has no status subresource
	}
	w.must(err)
}
