package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/rules/watch"
)

// ErrCannotScale is wrapped by Scale's errors that no repetition cures: the kind
// has no replicas, a right is missing, or it is scaled down for somebody else.
var ErrCannotScale = errors.New("cannot be scaled")

// Scale takes a Deployment or StatefulSet down to no pods, or back up to what it
// had; Kind "" is whichever of the two has the name. done says that this is so:
// down, that no pod of it is left; up, that the replicas are asked for again
// (whether they become ready is the watch's matter). Call again until it is done.
//
// What it had is kept in an annotation of the workload, written with the change
// itself, so that any later life can bring it back. Only the key that took it
// down brings it up. A workload that is not there is done either way.
func (c *Cluster) Scale(ctx context.Context, key string, w watch.Workload, down bool) (done bool, err error) {
	kinds := []string{w.Kind}
	if w.Kind == "" {
		kinds = []string{"Deployment", "StatefulSet"}
	}
	for _, kind := range kinds {
		found, err := c.scalable(ctx, kind, w)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err == nil {
			done, err = c.scale(ctx, key, found, down)
		}
		if apierrors.IsConflict(err) {
			return false, nil // somebody has just changed it: look again
		}
		var refused *refusal
		if errors.As(err, &refused) {
			err = fmt.Errorf("%w: %w", ErrCannotScale, err)
		}
		if err != nil {
			return false, fmt.Errorf("scale %s %s/%s: %w", kind, w.Namespace, w.Name, err)
		}
		return done, nil
	}
	return true, nil
}

// scalable is what Scale needs of a workload.
type scalable struct {
	kind     string
	meta     metav1.ObjectMeta
	replicas int32 // asked for
	seen     int64 // the generation that the controller has acted on
	selector *metav1.LabelSelector
	patch    func(context.Context, []byte) error
}

func (c *Cluster) scalable(ctx context.Context, kind string, w watch.Workload) (*scalable, error) {
	asked := func(replicas *int32) int32 {
		if replicas == nil {
			return 1
		}
		return *replicas
	}
	switch kind {
	case "Deployment":
		get := attempt{"get", "apps", "deployments", w.Namespace, w.Name}
		d, err := c.api.Deployments(w.Namespace).Get(ctx, w.Name)
		if err := get.check(err); err != nil {
			return nil, err
		}
		return &scalable{kind, d.ObjectMeta, asked(d.Spec.Replicas), d.Status.ObservedGeneration, d.Spec.Selector, func(ctx context.Context, patch []byte) error {
			_, err := c.api.Deployments(w.Namespace).Merge(ctx, w.Name, patch, metav1.PatchOptions{FieldManager: manager})
			return attempt{"patch", "apps", "deployments", w.Namespace, w.Name}.check(err)
		}}, nil
	case "StatefulSet":
		get := attempt{"get", "apps", "statefulsets", w.Namespace, w.Name}
		s, err := c.api.StatefulSets(w.Namespace).Get(ctx, w.Name)
		if err := get.check(err); err != nil {
			return nil, err
		}
		if p := s.Spec.PersistentVolumeClaimRetentionPolicy; p != nil && p.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && len(s.Spec.VolumeClaimTemplates) > 0 {
			return nil, refuse("its persistentVolumeClaimRetentionPolicy.whenScaled is Delete: scaling it down would delete its data")
		}
		return &scalable{kind, s.ObjectMeta, asked(s.Spec.Replicas), s.Status.ObservedGeneration, s.Spec.Selector, func(ctx context.Context, patch []byte) error {
			_, err := c.api.StatefulSets(w.Namespace).Merge(ctx, w.Name, patch, metav1.PatchOptions{FieldManager: manager})
			return attempt{"patch", "apps", "statefulsets", w.Namespace, w.Name}.check(err)
		}}, nil
	}
	return nil, refuse("a %s has no replicas", kind)
}

func (c *Cluster) scale(ctx context.Context, key string, w *scalable, down bool) (bool, error) {
	owner, taken := w.meta.Annotations[annotationScaled]
	if taken && owner != key {
		return false, refuse("it is scaled down for something else (%s)", owner)
	}
	switch {
	case down && taken && w.replicas == 0:
		return c.noPodsLeft(ctx, w)
	case down:
		before := w.replicas
		if had, err := strconv.ParseInt(w.meta.Annotations[annotationBefore], 10, 32); taken && err == nil {
			before = int32(had) // somebody has scaled it up meanwhile
		}
		c.log.Info("scale down", "kind", w.kind, "workload", w.meta.Namespace+"/"+w.meta.Name, "replicas", before, "key", key)
		return false, w.change(ctx, 0, key, strconv.Itoa(int(before)))
	case !taken:
		return true, nil
	}
	before, err := strconv.ParseInt(w.meta.Annotations[annotationBefore], 10, 32)
	if err != nil {
		return false, refuse("its annotation %s is not a number: scale it up by hand and remove the annotation %s", annotationBefore, annotationScaled)
	}
	replicas := int32(before)
	if w.replicas > 0 {
		replicas = w.replicas // somebody was faster, and knows better
	}
	c.log.Info("scale up", "kind", w.kind, "workload", w.meta.Namespace+"/"+w.meta.Name, "replicas", replicas, "key", key)
	err = w.change(ctx, replicas, nil, nil)
	return err == nil, err
}

// noPodsLeft looks at the pods themselves: the workload's own count leaves out
// those that are ending, and they may still write.
func (c *Cluster) noPodsLeft(ctx context.Context, w *scalable) (bool, error) {
	if w.seen < w.meta.Generation {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(w.selector)
	if err != nil {
		return false, refuse("its selector cannot be read: %s", err)
	}
	list := attempt{"list", "", "pods", w.meta.Namespace, ""}
	pods, err := c.api.Pods(w.meta.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err := list.check(err); err != nil {
		return false, err
	}
	for i := range pods.Items {
		// One that is ending is said to have finished a moment before it is gone, and
		// until then it holds its volumes. One that finished long ago writes no more.
		if pod := &pods.Items[i]; pod.DeletionTimestamp != nil || !hasEnded(pod) {
			return false, nil
		}
	}
	return true, nil
}

// change sets replicas and annotations at once, if nobody has changed the
// workload since it was read. nil takes an annotation away.
func (w *scalable) change(ctx context.Context, replicas int32, key, before any) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": w.meta.ResourceVersion,
			"annotations":     map[string]any{annotationScaled: key, annotationBefore: before},
		},
		"spec": map[string]any{"replicas": replicas},
	})
	if err != nil {
		return err
	}
	return w.patch(ctx, patch)
}
