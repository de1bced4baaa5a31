package kube

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"

	"github.com/belaybot/belay/bot/cluster/api"
)

// Workload is what a repository says of one workload, for Apply.
type Workload struct {
	Kind      string // of Terraform, with or without _v1: deployment, stateful_set, daemonset, cron_job
	Namespace string
	Name      string
	Image     string
	Beside    []string // images of further containers
	Memory    string   // limit; "" for none
	Claim     string   // of the volume "data"; "" for none
	Recreate  bool     // the old pod ends before the new one begins
	Ignored   bool     // lifecycle.ignore_changes covers the image
}

// Apply does what CI does with one workload after a merge: it makes it, or brings
// its images and memory to what the repository says. Replicas stay as they are
// found.
func (cp *ControlPlane) Apply(ctx context.Context, w Workload) error {
	client, err := api.New(cp.config)
	if err != nil {
		return err
	}
	namespaces := api.Of[corev1.Namespace, corev1.NamespaceList](client.Core, "namespaces", "")
	_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return w.apply(ctx, client) })
}

func (w Workload) apply(ctx context.Context, client *api.Client) error {
	meta, selector := metav1.ObjectMeta{Name: w.Name, Namespace: w.Namespace}, &metav1.LabelSelector{MatchLabels: w.labels()}
	switch w.Kind {
	case "deployment", "deployment_v1":
		d := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: w.template()}}
		if w.Recreate {
			d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		}
		return applyIn(ctx, client.Deployments(w.Namespace), d, func(o *appsv1.Deployment) bool { return w.change(&o.Spec.Template) })
	case "stateful_set", "stateful_set_v1":
		return applyIn(ctx, client.StatefulSets(w.Namespace), &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: w.template()}},
			func(o *appsv1.StatefulSet) bool { return w.change(&o.Spec.Template) })
	case "daemonset", "daemon_set_v1":
		return applyIn(ctx, client.DaemonSets(w.Namespace), &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: w.template()}},
			func(o *appsv1.DaemonSet) bool { return w.change(&o.Spec.Template) })
	case "cron_job", "cron_job_v1":
		c := &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{Schedule: "0 3 1 1 *", ConcurrencyPolicy: batchv1.ForbidConcurrent,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{BackoffLimit: new(int32), Template: w.template()}}}}
		c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		return applyIn(ctx, client.CronJobs(w.Namespace), c, func(o *batchv1.CronJob) bool { return w.change(&o.Spec.JobTemplate.Spec.Template) })
	}
	return fmt.Errorf("%s %s/%s: the stand-in for CI does not know this kind", w.Kind, w.Namespace, w.Name)
}

// applyIn makes the object, or changes the one that is there where that differs.
func applyIn[T metav1.Object, L runtime.Object](ctx context.Context, in api.Collection[T, L], object T, change func(T) bool) error {
	there, err := in.Get(ctx, object.GetName())
	if apierrors.IsNotFound(err) {
		_, err = in.Create(ctx, object, metav1.CreateOptions{})
		return err
	}
	if err != nil || !change(there) {
		return err
	}
	_, err = in.Update(ctx, there)
	return err
}

func (w Workload) labels() map[string]string { return map[string]string{"app": w.Name} }

func (w Workload) template() corev1.PodTemplateSpec {
	c := corev1.Container{Name: w.Name, Image: w.Image}
	if w.Memory != "" {
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(w.Memory)}
	}
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: w.labels()}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}, TerminationGracePeriodSeconds: new(int64(1))}}
	for i, image := range w.Beside {
		t.Spec.Containers = append(t.Spec.Containers, corev1.Container{Name: fmt.Sprintf("beside-%d", i+1), Image: image})
	}
	if w.Claim != "" {
		t.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: w.Claim}}}}
	}
	return t
}

// change brings images and memory to a template, and reports whether they are others.
func (w Workload) change(t *corev1.PodTemplateSpec) bool {
	changed := false
	for i, want := range w.template().Spec.Containers {
		if i >= len(t.Spec.Containers) {
			break
		}
		c := &t.Spec.Containers[i]
		if c.Image != want.Image && !w.Ignored {
			c.Image, changed = want.Image, true
		}
		if !c.Resources.Limits.Memory().Equal(*want.Resources.Limits.Memory()) {
			c.Resources.Limits, changed = want.Resources.Limits, true
		}
	}
	return changed
}
