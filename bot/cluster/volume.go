package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Annotations of a claim that is made anew from a snapshot, of the volume that
// it had, and of the snapshot.
const (
	annotationPlan    = "belaybot.github.io/restore"               // of the snapshot and of the volume: a volumePlan as JSON
	annotationVolume  = "belaybot.github.io/volume-before"         // of the claim: the volume that it had
	annotationFrom    = "belaybot.github.io/restored-from"         // of the claim: the snapshot
	annotationKeptFor = "belaybot.github.io/kept-for"              // of the volume: "media/data", the claim that had it
	annotationReclaim = "belaybot.github.io/reclaim-policy-before" // of the volume: "Delete"
)

// volumePlan is what putting a snapshot back has set out to do. It is written on
// the snapshot before anything is changed: between the end of the old claim and
// the beginning of the new one, nothing else knows what the claim was like.
type volumePlan struct {
	Key    string                        `json:"key"`
	At     time.Time                     `json:"at"`
	UID    types.UID                     `json:"uid"`    // of the claim that goes
	Volume string                        `json:"volume"` // that it has, and that is kept
	Claim  *corev1.PersistentVolumeClaim `json:"claim"`  // that comes in its place
}

// planOf reads a plan from an annotation; nil when it is none.
func planOf(text string) *volumePlan {
	plan := &volumePlan{}
	if err := json.Unmarshal([]byte(text), plan); err != nil || plan.Claim == nil || plan.Volume == "" {
		return nil
	}
	return plan
}

// volume is a claim that is made anew from a snapshot, as it stands.
type volume struct {
	*Cluster
	r                         RestoreRequest
	namespace, name, snapshot string
	object                    *unstructured.Unstructured // the snapshot; nil: gone
	plan                      *volumePlan                // nil: none yet
	claim                     *corev1.PersistentVolumeClaim
}

// restoreVolume makes a claim anew from its snapshot, while nothing uses it. The
// volume that the claim had is kept, whatever its reclaim policy was. Each step is
// found done or not done by what is in the cluster, so that any life can go on
// with it:
//
//	the plan is written on the snapshot
//	the volume's reclaim policy becomes Retain
//	the claim is deleted
//	a claim of the same name is made with the snapshot as its source
//	it is bound, or its class waits for the first pod to bind it
//
// What cannot be is refused before the first step, and nothing is changed then.
func (c *Cluster) restoreVolume(ctx context.Context, r RestoreRequest) (BackupResult, error) {
	namespace, name, err := split(r.Restore.Target)
	if err != nil {
		return BackupResult{}, err
	}
	defer c.only("restore " + r.Restore.Target)()
	v := &volume{Cluster: c, r: r, namespace: namespace, name: name}
	v.r.Stopped = nil // by now: whatever still runs was started again
	if err := v.see(ctx); err != nil {
		return BackupResult{}, err
	}
	switch {
	case v.claim == nil:
		return v.create(ctx)
	case v.made():
		return v.look(ctx)
	case v.claim.DeletionTimestamp != nil:
		return v.going(ctx)
	}
	if err := v.check(ctx); err != nil {
		return BackupResult{}, err
	}
	if err := v.prepare(ctx); err != nil {
		return BackupResult{}, err
	}
	c.log.Info("claim is taken away to be made anew from its snapshot", "claim", r.Restore.Target, "volume", v.plan.Volume, "snapshot", r.Name, "key", r.Key)
	remove := attempt{"delete", "", "persistentvolumeclaims", namespace, name}
	err = c.api.Claims(namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(v.claim.UID))})
	if err := remove.check(err); err != nil && !apierrors.IsNotFound(err) {
		return BackupResult{}, err
	}
	if err := v.see(ctx); err != nil {
		return BackupResult{}, err
	}
	if v.claim != nil {
		return v.going(ctx)
	}
	return v.create(ctx)
}

