package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/rules/watch"
)

// user is a pod that has the claim among its volumes.
type user struct {
	pod, text string // "report-7", "pod report-7 of Job report"
	finished  bool   // its containers have ended, and will not start again
	placed    bool   // on a node: only then it keeps the claim from going
	ending    bool   // it is being deleted
}

// users are the pods that mount the claim, without those of the workloads that
// are stopped for it, unless they have finished: to scale a workload down leaves
// those where they are, such as the ones that were evicted.
//
// The cluster keeps a claim that is deleted for as long as there is a pod on a
// node that names it, whatever has become of the pod
// (kubernetes.io/pvc-protection): one of a Job that has succeeded counts as well
// as one that runs.
func (v *volume) users(ctx context.Context) ([]user, error) {
	pods, err := v.api.Pods(v.namespace).List(ctx, metav1.ListOptions{})
	if err := (attempt{"list", "", "pods", v.namespace, ""}).check(err); err != nil {
		return nil, err
	}
	var out []user
	for _, pod := range pods.Items {
		mounts := slices.ContainsFunc(pod.Spec.Volumes, func(m corev1.Volume) bool {
			return m.PersistentVolumeClaim != nil && m.PersistentVolumeClaim.ClaimName == v.name
		})
		o := ownerOf(pod.ObjectMeta)
		stopped := slices.ContainsFunc(v.r.Stopped, func(w watch.Workload) bool {
			return w.Name == o.name && (w.Kind == "" || w.Kind == o.kind) && (w.Namespace == "" || w.Namespace == v.namespace)
		})
		u := user{pod: pod.Name, text: "pod " + pod.Name, finished: hasEnded(&pod), placed: pod.Spec.NodeName != "", ending: pod.DeletionTimestamp != nil}
		if !mounts || stopped && !u.finished {
			continue
		}
		if o.kind != "Pod" {
			u.text += " of " + o.kind + " " + o.name
		}
		out = append(out, u)
	}
	return out, nil
}

// hasEnded reports whether a pod's containers have ended for good.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// alone holds that nothing uses the claim but what is stopped for this, and that
// nothing would keep it from going.
func (v *volume) alone(ctx context.Context) error {
	users, err := v.users(ctx)
	if err != nil {
		return err
	}
	running := slices.DeleteFunc(slices.Clone(users), func(u user) bool { return u.finished })
	if len(running) > 0 {
		return refuse("PersistentVolumeClaim %s/%s is used by %s too, which is not stopped for this: stop it, and ask again. Nothing is changed", v.namespace, v.name, named(running))
	}
	// Those that are being deleted are waited for.
	if left := slices.DeleteFunc(users, func(u user) bool { return !u.placed || u.ending }); len(left) > 0 {
		return refuse("PersistentVolumeClaim %s/%s cannot be taken away while %s is there, though finished. Its log goes with it: %s, and ask again. Nothing is changed", v.namespace, v.name, named(left), v.removal(left))
	}
	return nil
}

// holding says which pods keep a deleted claim from going, and what to do; ""
// when there are none.
func (v *volume) holding(users []user) string {
	users = slices.DeleteFunc(users, func(u user) bool { return !u.placed })
	if len(users) == 0 {
		return ""
	}
	text := "still used by " + named(users)
	if left := slices.DeleteFunc(users, func(u user) bool { return !u.finished || u.ending }); len(left) > 0 {
		text += "; what has finished has to be deleted: " + v.removal(left)
	}
	return text
}

func named(users []user) string {
	var texts []string
	for _, u := range users {
		texts = append(texts, u.text)
	}
	return strings.Join(texts, ", ")
}

// removal is the command that deletes pods.
func (v *volume) removal(users []user) string {
	text := fmt.Sprintf("kubectl -n %s delete pod", v.namespace)
	for _, u := range users {
		text += " " + u.pod
	}
	return text
}
