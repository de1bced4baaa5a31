package cluster

import (
	"cmp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/rules/watch"
)

// trim keeps of an object what running reads; caches of whole objects would
// take ten times the memory.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		slim := &corev1.Pod{ObjectMeta: meta(o.ObjectMeta), Status: o.Status}
		slim.Spec.Containers, slim.Spec.InitContainers = images(o.Spec.Containers), images(o.Spec.InitContainers)
		slim.Status.PodIPs, slim.Status.HostIPs = nil, nil
		return slim, nil
	case *appsv1.Deployment:
		slim := &appsv1.Deployment{ObjectMeta: meta(o.ObjectMeta), Status: o.Status}
		slim.Spec.Replicas, slim.Spec.Paused, slim.Spec.Template = o.Spec.Replicas, o.Spec.Paused, template(o.Spec.Template)
		return slim, nil
	case *appsv1.StatefulSet:
		slim := &appsv1.StatefulSet{ObjectMeta: meta(o.ObjectMeta), Status: o.Status}
		slim.Spec.Replicas, slim.Spec.UpdateStrategy, slim.Spec.Template = o.Spec.Replicas, o.Spec.UpdateStrategy, template(o.Spec.Template)
		return slim, nil
	case *appsv1.DaemonSet:
		slim := &appsv1.DaemonSet{ObjectMeta: meta(o.ObjectMeta), Status: o.Status}
		slim.Spec.UpdateStrategy, slim.Spec.Template = o.Spec.UpdateStrategy, template(o.Spec.Template)
		return slim, nil
	case *batchv1.CronJob:
		slim := &batchv1.CronJob{ObjectMeta: meta(o.ObjectMeta)}
		slim.Spec.Suspend, slim.Spec.JobTemplate.Spec.Template = o.Spec.Suspend, template(o.Spec.JobTemplate.Spec.Template)
		return slim, nil
	case *batchv1.Job:
		slim := &batchv1.Job{ObjectMeta: meta(o.ObjectMeta)}
		slim.Spec.Suspend, slim.Spec.Template, slim.Status.Conditions = o.Spec.Suspend, template(o.Spec.Template), o.Status.Conditions
		return slim, nil
	}
	return object, nil // a tombstone
}

// kept are the labels that running reads.
var kept = []string{"helm.sh/chart", "pod-template-hash"}

func meta(m metav1.ObjectMeta) metav1.ObjectMeta {
	slim := metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, OwnerReferences: m.OwnerReferences}
	for _, l := range kept {
		if v, ok := m.Labels[l]; ok {
			if slim.Labels == nil {
				slim.Labels = map[string]string{}
			}
			slim.Labels[l] = v
		}
	}
	return slim
}

func template(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	var slim corev1.PodTemplateSpec
	slim.Spec.Containers, slim.Spec.InitContainers = images(t.Spec.Containers), images(t.Spec.InitContainers)
	return slim
}

func images(list []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range list {
		out = append(out, corev1.Container{Name: c.Name, Image: c.Image})
	}
	return out
}

// owner is the workload that a pod belongs to: kind/name.
type owner struct{ namespace, kind, name string }

// ownerOf finds the workload of an object by its controller. A ReplicaSet with
// a template hash is a Deployment's, whose name it carries.
func ownerOf(m metav1.ObjectMeta) owner {
	c := metav1.GetControllerOfNoCopy(&m)
	if c == nil {
		return owner{m.Namespace, "Pod", m.Name}
	}
	if hash := m.Labels["pod-template-hash"]; c.Kind == "ReplicaSet" && hash != "" {
		if name, ok := strings.CutSuffix(c.Name, "-"+hash); ok {
			return owner{m.Namespace, "Deployment", name}
		}
	}
	return owner{m.Namespace, c.Kind, c.Name}
}