// made reports whether the claim is the one that comes for this key. An apply
// of the whole repository may have taken belay's annotations away meanwhile, and
// a person who made the claim by hand may have kept them.
func (v *volume) made() bool {
	source := v.claim.Spec.DataSource
	if source == nil || source.Kind != "VolumeSnapshot" || source.Name != v.snapshot {
		return false
	}
	return v.claim.Annotations[annotationKey] == v.r.Key || v.plan != nil && v.plan.Key == v.r.Key && v.plan.UID != v.claim.UID
}

// see reads the snapshot, the plan on it, and the claim.
func (v *volume) see(ctx context.Context) error {
	namespace, snapshot, err := split(v.r.Name)
	if err != nil {
		return refuse("which snapshot was taken before the merge is not known: nothing is changed")
	}
	if namespace != v.namespace {
		return refuse("VolumeSnapshot %s is not in the namespace of claim %s/%s: nothing is changed", v.r.Name, v.namespace, v.name)
	}
	v.snapshot, v.object, v.plan, v.claim = snapshot, nil, nil, nil
	object, err := v.dynamic.Resource(snapshots).Namespace(namespace).Get(ctx, snapshot, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && !noSuchAPI(err):
	case err != nil:
		return attempt{"get", snapshots.Group, snapshots.Resource, namespace, snapshot}.check(err)
	default:
		v.object = object
	}
	if text := v.annotation(annotationPlan); text != "" {
		if v.plan = planOf(text); v.plan == nil {
			return refuse("the annotation %s of VolumeSnapshot %s cannot be read: remove it when claim %s/%s is as it should be", annotationPlan, v.r.Name, v.namespace, v.name)
		}
	}
	claim, err := v.api.Claims(v.namespace).Get(ctx, v.name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err := (attempt{"get", "", "persistentvolumeclaims", v.namespace, v.name}).check(err); err != nil {
		return err
	}
	v.claim = claim
	return nil
}

func (v *volume) annotation(name string) string {
	if v.object == nil {
		return ""
	}
	return v.object.GetAnnotations()[name]
}

// ours holds that it was belay that deleted the claim.
func (v *volume) ours() error {
	if v.plan == nil || v.plan.UID != v.claim.UID {
		return refuse("PersistentVolumeClaim %s/%s is being deleted by somebody else: nothing is changed", v.namespace, v.name)
	}
	return nil
}

// going waits for a claim that is being deleted: it goes when no pod uses it any
// more.
func (v *volume) going(ctx context.Context) (BackupResult, error) {
	if err := v.ours(); err != nil {
		return BackupResult{}, err
	}
	// Whoever changed the policy meanwhile did not mean the data to go now.
	if err := v.keep(ctx); err != nil && !apierrors.IsNotFound(err) {
		return BackupResult{}, err
	}
	out := BackupResult{State: lifecycle.Running, Name: v.namespace + "/" + v.name, Started: v.plan.At,
		Detail: fmt.Sprintf("PersistentVolumeClaim %s/%s is being taken away; %s", v.namespace, v.name, v.former(ctx))}
	users, err := v.users(ctx)
	if err != nil {
		return BackupResult{}, err
	}
	if text := v.holding(users); text != "" {
		out.Detail += "\n" + text
	}
	if v.now().Sub(out.Started) > max(restoreLimit, v.r.Backup.Timeout) {
		out.State = lifecycle.Bad
	}
	return out, nil
}

// prepare writes the plan on the snapshot and has the volume kept.
func (v *volume) prepare(ctx context.Context) error {
	if v.plan == nil || v.plan.Key != v.r.Key || v.plan.UID != v.claim.UID {
		plan := &volumePlan{Key: v.r.Key, At: v.now().UTC().Truncate(time.Second), UID: v.claim.UID, Volume: v.claim.Spec.VolumeName, Claim: v.anew()}
		text, err := json.Marshal(plan)
		if err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"resourceVersion": v.object.GetResourceVersion(), "annotations": map[string]any{annotationPlan: string(text)},
		}})
		if err != nil {
			return err
		}
		_, err = v.dynamic.Resource(snapshots).Namespace(v.namespace).Patch(ctx, v.snapshot, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		if err := (attempt{"patch", snapshots.Group, snapshots.Resource, v.namespace, v.snapshot}).check(err); err != nil {
			return err
		}
		v.plan = plan
	}
	return v.keep(ctx)
}

