package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keep has the volume outlive its claim. What was planned is written on it as
// well: it is what is left when the snapshot goes after the claim went.
func (v *volume) keep(ctx context.Context) error {
	pv, err := v.api.Volumes().Get(ctx, v.plan.Volume)
	if err := (attempt{"get", "", "persistentvolumes", "", v.plan.Volume}).check(err); err != nil {
		return err
	}
	kept := v.namespace + "/" + v.name
	if pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain && pv.Annotations[annotationKeptFor] == kept {
		if plan := planOf(pv.Annotations[annotationPlan]); plan != nil && plan.Key == v.plan.Key {
			return nil
		}
	}
	before := pv.Annotations[annotationReclaim]
	if before == "" {
		before = string(pv.Spec.PersistentVolumeReclaimPolicy)
	}
	plan, err := json.Marshal(v.plan)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": pv.ResourceVersion, "annotations": map[string]any{
			annotationKeptFor: kept, annotationKey: v.r.Key, annotationReclaim: before, annotationPlan: string(plan),
		}},
		"spec": map[string]any{"persistentVolumeReclaimPolicy": corev1.PersistentVolumeReclaimRetain},
	})
	if err != nil {
		return err
	}
	pv, err = v.api.Volumes().Merge(ctx, v.plan.Volume, patch, metav1.PatchOptions{FieldManager: manager})
	if err := (attempt{"patch", "", "persistentvolumes", "", v.plan.Volume}).check(err); err != nil {
		return err
	}
	if pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
		return refuse("the reclaim policy of PersistentVolume %s stays %s: claim %s is left as it is", pv.Name, pv.Spec.PersistentVolumeReclaimPolicy, kept)
	}
	return nil
}

// former says what has become of the volume that the claim had, as it is now:
// "the volume that it had, pvc-1, is kept with all that is on it".
func (v *volume) former(ctx context.Context) string {
	name := ""
	switch {
	case v.plan != nil:
		name = v.plan.Volume
	case v.claim != nil:
		name = v.claim.Annotations[annotationVolume]
	}
	if name == "" {
		return "which volume it had is not known any more"
	}
	what := "the volume that it had, " + name + ","
	pv, err := v.api.Volumes().Get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return what + " is gone; whether its disk is too, the storage has to say"
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at (%s), so whether it is kept is not known", what, attempt{"get", "", "persistentvolumes", "", name}.check(err))
	case pv.DeletionTimestamp != nil:
		return what + " is being deleted"
	case pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain:
		return fmt.Sprintf("%s is still there, but somebody has set its reclaim policy to %s", what, pv.Spec.PersistentVolumeReclaimPolicy)
	}
	return what + " is kept with all that is on it"
}

// where says of a refusal, after the old claim went, where the data of before is
// and how it comes back. nil stays nil.
func (v *volume) where(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	text := fmt.Sprintf("%s. PersistentVolumeClaim %s/%s was taken away to be made anew from its snapshot; %s", err, v.namespace, v.name, v.former(ctx))
	if pv, err := v.api.Volumes().Get(ctx, v.plan.Volume); err != nil || pv.DeletionTimestamp != nil {
		return refuse("%s", text)
	}
	return refuse("%s. To give it back: kubectl patch pv %s --type merge -p '%s', then make the claim again with spec.volumeName: %s (docs/operate.md, \"Back to the old volume\")",
		text, v.plan.Volume, fmt.Sprintf(`{"spec":{"claimRef":{"namespace":%q,"name":%q,"uid":null,"resourceVersion":null}}}`, v.namespace, v.name), v.plan.Volume)
}

// lost is the refusal for a claim that is not there, where no plan says why.
// When the snapshot went after belay took the claim away, the volume knows.
func (v *volume) lost(ctx context.Context) error {
	claim := v.namespace + "/" + v.name
	err := v.usable()
	if err == nil {
		err = refuse("VolumeSnapshot %s does not say any more what was to be put back", v.r.Name)
	}
	volumes, listed := v.api.Volumes().List(ctx, metav1.ListOptions{})
	if listed != nil {
		return refuse("PersistentVolumeClaim %s does not exist: %s. If belay took the claim away, its volume is kept: kubectl get pv -o yaml shows it by the annotation %s: %s. Whether there is one belay cannot see: %s",
			claim, err, annotationKeptFor, claim, attempt{"list", "", "persistentvolumes", "", ""}.check(listed))
	}
	var found *volumePlan
	for i := range volumes.Items {
		pv := &volumes.Items[i]
		if pv.Annotations[annotationKeptFor] != claim || pv.Annotations[annotationKey] != v.r.Key {
			continue
		}
		if found = planOf(pv.Annotations[annotationPlan]); found == nil {
			found = &volumePlan{Volume: pv.Name}
		}
	}
	if found == nil {
		return refuse("PersistentVolumeClaim %s does not exist, and it was not belay that took it away: nothing is changed", claim)
	}
	v.plan = found
	return v.where(ctx, err)
}
