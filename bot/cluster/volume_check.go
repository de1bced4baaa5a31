package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belaybot/belay/rules/policy"
)

var storageClasses = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}

// CheckRestore says why a restore would be refused, "" when nothing is seen that
// is in its way. It changes nothing, and is asked before the workload is stopped.
// Restores that run a Job are not looked into.
func (c *Cluster) CheckRestore(ctx context.Context, r RestoreRequest) (string, error) {
	if r.Restore.Kind != policy.BackupVolumeSnapshot {
		return "", nil
	}
	namespace, name, err := split(r.Restore.Target)
	if err == nil {
		v := &volume{Cluster: c, r: r, namespace: namespace, name: name}
		if err = v.see(ctx); err == nil {
			err = v.possible(ctx)
		}
	}
	result, err := refusedIsBad(BackupResult{}, err, "restore of "+r.Restore.Target)
	return result.Detail, err
}

// possible refuses what restoreVolume would, for a claim in whatever state.
func (v *volume) possible(ctx context.Context) error {
	switch {
	case v.claim == nil && v.plan == nil:
		return v.lost(ctx)
	case v.claim == nil:
		return v.where(ctx, v.usable()) // belay took it away, and was ended before it had made the new one
	case v.made():
		return nil
	case v.claim.DeletionTimestamp != nil:
		return v.ours()
	}
	return v.check(ctx)
}

// check refuses what cannot go well, before anything is changed.
func (v *volume) check(ctx context.Context) error {
	for _, check := range []func(context.Context) error{v.sound, v.alone, v.ownVolume, v.replicas, v.allowed} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	_, err := v.bindsLate(ctx, v.claim)
	return err
}

// sound looks at the snapshot and the claim themselves.
func (v *volume) sound(ctx context.Context) error {
	if err := v.usable(); err != nil {
		return refuse("%s: nothing is changed", err)
	}
	source, _, _ := unstructured.NestedString(v.object.Object, "spec", "source", "persistentVolumeClaimName")
	what := fmt.Sprintf("PersistentVolumeClaim %s/%s", v.namespace, v.name)
	switch owner := metav1.GetControllerOfNoCopy(v.claim); {
	case source != v.name:
		return refuse("VolumeSnapshot %s was taken of claim %q, not of %q: nothing is changed", v.r.Name, source, v.name)
	case v.plan != nil && v.plan.Key == v.r.Key && v.plan.UID != v.claim.UID:
		return v.where(ctx, refuse("somebody else has made %s anew while it was put back, and without its data", what))
	case v.claim.Spec.VolumeName == "":
		return refuse("%s has no volume yet: nothing is changed", what)
	case v.claim.Spec.StorageClassName == nil || *v.claim.Spec.StorageClassName == "":
		return refuse("%s has no storage class that could make a volume from a snapshot: nothing is changed", what)
	case v.claim.Spec.Selector != nil:
		return refuse("%s chooses its volume by labels (spec.selector), which a volume from a snapshot cannot have: nothing is changed", what)
	case owner != nil:
		return refuse("%s is kept by %s %s, which would make an empty one as soon as it is gone: put it back by that one's means. Nothing is changed", what, owner.Kind, owner.Name)
	}
	return nil
}

// usable holds that the snapshot can be put back now.
func (v *volume) usable() error {
	if v.object == nil {
		return refuse("VolumeSnapshot %s is gone", v.r.Name)
	}
	ready, _, _ := unstructured.NestedBool(v.object.Object, "status", "readyToUse")
	switch {
	case v.object.GetDeletionTimestamp() != nil:
		return refuse("VolumeSnapshot %s is being deleted", v.r.Name)
	case !ready:
		message, _, _ := unstructured.NestedString(v.object.Object, "status", "error", "message")
		return refuse("VolumeSnapshot %s is not ready to use%s", v.r.Name, strings.TrimSuffix(": "+cut(message, longestLine), ": "))
	}
	return nil
}

// ownVolume holds that the volume is the claim's own, and that belay may look at it.
func (v *volume) ownVolume(ctx context.Context) error {
	name := v.claim.Spec.VolumeName
	pv, err := v.api.Volumes().Get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return refuse("PersistentVolume %s of claim %s/%s is gone: nothing is changed", name, v.namespace, v.name)
	case err != nil:
		return attempt{"get", "", "persistentvolumes", "", name}.check(err)
	case pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != v.claim.UID:
		return refuse("PersistentVolume %s does not belong to claim %s/%s: nothing is changed", name, v.namespace, v.name)
	}
	return nil
}

