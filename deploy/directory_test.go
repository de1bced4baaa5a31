package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// TestDirectoryHoldsObjectsAlone keeps `kubectl apply -f deploy/` possible, which
// takes every .yaml, .yml and .json file for objects.
func TestDirectoryHoldsObjectsAlone(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(f.Name())) {
			continue
		}
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			var o unstructured.Unstructured
			err := docs.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f.Name(), err)
			}
			if o.GetAPIVersion() == "" || o.GetName() == "" {
				t.Errorf("%s: this is no object of Kubernetes: %v", f.Name(), o.Object)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("there are no objects")
	}
}
