package cluster_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/watch"
)

// patience is how long a test waits for what happens in a second or two on an idle machine.
const patience = 60 * time.Second

// stage is a namespace of the control plane with one service, "web", whose
// image is named after the namespace so that its scripts are its own.
type stage struct {
	t         testing.TB
	ctx       context.Context
	plane     *kube.ControlPlane
	client    *kubernetes.Clientset
	namespace string
	image     string // without tag
	requests  *requests
	rollouts  *cluster.Rollouts
	wakes     chan struct{}
	subject   watch.Subject
}

// requests counts what is asked of the API server.
type requests struct {
	all, watches, lists, live, others atomic.Int64
}

func (q *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		q.all.Add(1)
		switch {
		case r.URL.Query().Get("watch") != "":
			q.watches.Add(1)
		case strings.HasSuffix(r.URL.Path, "/livez"):
			q.live.Add(1)
		case r.Method == http.MethodGet && r.URL.Query().Has("resourceVersion"):
			q.lists.Add(1)
		default:
			q.others.Add(1)
		}
		return next.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var names atomic.Int64

func newStage(t testing.TB, plane *kube.ControlPlane) *stage {
	t.Helper()
	w := &stage{t: t, ctx: t.Context(), plane: plane, requests: &requests{}, wakes: make(chan struct{}, 1)}
	w.client = kubernetes.NewForConfigOrDie(plane.Config())
	w.namespace = "web-" + strconv.FormatInt(names.Add(1), 10)
	w.image = "ghcr.io/acme/" + w.namespace
	_, err := w.client.CoreV1().Namespaces().Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, metav1.CreateOptions{})
	w.must(err)
	w.subject = watch.Subject{Repository: "acme/home-ops", Service: "web", Images: []string{w.image}, Version: "v2", Since: time.Now(),
		Namespaces: []string{w.namespace}, Workloads: []watch.Workload{{Kind: "", Namespace: w.namespace, Name: "web"}}}
	w.watch(plane.Config())
	return w
}

// watch watches with the rights of the configuration.
func (w *stage) watch(config *rest.Config) {
	w.t.Helper()
	config.Wrap(w.requests.wrap)
	r, err := cluster.NewRollouts(cluster.RolloutOptions{Config: config})
	w.must(err)
	w.rollouts = r
	w.t.Cleanup(r.Close)
}

func (w *stage) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// follow has the service followed.
func (w *stage) follow() {
	w.rollouts.Follow(w.subject, func() {
		select {
		case w.wakes <- struct{}{}:
		default:
		}
	})
}

// until looks at every wake until a look satisfies ok, and returns it. Every
// look on the way is checked by never, where given.
func (w *stage) until(what string, ok func([]watch.Sample) bool, never func(watch.Sample) bool) []watch.Sample {
	w.t.Helper()
	w.follow()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		last := w.rollouts.Look(w.ctx, w.subject)
		for _, s := range last {
			if never != nil && never(s) {
				w.t.Fatalf("on the way to %q: %+v", what, s)
			}
		}
		if ok(last) {
			return last
		}
		select {
		case <-w.wakes:
		case <-deadline.C:
			w.t.Fatalf("%q has not come within %s; the last look: %+v", what, patience, last)
		}
	}
}

func is(state watch.State) func([]watch.Sample) bool {
	return func(list []watch.Sample) bool { return len(list) == 1 && list[0].State == state }
}

func unhealthy(s watch.Sample) bool { return s.State == watch.Bad || s.State == watch.Fatal }

func (w *stage) template(tag string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: w.image + ":" + tag}}},
	}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}

func (w *stage) deployment(tag string, replicas int32, change func(*appsv1.DeploymentSpec)) {
	w.t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: w.template(tag)}}
	if change != nil {
		change(&d.Spec)
	}
	_, err := w.client.AppsV1().Deployments(w.namespace).Create(w.ctx, d, metav1.CreateOptions{})
	w.must(err)
}

func (w *stage) statefulSet(tag string, replicas int32, change func(*appsv1.StatefulSetSpec)) {
	w.t.Helper()
	d := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, Template: w.template(tag)}}
	if change != nil {
		change(&d.Spec)
	}
	_, err := w.client.AppsV1().StatefulSets(w.namespace).Create(w.ctx, d, metav1.CreateOptions{})
	w.must(err)
}