// running is everything in the namespace that runs pods.
func (s *space) running() []watch.Running {
	pods := map[owner][]*corev1.Pod{}
	for _, object := range s.pods.informer.GetStore().List() {
		if p, ok := object.(*corev1.Pod); ok {
			o := ownerOf(p.ObjectMeta)
			pods[o] = append(pods[o], p)
		}
	}
	take := func(kind string, m metav1.ObjectMeta) []*corev1.Pod {
		o := owner{m.Namespace, kind, m.Name}
		defer delete(pods, o)
		return pods[o]
	}
	var out []watch.Running
	each(s.deployments, func(d *appsv1.Deployment) { out = append(out, deployment(d, take("Deployment", d.ObjectMeta))) })
	each(s.statefulSets, func(d *appsv1.StatefulSet) { out = append(out, statefulSet(d, take("StatefulSet", d.ObjectMeta))) })
	each(s.daemonSets, func(d *appsv1.DaemonSet) { out = append(out, daemonSet(d, take("DaemonSet", d.ObjectMeta))) })
	runs := map[owner][]watch.Run{}
	each(s.jobs, func(j *batchv1.Job) {
		run := job(j, take("Job", j.ObjectMeta))
		if c := metav1.GetControllerOfNoCopy(j); c != nil {
			o := owner{j.Namespace, c.Kind, c.Name}
			runs[o] = append(runs[o], run)
			return
		}
		r := base("Job", j.ObjectMeta, j.Spec.Template.Spec)
		r.Suspended, r.Jobs = j.Spec.Suspend != nil && *j.Spec.Suspend, []watch.Run{run}
		out = append(out, r)
	})
	each(s.cronJobs, func(c *batchv1.CronJob) {
		r := base("CronJob", c.ObjectMeta, c.Spec.JobTemplate.Spec.Template.Spec)
		r.Suspended, r.Jobs = c.Spec.Suspend != nil && *c.Spec.Suspend, runs[owner{c.Namespace, "CronJob", c.Name}]
		out = append(out, r)
	})
	for o, list := range pods {
		out = append(out, foreign(o, list))
	}
	return out
}

func each[T any](f *feed, do func(T)) {
	for _, object := range f.informer.GetStore().List() {
		if o, ok := object.(T); ok {
			do(o)
		}
	}
}

func base(kind string, m metav1.ObjectMeta, spec corev1.PodSpec) watch.Running {
	return watch.Running{Workload: watch.Workload{Kind: kind, Namespace: m.Namespace, Name: m.Name}, Chart: m.Labels["helm.sh/chart"],
		Generation: m.Generation, Template: wantedBy(spec)}
}

func wantedBy(spec corev1.PodSpec) []watch.Container {
	var out []watch.Container
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range list {
			out = append(out, watch.Container{Name: c.Name, Image: c.Image})
		}
	}
	return out
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

func deployment(d *appsv1.Deployment, list []*corev1.Pod) watch.Running {
	r := base("Deployment", d.ObjectMeta, d.Spec.Template.Spec)
	r.Observed, r.Want, r.Have = d.Status.ObservedGeneration, replicas(d.Spec.Replicas), int(d.Status.Replicas)
	r.Updated, r.Ready, r.Available = int(d.Status.UpdatedReplicas), int(d.Status.ReadyReplicas), int(d.Status.AvailableReplicas)
	r.Paused, r.Pods = d.Spec.Paused, podsOf(list)
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded":
			r.Exceeded, r.ExceededAt = cmp.Or(c.Message, "the progress deadline is exceeded"), c.LastUpdateTime.Time
		case c.Type == appsv1.DeploymentProgressing && c.Reason == "NewReplicaSetAvailable":
			r.Complete = r.Observed >= r.Generation
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			r.Refused = cmp.Or(c.Message, c.Reason)
		}
	}
	return r
}

func statefulSet(d *appsv1.StatefulSet, list []*corev1.Pod) watch.Running {
	r := base("StatefulSet", d.ObjectMeta, d.Spec.Template.Spec)
	r.Observed, r.Want, r.Have = d.Status.ObservedGeneration, replicas(d.Spec.Replicas), int(d.Status.Replicas)
	r.Updated, r.Ready, r.Available = int(d.Status.UpdatedReplicas), int(d.Status.ReadyReplicas), int(d.Status.AvailableReplicas)
	r.OnDelete, r.Pods = d.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType, podsOf(list)
	if u := d.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil {
		r.Partition = int(*u.Partition)
	}
	if d.Status.CurrentRevision == d.Status.UpdateRevision && r.Updated == 0 {
		r.Updated = int(d.Status.CurrentReplicas) // there is only one revision
	}
	return r
}

func daemonSet(d *appsv1.DaemonSet, list []*corev1.Pod) watch.Running {
	r := base("DaemonSet", d.ObjectMeta, d.Spec.Template.Spec)
	r.Observed, r.Want, r.Have = d.Status.ObservedGeneration, int(d.Status.DesiredNumberScheduled), int(d.Status.CurrentNumberScheduled)
	r.Updated, r.Ready, r.Available = int(d.Status.UpdatedNumberScheduled), int(d.Status.NumberReady), int(d.Status.NumberAvailable)
	r.OnDelete, r.Pods = d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType, podsOf(list)
	return r
}

