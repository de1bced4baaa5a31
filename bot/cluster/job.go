package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// started is when the Job began, as far as the cluster knows.
func started(job *batchv1.Job) time.Time {
	if job.Status.StartTime != nil {
		return job.Status.StartTime.Time
	}
	return job.CreationTimestamp.Time
}

// look says how a Job stands: its conditions, what its log says, and how long
// it has taken.
func (c *Cluster) look(ctx context.Context, b policy.Backup, job *batchv1.Job) (BackupResult, error) {
	result := BackupResult{State: lifecycle.Running, Name: job.Namespace + "/" + job.Name, Started: started(job)}
	complete, failed := condition(job, batchv1.JobComplete), condition(job, batchv1.JobFailed)
	tooLong := complete == nil && failed == nil && late(b, job.CreationTimestamp.Time, c.now())
	pods, err := c.podsOf(ctx, job)
	if err != nil {
		return BackupResult{}, err
	}
	switch {
	case complete != nil:
		return c.checkLog(ctx, b, pods, result)
	case failed != nil:
		result.State = lifecycle.Bad
		result.Detail = fmt.Sprintf("Job %s has failed: %s: %s", result.Name, failed.Reason, failed.Message)
	case tooLong:
		result.State = lifecycle.Bad
		result.Detail = fmt.Sprintf("Job %s has not ended within %s; it is left as it is", result.Name, b.Timeout)
	default:
		result.Detail = fmt.Sprintf("Job %s is running", result.Name)
	}
	if suspended(job) {
		result.Detail += "; it is suspended (spec.suspend)"
	}
	if result.State == lifecycle.Running {
		result.Detail += c.hindrance(ctx, job, pods)
		return result, nil
	}
	result.Detail += c.hindrance(ctx, job, pods) + c.evidence(ctx, pods)
	return result, nil
}

// podsOf lists the pods of a Job, the newest last.
func (c *Cluster) podsOf(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	list := attempt{"list", "", "pods", job.Namespace, ""}
	pods, err := c.api.Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
	if err := list.check(err); err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, job) })
	slices.SortStableFunc(own, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return own, nil
}

// hindrance says what keeps the pods of a Job from ending well, as far as one
// can see: "; pod x: ImagePullBackOff: …". It is "" when nothing does.
func (c *Cluster) hindrance(ctx context.Context, job *batchv1.Job, pods []corev1.Pod) string {
	var found []string
	if len(pods) == 0 && !suspended(job) {
		found = append(found, c.noPods(ctx, job)...)
	}
	for _, pod := range pods {
		found = append(found, podTrouble(&pod)...)
	}
	if len(found) == 0 {
		return ""
	}
	// Retries fail alike; the last few tell enough.
	return "; " + strings.Join(found[max(0, len(found)-3):], "; ")
}

// noPods finds in the Job's events why it has no pods.
func (c *Cluster) noPods(ctx context.Context, job *batchv1.Job) []string {
	list := attempt{"list", "", "events", job.Namespace, ""}
	events, err := c.api.Events(job.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.uid=" + string(job.UID)})
	if err := list.check(err); err != nil {
		return []string{"it has no pods, and why cannot be seen: " + err.Error()}
	}
	if len(events.Items) == 0 {
		return nil
	}
	last := slices.MaxFunc(events.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return []string{cut(last.Reason+": "+last.Message, longestLine)}
}

func podTrouble(pod *corev1.Pod) []string {
	trouble := func(format string, args ...any) []string {
		return []string{cut("pod "+pod.Name+": "+fmt.Sprintf(format, args...), longestLine)}
	}
	if pod.Status.Reason != "" {
		return trouble("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting, ended := status.State.Waiting, status.State.Terminated
		if ended == nil {
			ended = status.LastTerminationState.Terminated
		}
		switch {
		case ended != nil && ended.ExitCode != 0:
			return trouble("container %s exited with %d (%s)", status.Name, ended.ExitCode, ended.Reason)
		case waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing":
			return trouble("%s: %s", waiting.Reason, waiting.Message)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return trouble("%s: %s", condition.Reason, condition.Message)
		}
	}
	return nil
}

// checkLog holds the log of a Job that has succeeded against expect and reject.
func (c *Cluster) checkLog(ctx context.Context, b policy.Backup, pods []corev1.Pod, result BackupResult) (BackupResult, error) {
	result.State = lifecycle.Good
	result.Detail = fmt.Sprintf("Job %s has succeeded", result.Name)
	if b.Expect == "" && b.Reject == "" {
		result.Detail += c.evidence(ctx, pods)
		return result, nil
	}
	patterns, err := compile(b)
	if err != nil {
		return BackupResult{}, err
	}
	succeeded := slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return pod.Status.Phase != corev1.PodSucceeded })
	if len(succeeded) == 0 {
		result.State = lifecycle.Bad
		result.Detail += ", but its pod is gone, so its log cannot be held against expect and reject"
		return result, nil
	}
	for _, pod := range succeeded {
		if err := c.match(ctx, &pod, patterns); err != nil {
			return BackupResult{}, err
		}
	}
	switch {
	case patterns.rejected != "":
		result.State = lifecycle.Bad
		result.Detail += fmt.Sprintf(", but its log has what backups must not say (%s): %s", b.Reject, cut(patterns.rejected, longestLine))
	case patterns.expect != nil && !patterns.found:
		result.State = lifecycle.Bad
		result.Detail += fmt.Sprintf(", but its log does not have what a backup has to say: %s", b.Expect)
	}
	result.Detail += c.evidence(ctx, succeeded)
	return result, nil
}

// patterns are expect and reject, and what was found of them. They are held
// against one line at a time.
type patterns struct {
	expect, reject *regexp.Regexp
	found          bool   // a line that matches expect
	rejected       string // the first line that matches reject
}

func compile(b policy.Backup) (*patterns, error) {
	p := &patterns{}
	for _, each := range []struct {
		text string
		to   **regexp.Regexp
	}{{b.Expect, &p.expect}, {b.Reject, &p.reject}} {
		if each.text == "" {
			continue
		}
		compiled, err := regexp.Compile(each.text)
		if err != nil {
			return nil, refuse("%q is not a regular expression: %s", each.text, err)
		}
		*each.to = compiled
	}
	return p, nil
}

// line takes in one line of the log.
func (p *patterns) line(text string) {
	if p.expect != nil && p.expect.MatchString(text) {
		p.found = true
	}
	if p.reject != nil && p.rejected == "" && p.reject.MatchString(text) {
		p.rejected = text
	}
}
