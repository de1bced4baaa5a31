package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belaybot/belay/rules/lifecycle"
)

var snapshots = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}

// backupSnapshot takes a VolumeSnapshot of a claim, with the default class of
// its driver, and is done when the snapshot is ready to use.
func (c *Cluster) backupSnapshot(ctx context.Context, r BackupRequest) (BackupResult, error) {
	namespace, claim, err := split(r.Backup.Target)
	if err != nil {
		return BackupResult{}, err
	}
	return c.backupObject(ctx, r, objects{
		resource: snapshots, kind: "VolumeSnapshot", namespace: namespace, base: claim,
		of: func(o *unstructured.Unstructured) bool {
			source, _, _ := unstructured.NestedString(o.Object, "spec", "source", "persistentVolumeClaimName")
			return source == claim
		},
		fill: func(_ context.Context, o *unstructured.Unstructured) error {
			return unstructured.SetNestedField(o.Object, claim, "spec", "source", "persistentVolumeClaimName")
		},
		started: func(o *unstructured.Unstructured) time.Time { return moment(o, "status", "creationTime") },
		state: func(o *unstructured.Unstructured) (lifecycle.Progress, string) {
			ready, _, _ := unstructured.NestedBool(o.Object, "status", "readyToUse")
			if ready {
				return lifecycle.Good, "is ready to use"
			}
			// The snapshotter goes on trying, so an error counts when the time is up.
			message, _, _ := unstructured.NestedString(o.Object, "status", "error", "message")
			if message != "" {
				return lifecycle.Running, "is not ready: " + cut(message, longestLine)
			}
			return lifecycle.Running, "is not ready yet"
		},
	})
}

// objects are custom resources that stand for backups.
type objects struct {
	resource  schema.GroupVersionResource
	kind      string
	namespace string
	base      string                                                        // what names begin with
	of        func(*unstructured.Unstructured) bool                         // is a backup of what is asked for
	fill      func(context.Context, *unstructured.Unstructured) error       // completes a new one
	started   func(*unstructured.Unstructured) time.Time                    // zero: not yet
	state     func(*unstructured.Unstructured) (lifecycle.Progress, string) // with words that follow the name
}

// backupObject is Backup for the kinds that are custom resources: find the one
// made for the key, else one that serves, else make it.
func (c *Cluster) backupObject(ctx context.Context, r BackupRequest, o objects) (BackupResult, error) {
	defer c.only(string(r.Backup.Kind) + " " + r.Backup.Target)()
	client := c.dynamic.Resource(o.resource).Namespace(o.namespace)
	try := func(verb, name string) attempt {
		return attempt{verb, o.resource.Group, o.resource.Resource, o.namespace, name}
	}
	free := ""
	for n := 1; n <= attemptsOfOneName && free == ""; n++ {
		name := objectName(o.base, r.Key, n)
		own, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && !noSuchAPI(err):
			if c.wasUnderWay(r.Key, o.namespace+"/"+name) {
				return BackupResult{}, refuse("%s %s/%s was deleted before its end was seen", o.kind, o.namespace, name)
			}
			free = name
			continue
		case err != nil:
			return BackupResult{}, try("get", name).check(err)
		case own.GetAnnotations()[annotationKey] != r.Key:
			return BackupResult{}, refuse("%s %s/%s is in the way: it was not made for this", o.kind, o.namespace, name)
		}
		result := o.look(r, own, c.now())
		if result.State != lifecycle.Running && r.stale(result.Started, c.now()) {
			continue
		}
		if result.State == lifecycle.Running {
			c.underWay(r.Key, result.Name)
		} else {
			c.ended(r.Key)
		}
		return result, nil
	}
	if free == "" {
		return BackupResult{}, refuse("%d objects named %s have been made in namespace %s and none serves: delete old ones", attemptsOfOneName, objectName(o.base, r.Key, 1), o.namespace)
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err := try("list", "").check(err); err != nil {
		return BackupResult{}, err
	}
	if result := o.shared(r, list.Items, c.now()); result.Shared {
		return result, nil
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetAPIVersion(o.resource.GroupVersion().String())
	object.SetKind(o.kind)
	object.SetNamespace(o.namespace)
	object.SetName(free)
	object.SetLabels(r.marks(hash(string(r.Backup.Kind), r.Backup.Target)))
	object.SetAnnotations(map[string]string{annotationKey: r.Key})
	if err := o.fill(ctx, object); err != nil {
		return BackupResult{}, err
	}
	made, err := client.Create(ctx, object, metav1.CreateOptions{FieldManager: manager})
	if err := try("create", free).check(err); err != nil {
		return BackupResult{}, err
	}
	c.log.Info("backup started", "kind", o.kind, "name", o.namespace+"/"+free, "key", r.Key)
	c.underWay(r.Key, o.namespace+"/"+free)
	return o.look(r, made, c.now()), nil
}

// look says how one object stands.
func (o objects) look(r BackupRequest, object *unstructured.Unstructured, now time.Time) BackupResult {
	result := BackupResult{Name: o.namespace + "/" + object.GetName(), Started: o.started(object)}
	created := object.GetCreationTimestamp().Time
	if result.Started.IsZero() {
		result.Started = created
	}
	state, words := o.state(object)
	result.State, result.Detail = state, fmt.Sprintf("%s %s %s", o.kind, result.Name, words)
	switch {
	case state != lifecycle.Running:
	case object.GetDeletionTimestamp() != nil:
		result.State = lifecycle.Bad
		result.Detail += "; it was deleted meanwhile"
	case late(r.Backup, created, now):
		result.State = lifecycle.Bad
		result.Detail += fmt.Sprintf("; it had %s", r.Backup.Timeout)
	}
	return result
}

// shared looks for somebody else's backup that serves: one that is done, else
// one under way, the newest first.
func (o objects) shared(r BackupRequest, list []unstructured.Unstructured, now time.Time) BackupResult {
	slices.SortFunc(list, func(a, b unstructured.Unstructured) int {
		return b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time)
	})
	var found BackupResult
	for i := range list {
		result := o.look(r, &list[i], now)
		if !o.of(&list[i]) || !r.serves(result.Started, now) || list[i].GetDeletionTimestamp() != nil || result.State == lifecycle.Bad {
			continue
		}
		result.Shared = true
		result.Detail = "shared with others who need the same backup: " + result.Detail
		if result.State == lifecycle.Good {
			return result
		}
		if found.State == "" {
			found = result
		}
	}
	return found
}

// moment reads a time of an object, zero where there is none.
func moment(o *unstructured.Unstructured, fields ...string) time.Time {
	text, _, _ := unstructured.NestedString(o.Object, fields...)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