// createGrace is how long the new claim may be refused: it takes a moment until
// a quota does not count the old one any more, and what was allowed when it was
// tried out may be so again.
const createGrace = 10 * time.Minute

// create makes the claim that comes in the place of the one that went.
func (v *volume) create(ctx context.Context) (BackupResult, error) {
	if v.plan == nil {
		return BackupResult{}, v.lost(ctx)
	}
	if err := v.usable(); err != nil {
		return BackupResult{}, v.where(ctx, err)
	}
	claim := v.plan.Claim.DeepCopy()
	claim.Annotations[annotationKey] = v.r.Key
	made, err := v.api.Claims(v.namespace).Create(ctx, claim, metav1.CreateOptions{FieldManager: manager})
	waits := BackupResult{State: lifecycle.Running, Name: v.namespace + "/" + v.name, Started: v.plan.At}
	switch {
	case err == nil:
		v.claim = made
		v.log.Info("claim is made anew from its snapshot", "claim", v.r.Restore.Target, "snapshot", v.r.Name, "key", v.r.Key)
		return v.look(ctx)
	case apierrors.IsAlreadyExists(err):
		waits.Detail = "somebody has just made the claim"
		return waits, nil
	}
	err = attempt{"create", "", "persistentvolumeclaims", v.namespace, v.name}.check(err)
	if _, ok := err.(*refusal); !ok { //nolint:errorlint // check returns it as it is
		return BackupResult{}, err
	}
	if v.now().Sub(v.away(ctx)) < createGrace {
		waits.Detail = fmt.Sprintf("PersistentVolumeClaim %s/%s is away, and the new one is refused, which is tried again for ten minutes: %s; %s", v.namespace, v.name, cut(strings.ReplaceAll(err.Error(), "\n", " "), longestLine), v.former(ctx))
		return waits, nil
	}
	return BackupResult{}, v.where(ctx, err)
}

// away is since when the old claim is gone: its volume was released then.
func (v *volume) away(ctx context.Context) time.Time {
	pv, err := v.api.Volumes().Get(ctx, v.plan.Volume)
	if err != nil || pv.Status.Phase != corev1.VolumeReleased || pv.Status.LastPhaseTransitionTime == nil || pv.Status.LastPhaseTransitionTime.Before(&metav1.Time{Time: v.plan.At}) {
		return v.plan.At
	}
	return pv.Status.LastPhaseTransitionTime.Time
}

// look says how the new claim stands.
func (v *volume) look(ctx context.Context) (BackupResult, error) {
	out := BackupResult{State: lifecycle.Running, Name: v.namespace + "/" + v.name, Started: v.claim.CreationTimestamp.Time,
		Detail: fmt.Sprintf("PersistentVolumeClaim %s/%s is made anew from VolumeSnapshot %s; %s", v.namespace, v.name, v.r.Name, v.former(ctx))}
	switch v.claim.Status.Phase {
	case corev1.ClaimBound:
		out.State = lifecycle.Good
		out.Detail += fmt.Sprintf("\nit has PersistentVolume %s now", v.claim.Spec.VolumeName)
		return out, nil
	case corev1.ClaimLost:
		out.State = lifecycle.Bad
		out.Detail += fmt.Sprintf("\nits new volume %s is gone", v.claim.Spec.VolumeName)
		return out, nil
	case corev1.ClaimPending:
	}
	late, err := v.bindsLate(ctx, v.claim)
	switch {
	case err != nil:
		return BackupResult{}, err
	case late:
		out.State = lifecycle.Good
		out.Detail += "\nits class makes the new volume when the workload starts"
		return out, nil
	}
	out.Detail += "\nits new volume is being made" + v.warning(ctx)
	if v.now().Sub(out.Started) > max(restoreLimit, v.r.Backup.Timeout) {
		out.State = lifecycle.Bad
	}
	return out, nil
}
