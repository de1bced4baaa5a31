package cluster

import (
	"context"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belaybot/belay/rules/lifecycle"
)

var (
	veleroBackups   = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "backups"}
	veleroSchedules = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "schedules"}
)

// veleroScheduleLabel is what Velero puts on the Backups of a Schedule.
const veleroScheduleLabel = "velero.io/schedule-name"

// backupVelero makes a Backup of a Schedule's template, as `velero backup create
// --from-schedule` does, and is done when its phase is Completed.
func (c *Cluster) backupVelero(ctx context.Context, r BackupRequest) (BackupResult, error) {
	namespace, name, err := split(r.Backup.Target)
	if err != nil {
		return BackupResult{}, err
	}
	return c.backupObject(ctx, r, objects{
		resource: veleroBackups, kind: "Backup", namespace: namespace, base: name,
		of: func(o *unstructured.Unstructured) bool { return o.GetLabels()[veleroScheduleLabel] == name },
		fill: func(ctx context.Context, o *unstructured.Unstructured) error {
			return c.fillFromSchedule(ctx, o, namespace, name)
		},
		started: func(o *unstructured.Unstructured) time.Time { return moment(o, "status", "startTimestamp") },
		state:   veleroState,
	})
}

func (c *Cluster) fillFromSchedule(ctx context.Context, o *unstructured.Unstructured, namespace, name string) error {
	get := attempt{"get", veleroSchedules.Group, veleroSchedules.Resource, namespace, name}
	schedule, err := c.dynamic.Resource(veleroSchedules).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && !noSuchAPI(err) {
		return refuse("Velero's Schedule %s/%s does not exist: create it, or correct its name in belay.yml", namespace, name)
	}
	if err := get.check(err); err != nil {
		return err
	}
	template, _, err := unstructured.NestedMap(schedule.Object, "spec", "template")
	if err != nil {
		return refuse("Velero's Schedule %s/%s has no template that can be read: %s", namespace, name, err)
	}
	if err := unstructured.SetNestedMap(o.Object, template, "spec"); err != nil {
		return err
	}
	labels := maps.Clone(schedule.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, o.GetLabels())
	labels[veleroScheduleLabel] = name
	o.SetLabels(labels)
	return nil
}

// veleroState reads the phase. Whatever is not known to be an end is under way:
// Velero has added phases before.
func veleroState(o *unstructured.Unstructured) (lifecycle.Progress, string) {
	phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
	words := "is in phase " + phase
	if phase == "" {
		words = "waits for Velero"
	}
	if reason, _, _ := unstructured.NestedString(o.Object, "status", "failureReason"); reason != "" {
		words += ": " + cut(reason, longestLine)
	}
	if faults, _, _ := unstructured.NestedStringSlice(o.Object, "status", "validationErrors"); len(faults) > 0 {
		words += ": " + cut(strings.Join(faults, "; "), longestLine)
	}
	switch phase {
	case "Completed":
		return lifecycle.Good, words
	case "Failed", "FailedValidation", "PartiallyFailed", "Deleting":
		return lifecycle.Bad, words
	}
	return lifecycle.Running, words
}
