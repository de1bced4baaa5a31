package watch

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// skew is how far the clocks of belay and of the cluster's nodes may lie apart.
const skew = 30 * time.Second

// gravity orders causes: of several, the one that explains the others comes first.
var gravity = []Cause{CauseOOM, CausePull, CauseCrash, CauseRestarts, CauseUnhealthy}

// failure finds the gravest failure among the pods of the merged version.
// retried says that a container which ends is started again on purpose, as a
// Job does until it gives up.
func failure(s Subject, want map[string][]version, pods []Pod, retried bool) (Finding, bool) {
	var worst Finding
	found := false
	for _, p := range pods {
		if p.Deleting || p.Gone || !p.merged(want) {
			continue
		}
		for _, c := range p.Containers {
			f, ok := c.failure(s.Since, retried)
			if !ok {
				continue
			}
			f.Pod, f.UID, f.Container = p.Name, p.UID, c.Name
			what := "container"
			if c.Init {
				what = "init container"
			}
			f.Detail = fmt.Sprintf("%s %s of pod %s %s", what, c.Name, p.Name, f.Detail)
			if !found || graver(f, worst) {
				worst, found = f, true
			}
		}
	}
	return worst, found
}

func graver(a, b Finding) bool {
	if a.State != b.State {
		return a.State == Fatal
	}
	return slices.Index(gravity, a.Cause) < slices.Index(gravity, b.Cause)
}

// failure says what is wrong with one container, in words that follow its name.
func (c Inside) failure(since time.Time, retried bool) (Finding, bool) {
	fatal := func(cause Cause, previous bool, format string, args ...any) (Finding, bool) {
		return Finding{Sample: Sample{State: Fatal, Cause: cause, Detail: fmt.Sprintf(format, args...)}, Previous: previous}, true
	}
	switch {
	case c.Ended != nil && c.Ended.Reason == "OOMKilled":
		return fatal(CauseOOM, false, "was killed for want of memory (OOMKilled)")
	case c.Before != nil && c.Before.Reason == "OOMKilled":
		return fatal(CauseOOM, c.Ended == nil, "was killed for want of memory (OOMKilled)")
	case slices.Contains(pullReasons, c.Waiting):
		if passing.MatchString(c.Message) && c.Waiting != "InvalidImageName" {
			// The registry's trouble, not the version's: it counts when it stays.
			return Finding{Sample: Sample{State: Bad, Cause: CausePull, Detail: "cannot get its image now: " + oneLine(c.Message)}}, true
		}
		return fatal(CausePull, false, "cannot get its image: %s", oneLine(cmp.Or(c.Message, c.Waiting)))
	case slices.Contains(startReasons, c.Waiting):
		return Finding{Sample: Sample{State: Bad, Cause: CauseUnhealthy, Detail: "cannot be started: " + oneLine(cmp.Or(c.Message, c.Waiting))}}, true
	case retried:
		return Finding{}, false
	case c.Waiting == "CrashLoopBackOff":
		return fatal(CauseCrash, true, "crashes again and again%s", c.Before.exit())
	case c.Ended != nil && c.Ended.Code != 0:
		return fatal(CauseCrash, false, "crashed%s", c.Ended.exit())
	case c.Restarts > c.First, c.Restarts > 0 && c.Before != nil && !since.IsZero() && c.Before.At.After(since.Add(skew)):
		return fatal(CauseRestarts, true, "has restarted%s, %d times in all", c.Before.exit(), c.Restarts)
	}
	return Finding{}, false
}

// pullReasons are the kubelet's for an image that it cannot get
// (k8s.io/kubernetes pkg/kubelet/images/types.go).
var pullReasons = []string{"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}

// startReasons are the kubelet's for a container that it cannot start: a
// Secret that is missing may come yet.
var startReasons = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError"}

// passing matches what registries and networks say when the image may well
// exist: "429 Too Many Requests", "dial tcp: i/o timeout", "503 Service
// Unavailable"; not "manifest unknown", "not found", "unauthorized".
var passing = regexp.MustCompile(`(?i)too ?many ?requests|rate limit|timeout|timed out|deadline exceeded|bad gateway|service unavailable|internal server error|connection (refused|reset)|no such host|server misbehaving|temporary failure|unexpected EOF|no route to host|network is unreachable`)

func (e *End) exit() string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" (exit code %d)", e.Code)
}

// longest is how much of a message is shown.
const longest = 300

// oneLine brings a message of the cluster into one line of bounded length.
func oneLine(s string) string {
	out := []rune(spaces.ReplaceAllString(s, " "))
	if len(out) > longest {
		return string(out[:longest]) + "…"
	}
	return string(out)
}

// spaces matches what separates words: "a\n\tb" has one run of it.
var spaces = regexp.MustCompile(`\s+`)