func (w *stage) daemonSet(tag string) {
	w.t.Helper()
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: w.template(tag)}}
	_, err := w.client.AppsV1().DaemonSets(w.namespace).Create(w.ctx, d, metav1.CreateOptions{})
	w.must(err)
}

func (w *stage) cronJob(tag string, suspended bool) *batchv1.CronJob {
	w.t.Helper()
	spec := batchv1.JobSpec{Template: w.template(tag), BackoffLimit: new(int32(0))}
	spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	c, err := w.client.BatchV1().CronJobs(w.namespace).Create(w.ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: spec}}}, metav1.CreateOptions{})
	w.must(err)
	return c
}

// run starts a Job of the CronJob as its schedule would.
func (w *stage) run(c *batchv1.CronJob) {
	w.t.Helper()
	_, err := w.client.BatchV1().Jobs(w.namespace).Create(w.ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "web-1",
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, batchv1.SchemeGroupVersion.WithKind("CronJob"))}}, Spec: c.Spec.JobTemplate.Spec}, metav1.CreateOptions{})
	w.must(err)
}

// move gives a workload's pods another tag, as an apply does.
func (w *stage) move(resource, tag string) {
	w.t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []map[string]string{{"name": "web", "image": w.image + ":" + tag}}}}}})
	w.must(err)
	w.must(w.client.AppsV1().RESTClient().Patch(types.StrategicMergePatchType).Namespace(w.namespace).Resource(resource).Name("web").Body(patch).Do(w.ctx).Error())
}

// play sets the script of a tag.
func (w *stage) play(tag string, s kube.Script) { w.plane.Kubelet.Play(w.image+":"+tag, s) }

// shared is the control plane of the package's tests.
func shared(t testing.TB) *kube.ControlPlane {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	return kube.ForTest(t)
}

// moment is a time that a script notes.
type moment struct {
	mu sync.Mutex
	at time.Time
}

func (m *moment) now() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() {
		m.at = time.Now()
	}
}

func (m *moment) since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.at)
}

// pod waits for a pod that ok accepts.
func (w *stage) pod(ok func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	stream, err := w.client.CoreV1().Pods(w.namespace).Watch(ctx, metav1.ListOptions{})
	w.must(err)
	defer stream.Stop()
	for e := range stream.ResultChan() {
		if p, is := e.Object.(*corev1.Pod); is && ok(p) {
			return p
		}
	}
	w.t.Fatal("no such pod has come")
	return nil
}

// ready waits until a pod is Ready.
func (w *stage) ready(name string) {
	w.t.Helper()
	w.pod(func(p *corev1.Pod) bool {
		return p.Name == name && len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].Ready
	})
}

// failInit has the init container of a pod that is on another node end with an
// error: the sandbox's kubelet knows none that fails, and leaves that pod alone.
func (w *stage) failInit() {
	w.t.Helper()
	p := w.pod(func(p *corev1.Pod) bool { return p.Spec.NodeName == elsewhere })
	p.Status = corev1.PodStatus{
		Phase:                 corev1.PodPending,
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}}},
		ContainerStatuses:     []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}},
	}
	_, err := w.client.CoreV1().Pods(w.namespace).UpdateStatus(w.ctx, p, metav1.UpdateOptions{})
	w.must(err)
}

// elsewhere is a node that does not exist.
const elsewhere = "elsewhere"

// quota allows no pods in the namespace, and waits until that is in force.
func (w *stage) quota() {
	w.t.Helper()
	quotas := w.client.CoreV1().ResourceQuotas(w.namespace)
	_, err := quotas.Create(w.ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}}}, metav1.CreateOptions{})
	w.must(err)
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	stream, err := quotas.Watch(ctx, metav1.ListOptions{})
	w.must(err)
	defer stream.Stop()
	for e := range stream.ResultChan() {
		if q, is := e.Object.(*corev1.ResourceQuota); is && len(q.Status.Hard) > 0 {
			return
		}
	}
	w.t.Fatal("the quota has not come into force")
}
