package cluster

import (
	"context"
	"encoding/base64"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// Keep puts values into the Secret namespace/name, beside those that are there.
// It makes the Secret where there is none. It needs the rights to get, and to
// update or create, that one Secret.
func (c *Cluster) Keep(ctx context.Context, target string, values map[string]string) error {
	namespace, name, err := split(target)
	if err != nil {
		return err
	}
	resource := c.dynamic.Resource(secrets).Namespace(namespace)
	object, err := resource.Get(ctx, name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if missing {
		object = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"namespace": namespace, "name": name}}}
	} else if err := (attempt{"get", "", "secrets", namespace, name}).check(err); err != nil {
		return err
	}
	for key, value := range values {
		if err := unstructured.SetNestedField(object.Object, base64.StdEncoding.EncodeToString([]byte(value)), "data", key); err != nil {
			return refuse("Secret %s has data of an unexpected form: %s", target, err)
		}
	}
	if missing {
		_, err = resource.Create(ctx, object, metav1.CreateOptions{})
		return attempt{"create", "", "secrets", namespace, name}.check(err)
	}
	_, err = resource.Update(ctx, object, metav1.UpdateOptions{})
	return attempt{"update", "", "secrets", namespace, name}.check(err)
}
