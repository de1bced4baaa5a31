package kube

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is one pod on the node.
type pod struct {
	kubelet *Kubelet
	object  *corev1.Pod // as it was when it came; not changed
	ctx     context.Context
	stop    context.CancelFunc
	scripts sync.WaitGroup
	dirty   chan struct{} // holds one when the API server has to be told
	done    chan struct{} // closed when nothing of the pod runs any more

	mu              sync.Mutex
	containers      []*Container
	phase           corev1.PodPhase // of a pod that was evicted; else "" and computed
	reason, message string
	started         metav1.Time
}

// take makes the pod that the object asks for; nothing of it runs yet.
func (k *Kubelet) take(object *corev1.Pod) *pod {
	p := &pod{kubelet: k, object: object, dirty: make(chan struct{}, 1), done: make(chan struct{}), started: metav1.Now()}
	p.ctx, p.stop = context.WithCancel(k.ctx)
	for _, spec := range object.Spec.Containers {
		p.containers = append(p.containers, &Container{pod: p, policy: object.Spec.RestartPolicy, status: corev1.ContainerStatus{
			Name: spec.Name, Image: spec.Image, ImageID: spec.Image, Started: new(false),
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
		}})
	}
	return p
}

// play starts the scripts of the containers and has the API server told what
// comes of them until stopped.
func (p *pod) play() {
	p.tell()
	for _, c := range p.containers {
		script := p.kubelet.script(p.object, c.status.Image)
		p.scripts.Go(func() { script(p.ctx, c) })
	}
	go func() {
		defer close(p.done)
		p.report()
		p.scripts.Wait()
	}()
}

// end stops the scripts and takes the pod away, as a kubelet does once the
// containers of a deleted pod have ended.
func (p *pod) end() {
	p.stop()
	<-p.done
	p.mu.Lock()
	for _, c := range p.containers {
		c.exit(137, "Error")
	}
	p.mu.Unlock()
	for ctx := p.kubelet.ctx; ctx.Err() == nil; p.kubelet.retry(ctx) {
		err := p.update(ctx)
		if err == nil {
			err = p.kubelet.remove(p.object)
		}
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
	}
}

// tell has report send the status soon; several changes may become one.
func (p *pod) tell() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// report sends the status whenever it has changed. An API server that is away
// is told when it is back.
func (p *pod) report() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.dirty:
		}
		if err := p.update(p.ctx); err != nil {
			if apierrors.IsNotFound(err) {
				return
			}
			p.kubelet.retry(p.ctx)
			p.tell()
		}
	}
}

func (p *pod) update(ctx context.Context) error {
	pods := p.kubelet.client.Pods(p.object.Namespace)
	live, err := pods.Get(ctx, p.object.Name)
	if err != nil {
		return err
	}
	if live.UID != p.object.UID {
		return apierrors.NewNotFound(corev1.Resource("pods"), p.object.Name)
	}
	live.Status = p.status()
	_, err = pods.Update(ctx, live, "status")
	return err
}

func (p *pod) status() corev1.PodStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := corev1.PodStatus{
		Phase: p.phase, Reason: p.reason, Message: p.message, StartTime: &p.started,
		HostIP: "127.0.0.1", PodIP: "127.0.0.1", PodIPs: []corev1.PodIP{{IP: "127.0.0.1"}}, QOSClass: p.object.Status.QOSClass,
	}
	if status.Phase == "" {
		status.Phase = phase(p.object.Spec.RestartPolicy, p.containers)
	}
	ready := status.Phase == corev1.PodRunning
	for _, c := range p.containers {
		status.ContainerStatuses = append(status.ContainerStatuses, *c.status.DeepCopy())
		ready = ready && c.status.Ready
	}
	for _, init := range p.object.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, corev1.ContainerStatus{
			Name: init.Name, Image: init.Image, Ready: true,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: p.started, FinishedAt: p.started}},
		})
	}
	condition := func(kind corev1.PodConditionType, holds bool, reason string) corev1.PodCondition {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
		if !holds {
			c.Status, c.Reason = corev1.ConditionFalse, reason
		}
		return c
	}
	status.Conditions = []corev1.PodCondition{
		condition(corev1.PodScheduled, true, ""), condition(corev1.PodInitialized, true, ""),
		condition(corev1.ContainersReady, ready, "ContainersNotReady"), condition(corev1.PodReady, ready, "ContainersNotReady"),
	}
	return status
}

func containerID(pod *corev1.Pod, name string, run int) string {
	return fmt.Sprintf("sandbox://%s/%s/%d", pod.UID, name, run)
}
