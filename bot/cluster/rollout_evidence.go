package cluster

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/belaybot/belay/rules/watch"
)

// How much of a failing pod's log and events is kept: what a person reads in a
// pull request, and what it may cost the cluster.
const (
	logLines   = 40
	logBytes   = 256 << 10 // asked of the kubelet, which cuts the end off
	logShown   = 8 << 10   // kept of it, the end
	maxEvents  = 8
	proofTries = 3
	proofTime  = 5 * time.Second
)

// proof is the failing container's log and its pod's events. They are asked for
// once for each failure, a few times where that fails.
func (r *Rollouts) proof(ctx context.Context, f *followed, failing watch.Finding) string {
	if failing.Pod == "" {
		return ""
	}
	k := failing.UID + "/" + failing.Container + "/" + string(failing.Cause)
	f.mu.Lock()
	have := f.evidence[k]
	f.mu.Unlock()
	if have.whole || have.tries == proofTries {
		return have.text
	}
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	log, whole := r.logOf(ctx, failing)
	events, err := r.eventsOf(ctx, failing)
	if err != nil {
		events = "events: not available: " + err.Error()
	}
	next := evidence{text: strings.Trim(log+"\n"+events, "\n"), whole: whole && err == nil, tries: have.tries + 1}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evidence[k] = next
	return next.text
}

// evidence is what was read of a failure.
type evidence struct {
	text  string
	whole bool // nothing is missing
	tries int
}

// logOf reads the last lines of the container that failed: of its run before
// the restart where it has been restarted, and of this one where that is gone.
// It reports whether there is nothing more to be had.
func (r *Rollouts) logOf(ctx context.Context, failing watch.Finding) (string, bool) {
	if failing.Cause == watch.CausePull {
		return "", true // it has never run
	}
	read := func(previous bool) (string, error) {
		raw, err := r.api.Logs(failing.Workload.Namespace, failing.Pod, &corev1.PodLogOptions{
			Container: failing.Container, Previous: previous, TailLines: new(int64(logLines)), LimitBytes: new(int64(logBytes)),
		}).DoRaw(ctx)
		return string(raw), err
	}
	text, err := read(failing.Previous)
	if err != nil && failing.Previous {
		text, err = read(false)
	}
	if err != nil {
		return "log: not available: " + err.Error(), false
	}
	return bounded(text), true
}

// escapes matches what colours a terminal: "\x1b[31m".
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// bounded keeps the end of a log, from the beginning of a line, as valid text.
func bounded(s string) string {
	s = strings.ToValidUTF8(escapes.ReplaceAllString(strings.ReplaceAll(s, "\r\n", "\n"), ""), "\uFFFD")
	if len(s) > logShown {
		s = strings.ToValidUTF8(s[len(s)-logShown:], "")
		if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
			s = s[i+1:]
		}
		s = "…\n" + s
	}
	return s
}

// eventsOf are the pod's last events, the newest last.
func (r *Rollouts) eventsOf(ctx context.Context, failing watch.Finding) (string, error) {
	list, err := r.api.Events(failing.Workload.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", failing.UID).String(), Limit: 200,
	})
	if err != nil {
		return "", err
	}
	when := func(e corev1.Event) time.Time {
		return cmp.Or(e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time)
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	var b strings.Builder
	for _, e := range list.Items[max(0, len(list.Items)-maxEvents):] {
		fmt.Fprintf(&b, "%s %s: %s", e.Type, e.Reason, strings.Join(strings.Fields(e.Message), " "))
		if e.Count > 1 {
			fmt.Fprintf(&b, " (%d times)", e.Count)
		}
		b.WriteByte('\n')
	}
	return bounded(b.String()), nil
}
