package journey_test

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// pipeline plays the CI of one repository: it brings the stacks of every new
// commit of the default branch to the cluster, one commit after the other, and
// says so by the commit status "deploy".
type pipeline struct {
	j       *journey
	commits chan string
	done    chan struct{}

	mu      sync.Mutex
	count   int
	gaveUp  chan struct{}        // closed when a roll-out that is stuck has been waited for
	verdict func(n int) string   // what becomes of the nth commit after the first, from 1; nil: success
	success map[string]time.Time // when the status of a commit became success
}

// stuck is a verdict of Terraform, which waits for the roll-out: the commit is
// applied, and failure comes when gaveUp is closed.
const stuck = "stuck"

// decide has f say what becomes of the nth commit: "success"; "failure" and
// "error" (killed) leave the cluster as it is.
func (p *pipeline) decide(f func(n int) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verdict = f
}

func (p *pipeline) run() {
	defer close(p.done)
	for sha := range p.commits {
		p.mu.Lock()
		p.count++
		n, verdict := p.count, p.verdict
		p.mu.Unlock()
		p.j.repo.SetStatus(sha, "deploy", "pending")
		state := "success"
		if verdict != nil {
			state = verdict(n)
		}
		if state == "success" || state == stuck {
			if err := p.apply(sha); err != nil {
				p.j.Errorf("CI cannot apply %s: %v", sha, err)
				state = "failure"
			}
		}
		if state == stuck {
			<-p.gaveUp
			state = "failure"
		}
		p.mu.Lock()
		if state == "success" {
			p.success[sha] = time.Now()
		}
		p.mu.Unlock()
		p.j.repo.SetStatus(sha, "deploy", state)
	}
}

// appliedAt is when CI said that it had applied a commit.
func (p *pipeline) appliedAt(sha string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.success[sha]
}

func (p *pipeline) apply(sha string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	outputs := map[string]cty.Value{}
	for file := range p.j.files {
		if !strings.HasPrefix(file, "modules/") {
			continue
		}
		text, err := p.j.repo.File(sha, file)
		if err != nil {
			return err
		}
		if outputs[path.Base(path.Dir(file))], err = readOutputs(text); err != nil {
			return err
		}
	}
	for file := range p.j.files {
		if !strings.HasPrefix(file, "stacks/") {
			continue
		}
		text, err := p.j.repo.File(sha, file)
		if err != nil {
			return err
		}
		objects, err := readStack(text, outputs)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return o.apply(ctx, p.j.world.client) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply makes or changes one workload. Replicas stay as they are found.
func (o object) apply(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	meta, selector := metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace}, &metav1.LabelSelector{MatchLabels: o.labels()}
	switch o.Kind {
	case "deployment":
		api := client.AppsV1().Deployments(o.Namespace)
		d, err := api.Get(ctx, o.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			d = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: o.template()}}
			if o.Recreate {
				d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
			}
			_, err = api.Create(ctx, d, metav1.CreateOptions{})
			return err
		}
		if err != nil || !o.change(&d.Spec.Template) {
			return err
		}
		_, err = api.Update(ctx, d, metav1.UpdateOptions{})
		return err
	case "stateful_set":
		api := client.AppsV1().StatefulSets(o.Namespace)
		s, err := api.Get(ctx, o.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = api.Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: o.template()}}, metav1.CreateOptions{})
			return err
		}
		if err != nil || !o.change(&s.Spec.Template) {
			return err
		}
		_, err = api.Update(ctx, s, metav1.UpdateOptions{})
		return err
	}
	api := client.BatchV1().CronJobs(o.Namespace)
	c, err := api.Get(ctx, o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		c = &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{Schedule: "0 3 1 1 *", ConcurrencyPolicy: batchv1.ForbidConcurrent,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{BackoffLimit: new(int32), Template: o.template()}}}}
		c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		_, err = api.Create(ctx, c, metav1.CreateOptions{})
		return err
	}
	if err != nil || !o.change(&c.Spec.JobTemplate.Spec.Template) {
		return err
	}
	_, err = api.Update(ctx, c, metav1.UpdateOptions{})
	return err
}

func (o object) labels() map[string]string { return map[string]string{"app": o.Name} }

func (o object) template() corev1.PodTemplateSpec {
	c := corev1.Container{Name: o.Name, Image: o.Image}
	if o.Memory != "" {
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(o.Memory)}
	}
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.labels()}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}, TerminationGracePeriodSeconds: new(int64(1))}}
	if o.Claim != "" {
		t.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: o.Claim}}}}
	}
	return t
}

// change brings image and memory to a template, and reports whether they are others.
func (o object) change(t *corev1.PodTemplateSpec) bool {
	c, want := &t.Spec.Containers[0], o.template().Spec.Containers[0]
	changed := false
	if c.Image != want.Image && !o.Ignored {
		c.Image, changed = want.Image, true
	}
	if !c.Resources.Limits.Memory().Equal(*want.Resources.Limits.Memory()) {
		c.Resources.Limits, changed = want.Resources.Limits, true
	}
	return changed
}