func job(j *batchv1.Job, list []*corev1.Pod) watch.Run {
	run := watch.Run{Name: j.Name, Created: j.CreationTimestamp.Time, Template: wantedBy(j.Spec.Template.Spec), Pods: podsOf(list)}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobSuccessCriteriaMet:
			run.Succeeded = true
		case batchv1.JobFailed:
			run.Failed = strings.TrimSuffix(cmp.Or(c.Reason, "failed")+": "+c.Message, ": ")
		case batchv1.JobSuspended, batchv1.JobFailureTarget:
			// It has not ended: its pods are still being taken away.
		}
	}
	return run
}

// foreign is a pod of its own, or the pods of a controller that belay does not
// know, such as an operator's cluster: they are judged by what they are.
func foreign(o owner, list []*corev1.Pod) watch.Running {
	newest := list[0]
	for _, p := range list {
		if p.CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = p
		}
	}
	r := watch.Running{Workload: watch.Workload{Kind: o.kind, Namespace: o.namespace, Name: o.name}, Template: wantedBy(newest.Spec), Pods: podsOf(list)}
	for i, p := range r.Pods {
		if p.Deleting || p.Gone {
			continue
		}
		r.Want, r.Have = r.Want+1, r.Have+1
		if sameImages(list[i].Spec, newest.Spec) {
			r.Updated++
		}
		if p.Ready {
			r.Ready, r.Available = r.Ready+1, r.Available+1
		}
	}
	return r
}

func sameImages(a, b corev1.PodSpec) bool {
	x, y := map[string]string{}, map[string]string{}
	for _, c := range wantedBy(a) {
		x[c.Name] = c.Image
	}
	for _, c := range wantedBy(b) {
		y[c.Name] = c.Image
	}
	for name, image := range x {
		if other, ok := y[name]; ok && other != image {
			return false
		}
	}
	return true
}

func podsOf(list []*corev1.Pod) []watch.Pod {
	out := make([]watch.Pod, 0, len(list))
	for _, p := range list {
		out = append(out, podOf(p))
	}
	return out
}

// lost are the reasons of a pod that ended through no fault of what it runs.
var lost = map[string]bool{"Evicted": true, "Preempting": true, "Preempted": true, "NodeLost": true, "Shutdown": true, "NodeShutdown": true, "Terminated": true, "NodeAffinity": true, "UnexpectedAdmissionError": true, "OutOfcpu": true, "OutOfmemory": true, "OutOfpods": true}

func podOf(p *corev1.Pod) watch.Pod {
	out := watch.Pod{Name: p.Name, UID: string(p.UID), Created: p.CreationTimestamp.Time, Deleting: p.DeletionTimestamp != nil,
		Gone: p.Status.Phase == corev1.PodFailed && lost[p.Status.Reason]}
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady:
			out.Ready = c.Status == corev1.ConditionTrue
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			out.Unplaced = cmp.Or(c.Message, c.Reason)
		case c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue:
			out.Gone = true // the cluster takes it away: preemption, a drained or lost node
		}
	}
	add := func(specs []corev1.Container, states []corev1.ContainerStatus, init bool) {
		for _, spec := range specs {
			in := watch.Inside{Container: watch.Container{Name: spec.Name, Image: spec.Image}, Init: init}
			for _, s := range states {
				if s.Name == spec.Name {
					inside(&in, s)
				}
			}
			out.Containers = append(out.Containers, in)
		}
	}
	add(p.Spec.InitContainers, p.Status.InitContainerStatuses, true)
	add(p.Spec.Containers, p.Status.ContainerStatuses, false)
	return out
}

func inside(in *watch.Inside, s corev1.ContainerStatus) {
	in.Ready, in.Restarts = s.Ready, int(s.RestartCount)
	if w := s.State.Waiting; w != nil {
		in.Waiting, in.Message = w.Reason, w.Message
	}
	in.Ended, in.Before = end(s.State.Terminated), end(s.LastTerminationState.Terminated)
}

func end(t *corev1.ContainerStateTerminated) *watch.End {
	if t == nil {
		return nil
	}
	return &watch.End{Reason: t.Reason, Code: int(t.ExitCode), At: t.FinishedAt.Time}
}
