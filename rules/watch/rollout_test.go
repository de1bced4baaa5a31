package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/watch"
)

var since = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// web is the subject of the rows below: ghcr.io/acme/web at v2 in namespace web.
func web() watch.Subject {
	return watch.Subject{Service: "web", Images: []string{"ghcr.io/acme/web"}, Version: "v2", Since: since,
		Namespaces: []string{"web"}, Workloads: []watch.Workload{{Kind: "Deployment", Namespace: "web", Name: "web"}}}
}

func at(name, tag string) watch.Container {
	return watch.Container{Name: name, Image: "ghcr.io/acme/web:" + tag}
}

// running is a Deployment of two pods that run v2 and are Ready, changed by f.
func running(f func(*watch.Running)) watch.Running {
	r := watch.Running{Workload: watch.Workload{Kind: "Deployment", Namespace: "web", Name: "web"}, Generation: 4, Observed: 4,
		Want: 2, Have: 2, Updated: 2, Ready: 2, Available: 2, Template: []watch.Container{at("web", "v2")}, Complete: true,
		Pods: []watch.Pod{pod("web-1", true, nil), pod("web-2", true, nil)}}
	if f != nil {
		f(&r)
	}
	return r
}

func pod(name string, ready bool, f func(*watch.Inside)) watch.Pod {
	c := watch.Inside{Container: at("web", "v2"), Ready: ready}
	if f != nil {
		f(&c)
	}
	return watch.Pod{Name: name, UID: "uid-" + name, Created: since, Ready: ready, Containers: []watch.Inside{c}}
}

// failing is a roll-out whose second pod is not Ready, its container changed by f.
func failing(f func(*watch.Inside)) watch.Running {
	return running(func(r *watch.Running) {
		r.Ready, r.Available, r.Complete = 1, 1, false
		r.Pods[1] = pod("web-2", false, f)
	})
}

func failingWith(f func(*watch.Inside), g func(*watch.Running)) watch.Running {
	r := failing(f)
	g(&r)
	return r
}

func as(kind string, f func(*watch.Running)) watch.Running {
	return running(func(r *watch.Running) {
		r.Kind = kind
		f(r)
	})
}

// cron is a CronJob whose next Job runs v2.
func cron(f func(*watch.Running)) watch.Running {
	return as("CronJob", func(r *watch.Running) {
		r.Want, r.Have, r.Updated, r.Ready, r.Available, r.Pods = 0, 0, 0, 0, 0, nil
		f(r)
	})
}

func job(tag string, after time.Duration, f func(*watch.Run)) watch.Run {
	j := watch.Run{Name: "web-29", Created: since.Add(after), Template: []watch.Container{at("web", tag)}}
	f(&j)
	return j
}

func anySubject(f func(*watch.Subject)) watch.Subject {
	s := web()
	f(&s)
	return s
}

