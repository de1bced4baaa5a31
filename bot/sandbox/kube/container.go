package kube

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Container is one container of a pod as its script sees it. Its methods
// change what the API server is told; they may be called from one goroutine.
type Container struct {
	pod    *pod
	status corev1.ContainerStatus
	policy corev1.RestartPolicy
	runs   []*output // one for each start
}

// output is what one run of a container has written.
type output struct {
	lines []line
	ended bool
	more  chan struct{} // closed, and made anew, with every change
}

type line struct {
	at   time.Time
	text string
}

// Run starts the container, for the first time or again.
func (c *Container) Run() {
	c.change(func() {
		if len(c.runs) > 0 {
			c.status.RestartCount++
		}
		if c.status.State.Terminated != nil {
			c.status.LastTerminationState = c.status.State
		}
		c.runs = append(c.runs, &output{more: make(chan struct{})})
		c.status.ContainerID = containerID(c.pod.object, c.status.Name, len(c.runs))
		c.status.Ready, c.status.Started = false, new(true)
		c.status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	})
}

// Ready sets whether the container is ready.
func (c *Container) Ready(ready bool) {
	c.change(func() { c.status.Ready = ready })
}

// Log writes lines to the log of the current run.
func (c *Container) Log(lines ...string) {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	out := c.runs[len(c.runs)-1]
	for _, text := range lines {
		out.lines = append(out.lines, line{time.Now(), text})
	}
	out.changed()
}

// Exit ends the current run: 0 and "Completed", 1 and "Error", 137 and
// "OOMKilled".
func (c *Container) Exit(code int32, reason string) {
	c.change(func() { c.exit(code, reason) })
}

func (c *Container) exit(code int32, reason string) {
	if c.status.State.Running == nil {
		return
	}
	started := c.status.State.Running.StartedAt
	c.status.Ready, c.status.Started = false, new(false)
	c.status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, StartedAt: started, FinishedAt: metav1.Now(), ContainerID: c.status.ContainerID,
	}}
	out := c.runs[len(c.runs)-1]
	out.ended = true
	out.changed()
}

// Wait has the container wait for the reason: ImagePullBackOff,
// CrashLoopBackOff, CreateContainerConfigError.
func (c *Container) Wait(reason, message string) {
	c.change(func() {
		if c.status.State.Terminated != nil {
			c.status.LastTerminationState = c.status.State
		}
		c.status.Ready = false
		c.status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// Evict ends the whole pod as a kubelet does that is short of something.
func (c *Container) Evict(message string) {
	c.change(func() {
		for _, other := range c.pod.containers {
			other.exit(137, "Error")
		}
		c.pod.phase, c.pod.reason, c.pod.message = corev1.PodFailed, "Evicted", message
	})
}

// Restarts reports whether the pod's policy starts the container again after
// what it has just exited with.
func (c *Container) Restarts() bool {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	switch c.policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return c.status.State.Terminated == nil || c.status.State.Terminated.ExitCode != 0
	default:
		return true
	}
}

// Pause waits for the time, which passes Options.Speed times faster, and
// reports whether the pod is still there.
func (c *Container) Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(time.Duration(float64(d) / c.pod.kubelet.speed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// change applies f and has the API server told.
func (c *Container) change(f func()) {
	c.pod.mu.Lock()
	f()
	c.pod.mu.Unlock()
	c.pod.tell()
}

// changed wakes those who follow the output. The pod's lock is held.
func (o *output) changed() {
	close(o.more)
	o.more = make(chan struct{})
}

// phase is that of a pod whose containers are in these states.
func phase(policy corev1.RestartPolicy, containers []*Container) corev1.PodPhase {
	started := func(c *Container) bool { return len(c.runs) > 0 }
	ended := func(c *Container) bool {
		t := c.status.State.Terminated
		return t != nil && (policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && t.ExitCode == 0)
	}
	failed := func(c *Container) bool {
		return c.status.State.Terminated != nil && c.status.State.Terminated.ExitCode != 0
	}
	switch {
	case !slices.ContainsFunc(containers, started):
		return corev1.PodPending
	case slices.ContainsFunc(containers, func(c *Container) bool { return !ended(c) }):
		return corev1.PodRunning
	case slices.ContainsFunc(containers, failed):
		return corev1.PodFailed
	default:
		return corev1.PodSucceeded
	}
}