// replicas holds that the claim is not one of several of a StatefulSet, of
// which the snapshot has only one.
func (v *volume) replicas(ctx context.Context) error {
	sets, err := v.api.StatefulSets(v.namespace).List(ctx, metav1.ListOptions{})
	if err := (attempt{"list", "apps", "statefulsets", v.namespace, ""}).check(err); err != nil {
		return err
	}
	for _, set := range sets.Items {
		for _, template := range set.Spec.VolumeClaimTemplates {
			ordinal, ok := strings.CutPrefix(v.name, template.Name+"-"+set.Name+"-")
			if _, err := strconv.Atoi(ordinal); !ok || err != nil {
				continue
			}
			n := replicas(set.Spec.Replicas)
			if had, err := strconv.Atoi(set.Annotations[annotationBefore]); err == nil {
				n = max(n, had)
			}
			if n > 1 {
				return refuse("PersistentVolumeClaim %s/%s is one of the %d of StatefulSet %s, and the snapshot is of this one alone: its replicas would not fit each other. Put them back by hand. Nothing is changed", v.namespace, v.name, n, set.Name)
			}
		}
	}
	return nil
}

// bindsLate reports whether the claim's class makes a volume only when a pod
// wants it.
func (c *Cluster) bindsLate(ctx context.Context, claim *corev1.PersistentVolumeClaim) (bool, error) {
	name := ""
	if claim.Spec.StorageClassName != nil {
		name = *claim.Spec.StorageClassName
	}
	class, err := c.dynamic.Resource(storageClasses).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, refuse("StorageClass %s of claim %s/%s does not exist any more, so no volume can be made: create it", name, claim.Namespace, claim.Name)
	}
	if err := (attempt{"get", storageClasses.Group, storageClasses.Resource, "", name}).check(err); err != nil {
		return false, err
	}
	mode, _, _ := unstructured.NestedString(class.Object, "volumeBindingMode")
	return mode == "WaitForFirstConsumer", nil
}

// warning is the last thing that the cluster complained of about the claim, as
// "; ProvisioningFailed: …"; "" when it did not.
func (v *volume) warning(ctx context.Context) string {
	events, err := v.api.Events(v.namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.uid=" + string(v.claim.UID)})
	if err := (attempt{"list", "", "events", v.namespace, ""}).check(err); err != nil {
		return "; why it takes time cannot be seen: " + err.Error()
	}
	if len(events.Items) == 0 {
		return ""
	}
	last := slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return "; " + cut(last.Reason+": "+last.Message, longestLine)
}

// anew is the claim that comes in the place of the one there is: the same but
// for its source, and as large as the snapshot asks for.
func (v *volume) anew() *corev1.PersistentVolumeClaim {
	old := v.claim
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name, Labels: old.Labels, OwnerReferences: old.OwnerReferences, Annotations: map[string]string{}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: old.Spec.AccessModes, Resources: *old.Spec.Resources.DeepCopy(), StorageClassName: old.Spec.StorageClassName,
			VolumeMode: old.Spec.VolumeMode, VolumeAttributesClassName: old.Spec.VolumeAttributesClassName,
			DataSource: &corev1.TypedLocalObjectReference{APIGroup: new(snapshots.Group), Kind: "VolumeSnapshot", Name: v.snapshot},
		},
	}
	maps.Copy(claim.Annotations, old.Annotations)
	maps.DeleteFunc(claim.Annotations, func(name, _ string) bool {
		group, _, _ := strings.Cut(name, "/")
		// What the cluster notes of a binding is true of the old one alone.
		return slices.Contains([]string{"pv.kubernetes.io", "volume.kubernetes.io", "volume.beta.kubernetes.io", "belaybot.github.io"}, group)
	})
	claim.Annotations[annotationVolume], claim.Annotations[annotationFrom] = old.Spec.VolumeName, v.snapshot
	text, _, _ := unstructured.NestedString(v.object.Object, "status", "restoreSize")
	if size, err := resource.ParseQuantity(text); err == nil && size.Cmp(claim.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = size // the claim was made larger after it was asked for
	}
	return claim
}