func TestRollOut(t *testing.T) {
	byImage := anySubject(func(s *watch.Subject) { s.Workloads = nil })
	asCron := anySubject(func(s *watch.Subject) { s.Workloads[0].Kind = "CronJob" })
	anyKind := anySubject(func(s *watch.Subject) { s.Workloads[0].Kind = "" })
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, tc := range []struct {
		name    string
		subject watch.Subject
		found   []watch.Running
		state   watch.State
		cause   watch.Cause
		detail  string // a part of it
		pod     string // to read the log of
	}{
		{"every pod runs the new version and is Ready", web(), []watch.Running{running(nil)}, watch.Good, "", "2 of 2 pods are Ready", ""},
		{"the image is written with another spelling of its registry", anySubject(func(s *watch.Subject) { s.Images = []string{"acme/web"} }),
			[]watch.Running{running(func(r *watch.Running) { r.Template[0].Image = "index.docker.io/acme/web:v2" })}, watch.Good, "", "", ""},
		{"the tag is pinned with its digest", anySubject(func(s *watch.Subject) { s.Version = "v2@" + digest }),
			[]watch.Running{running(func(r *watch.Running) { r.Template[0].Image += "@" + digest })}, watch.Good, "", "", ""},
		{"the digest is another one", anySubject(func(s *watch.Subject) { s.Version = "v2@" + digest }),
			[]watch.Running{running(func(r *watch.Running) { r.Template[0].Image += "@sha256:" + strings.Repeat("b", 64) })}, watch.NotDeployed, "", "its specification has", ""},
		{"only the digest is merged", anySubject(func(s *watch.Subject) { s.Version = digest }),
			[]watch.Running{running(func(r *watch.Running) { r.Template[0].Image = "ghcr.io/acme/web@" + digest })}, watch.Good, "", "", ""},
		{"an image asks for a tag of its own", anySubject(func(s *watch.Subject) { s.Images = []string{"ghcr.io/acme/web:v2-cuda"} }),
			[]watch.Running{running(func(r *watch.Running) { r.Template[0].Image = "ghcr.io/acme/web:v2-cuda" })}, watch.Good, "", "", ""},

		{"the specification still has the old image", web(), []watch.Running{running(func(r *watch.Running) { r.Template[0].Image = "ghcr.io/acme/web:v1" })}, watch.NotDeployed, "", "has ghcr.io/acme/web:v1, not v2", ""},
		{"one of two containers still has the old image", web(), []watch.Running{running(func(r *watch.Running) { r.Template = append(r.Template, at("init", "v1")) })}, watch.NotDeployed, "", "v1", ""},
		{"an old version that crashes is not deployed and not at fault", web(), []watch.Running{failing(func(c *watch.Inside) { c.Image, c.Waiting = "ghcr.io/acme/web:v1", "CrashLoopBackOff" })}, watch.Progressing, "", "1 of 2 pods are Ready", ""},
		{"scaled to nothing", web(), []watch.Running{running(func(r *watch.Running) { r.Want = 0 })}, watch.NotDeployed, "", "suspended workload: scaled to 0", ""},
		{"paused half way", web(), []watch.Running{running(func(r *watch.Running) { r.Paused, r.Updated = true, 1 })}, watch.NotDeployed, "", "paused: 1 of 2", ""},
		{"paused after all pods are new", web(), []watch.Running{running(func(r *watch.Running) { r.Paused = true })}, watch.Good, "", "", ""},
		{"nothing runs it", web(), nil, watch.NotDeployed, "", "nothing in namespace web runs ghcr.io/acme/web", ""},
		{"nothing is known of it", watch.Subject{Service: "web"}, []watch.Running{running(nil)}, watch.Absent, "", "neither", ""},

		{"the controller has not looked yet", web(), []watch.Running{running(func(r *watch.Running) { r.Observed = 3 })}, watch.Progressing, "", "not seen", ""},
		{"one pod is still old", web(), []watch.Running{running(func(r *watch.Running) { r.Updated = 1 })}, watch.Progressing, "", "1 of 2 pods are of the new version", ""},
		{"an old pod is ending", web(), []watch.Running{running(func(r *watch.Running) { r.Have = 3 })}, watch.Progressing, "", "1 old pods are ending", ""},
		{"a pod is starting", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting = "ContainerCreating" })}, watch.Progressing, "", "ContainerCreating", ""},
		{"a pod finds no node", web(), []watch.Running{failingWith(func(*watch.Inside) {}, func(r *watch.Running) { r.Pods[1].Unplaced = "0/3 nodes are available" })}, watch.Progressing, "", "no node for pod web-2: 0/3", ""},
		{"a pod stops being Ready after the roll-out was complete", web(), []watch.Running{running(func(r *watch.Running) {
			r.Ready, r.Available, r.Pods[1].Ready, r.Pods[1].Containers[0].Ready = 1, 1, false, false
		})}, watch.Bad, watch.CauseUnhealthy, "1 of 2 pods are Ready", "web-2"},
		{"a quota refuses a pod", web(), []watch.Running{running(func(r *watch.Running) { r.Updated, r.Refused = 1, "exceeded quota: small" })}, watch.Bad, watch.CauseUnhealthy, "exceeded quota", ""},
		{"a Secret is missing", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting, c.Message = "CreateContainerConfigError", `secret "web" not found` })}, watch.Bad, watch.CauseUnhealthy, `secret "web" not found`, "web-2"},

		{"a pod crashes again and again", web(), []watch.Running{failing(func(c *watch.Inside) {
			c.Waiting, c.Restarts, c.Before = "CrashLoopBackOff", 3, &watch.End{Reason: "Error", Code: 1}
		})}, watch.Fatal, watch.CauseCrash, "container web of pod web-2 crashes again and again (exit code 1)", "web-2"},
		{"a pod crashes for the first time", web(), []watch.Running{failing(func(c *watch.Inside) { c.Ended = &watch.End{Reason: "Error", Code: 2} })}, watch.Fatal, watch.CauseCrash, "crashed (exit code 2)", "web-2"},
		{"an init container fails", web(), []watch.Running{failing(func(c *watch.Inside) { c.Init, c.Ended = true, &watch.End{Reason: "Error", Code: 1} })}, watch.Fatal, watch.CauseCrash, "init container web", "web-2"},
		{"an init container is done", web(), []watch.Running{failing(func(c *watch.Inside) { c.Init, c.Ended = true, &watch.End{Reason: "Completed"} })}, watch.Progressing, "", "", ""},
		{"a container needs more memory than it may have", web(), []watch.Running{failing(func(c *watch.Inside) { c.Ended = &watch.End{Reason: "OOMKilled", Code: 137} })}, watch.Fatal, watch.CauseOOM, "OOMKilled", "web-2"},
		{"the crash loop comes from the memory limit", web(), []watch.Running{failing(func(c *watch.Inside) {
			c.Waiting, c.Restarts, c.Before = "CrashLoopBackOff", 1, &watch.End{Reason: "OOMKilled", Code: 137}
		})}, watch.Fatal, watch.CauseOOM, "OOMKilled", "web-2"},
		{"the image does not exist", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting, c.Message = "ErrImagePull", "manifest\n unknown" })}, watch.Fatal, watch.CausePull, "manifest unknown", "web-2"},
		{"the kubelet waits before it pulls again", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting = "ImagePullBackOff" })}, watch.Fatal, watch.CausePull, "ImagePullBackOff", "web-2"},
		{"the image's name is invalid", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting = "InvalidImageName" })}, watch.Fatal, watch.CausePull, "InvalidImageName", "web-2"},
		{"the registry limits the rate of pulls", web(), []watch.Running{failing(func(c *watch.Inside) { c.Waiting, c.Message = "ErrImagePull", "429 Too Many Requests" })}, watch.Bad, watch.CausePull, "429", "web-2"},
		{"a Ready pod has restarted since it was first seen", web(), []watch.Running{running(func(r *watch.Running) { r.Pods[0].Containers[0].Restarts = 1 })}, watch.Fatal, watch.CauseRestarts, "has restarted, 1 times in all", "web-1"},
		{"it had restarted before it was first seen", web(), []watch.Running{running(func(r *watch.Running) { r.Pods[0].Containers[0].Restarts, r.Pods[0].Containers[0].First = 2, 2 })}, watch.Good, "", "", ""},
		{"it restarted within the watch while nobody looked", web(), []watch.Running{running(func(r *watch.Running) {
			c := &r.Pods[0].Containers[0]
			c.Restarts, c.First, c.Before = 1, 1, &watch.End{Code: 1, At: since.Add(time.Minute)}
		})}, watch.Fatal, watch.CauseRestarts, "exit code 1", "web-1"},
		{"the roll-out exceeds its deadline", web(), []watch.Running{failingWith(func(*watch.Inside) {}, func(r *watch.Running) {
			r.Exceeded, r.ExceededAt = `ReplicaSet "web-5d" has timed out progressing.`, since.Add(time.Minute)
		})}, watch.Fatal, watch.CauseDeadline, "timed out progressing", "web-2"},
		{"the deadline was that of the specification before", web(), []watch.Running{running(func(r *watch.Running) { r.Exceeded, r.ExceededAt, r.Observed = "timed out", since.Add(time.Minute), 3 })}, watch.Progressing, "", "", ""},
		{"the deadline was that of the version before this one came back", web(), []watch.Running{failingWith(func(*watch.Inside) {}, func(r *watch.Running) { r.Exceeded, r.ExceededAt = "timed out", since.Add(-time.Minute) })}, watch.Progressing, "", "", ""},
		{"a crashing pod is being deleted", web(), []watch.Running{failingWith(func(c *watch.Inside) { c.Waiting = "CrashLoopBackOff" }, func(r *watch.Running) { r.Pods[1].Deleting = true })}, watch.Progressing, "", "", ""},
		{"a pod was evicted from its node", web(), []watch.Running{failingWith(func(c *watch.Inside) { c.Ended = &watch.End{Reason: "Error", Code: 137} }, func(r *watch.Running) { r.Pods[1].Gone = true })}, watch.Progressing, "", "", ""},
		{"another image of the same pod crashes with the new version", web(), []watch.Running{failingWith(func(*watch.Inside) {}, func(r *watch.Running) {
			r.Pods[1].Containers = append(r.Pods[1].Containers, watch.Inside{Container: watch.Container{Name: "proxy", Image: "nginx:1.27"}, Waiting: "CrashLoopBackOff"})
		})}, watch.Fatal, watch.CauseCrash, "container proxy", "web-2"},

		{"a StatefulSet is rolled out", anyKind, []watch.Running{as("StatefulSet", func(*watch.Running) {})}, watch.Good, "", "", ""},
		{"a partition keeps the old version on one pod", anyKind, []watch.Running{as("StatefulSet", func(r *watch.Running) { r.Partition, r.Updated = 1, 1 })}, watch.NotDeployed, "", "partition 1: 1 of 2", ""},
		{"a partition keeps it on all", anyKind, []watch.Running{as("StatefulSet", func(r *watch.Running) { r.Partition, r.Updated = 9, 0 })}, watch.NotDeployed, "", "2 of 2 pods keep", ""},
		{"pods wait to be deleted by hand", anyKind, []watch.Running{as("StatefulSet", func(r *watch.Running) { r.OnDelete, r.Updated = true, 0 })}, watch.NotDeployed, "", "OnDelete", ""},
		{"a DaemonSet is rolled out", anyKind, []watch.Running{as("DaemonSet", func(*watch.Running) {})}, watch.Good, "", "", ""},
		{"a DaemonSet has no node", anyKind, []watch.Running{as("DaemonSet", func(r *watch.Running) { r.Want = 0 })}, watch.NotDeployed, "", "no node", ""},
		{"another kind of the same name is not meant", web(), []watch.Running{as("StatefulSet", func(r *watch.Running) { r.Namespace = "other" })}, watch.NotDeployed, "", "", ""},

		{"a CronJob that has not run yet", asCron, []watch.Running{cron(func(*watch.Running) {})}, watch.Good, "", "next Job", ""},
		{"a suspended CronJob", asCron, []watch.Running{cron(func(r *watch.Running) { r.Suspended = true })}, watch.NotDeployed, "", "suspended", ""},
		{"a CronJob with the old image", asCron, []watch.Running{cron(func(r *watch.Running) { r.Template[0].Image = "ghcr.io/acme/web:v1" })}, watch.NotDeployed, "", "v1", ""},
		{"its Job succeeded", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", time.Minute, func(j *watch.Run) { j.Succeeded = true })}
		})}, watch.Good, "", "succeeded", ""},
		{"its Job failed", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", time.Minute, func(j *watch.Run) {
				j.Failed, j.Pods = "BackoffLimitExceeded", []watch.Pod{pod("web-29-x", false, func(c *watch.Inside) { c.Ended = &watch.End{Reason: "Error", Code: 3} })}
			})}
		})}, watch.Fatal, watch.CauseCrash, "Job web-29: container web of pod web-29-x crashed (exit code 3); BackoffLimitExceeded", "web-29-x"},
		{"its Job tries again", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", time.Minute, func(j *watch.Run) {
				j.Pods = []watch.Pod{pod("web-29-x", false, func(c *watch.Inside) { c.Ended = &watch.End{Reason: "Error", Code: 3} })}
			})}
		})}, watch.Good, "", "is running", ""},
		{"its Job cannot get the image", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", time.Minute, func(j *watch.Run) {
				j.Pods = []watch.Pod{pod("web-29-x", false, func(c *watch.Inside) { c.Waiting = "ImagePullBackOff" })}
			})}
		})}, watch.Fatal, watch.CausePull, "ImagePullBackOff", "web-29-x"},
		{"a Job of the old version failed", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v1", time.Minute, func(j *watch.Run) { j.Failed = "x" })}
		})}, watch.Good, "", "none has run since", ""},
		{"a Job from before failed", asCron, []watch.Running{cron(func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", -time.Minute, func(j *watch.Run) { j.Failed = "x" })}
		})}, watch.Good, "", "none has run since", ""},
		{"a Job that Terraform made succeeded", anyKind, []watch.Running{as("Job", func(r *watch.Running) {
			r.Jobs = []watch.Run{job("v2", -time.Minute, func(j *watch.Run) { j.Succeeded = true })}
		})}, watch.Good, "", "succeeded", ""},

		{"a Helm release's workload is found by its image", byImage, []watch.Running{running(func(r *watch.Running) { r.Name = "release-web" })}, watch.Good, "", "", ""},
		{"the named workload is not there and the image is", web(), []watch.Running{running(func(r *watch.Running) { r.Name = "release-web" })}, watch.Good, "", "", ""},
		{"the image in another namespace is not ours", byImage, []watch.Running{running(func(r *watch.Running) { r.Namespace = "other" })}, watch.NotDeployed, "", "nothing in namespace web", ""},
		{"without a namespace the whole cluster counts", anySubject(func(s *watch.Subject) { s.Workloads, s.Namespaces = nil, nil }), []watch.Running{running(func(r *watch.Running) { r.Namespace = "other" })}, watch.Good, "", "", ""},
		{"a chart's label shows an older release", anySubject(func(s *watch.Subject) { s.Images, s.Version = nil, "2.0.0" }), []watch.Running{running(func(r *watch.Running) { r.Chart = "web-1.9.0" })}, watch.NotDeployed, "", "chart web-1.9.0", ""},
		{"a chart's label shows the release", anySubject(func(s *watch.Subject) { s.Images, s.Version = nil, "2.0.0" }), []watch.Running{running(func(r *watch.Running) { r.Chart = "web-2.0.0" })}, watch.Good, "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := watch.RollOut(tc.subject, since.Add(time.Minute), tc.found)
			if len(got) != 1 {
				t.Fatalf("%d findings, want 1: %+v", len(got), got)
			}
			f := got[0]
			if f.State != tc.state || f.Cause != tc.cause || !strings.Contains(f.Detail, tc.detail) || f.Pod != tc.pod {
				t.Errorf("got %q, cause %q, pod %q: %s", f.State, f.Cause, f.Pod, f.Detail)
			}
			if f.Kind != watch.Rollout || f.At.IsZero() || f.Name == "" {
				t.Errorf("not a whole sample: %+v", f.Sample)
			}
			if f.Pod != "" && (f.UID == "" || f.Container == "") {
				t.Errorf("nothing to read the log of: %+v", f)
			}
		})
	}
}

func TestRollOutOfSeveralWorkloads(t *testing.T) {
	s := web()
	s.Workloads = append(s.Workloads, watch.Workload{Namespace: "web", Name: "worker"}, watch.Workload{Namespace: "web", Name: "cache"})
	got := watch.RollOut(s, since, []watch.Running{
		running(func(r *watch.Running) { r.Name = "worker" }),
		failing(func(c *watch.Inside) { c.Waiting = "CrashLoopBackOff" }),
		running(func(r *watch.Running) { r.Name, r.Template[0].Image = "cache", "redis:7" }),
	})
	if len(got) != 2 || got[0].Name != "deployment web/web" || got[0].State != watch.Fatal || got[1].Name != "deployment web/worker" || got[1].State != watch.Good {
		t.Errorf("want web failing and worker good, and nothing of the cache that does not run the image: %+v", got)
	}
}
