package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/image"
)

// Finding is a sample of the roll-out with the container to ask for its log.
type Finding struct {
	Sample
	Workload  Workload
	Pod       string // name of the failing pod; "" when no pod is to blame
	UID       string // of that pod
	Container string
	Previous  bool // the log is that of the container before its restart
}

// RollOut judges what runs of a subject's images at one look, a finding for
// each workload. Workloads that the subject names are found by name; where it
// names none that is there, those that run one of its images are taken, which
// is how the workloads of a Helm release are found.
//
// Only pods of the merged version can fail: an old pod that crashes was not
// made by the upgrade. Nothing running that version is NotDeployed; a subject
// that names neither images nor workloads is Absent. See SPEC section 11.
func RollOut(s Subject, at time.Time, found []Running) []Finding {
	want := wanted(s)
	if len(want) == 0 && len(s.Workloads) == 0 {
		return []Finding{{Sample: Sample{At: at, Kind: Rollout, Name: s.Service, State: Absent, Detail: "neither images nor workloads are known"}}}
	}
	var out []Finding
	for _, r := range chosen(s, want, found) {
		f := look(s, want, r)
		f.At, f.Kind, f.Workload = at, Rollout, r.Workload
		f.Name = r.Title()
		out = append(out, f)
	}
	if len(out) == 0 {
		out = []Finding{{Sample: Sample{At: at, Kind: Rollout, Name: s.Service, State: NotDeployed, Detail: nowhere(s)}}}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// nowhere says what was looked for in vain.
func nowhere(s Subject) string {
	what := "a workload of the service"
	if len(s.Images) > 0 {
		what = strings.Join(s.Images, " or ")
	}
	places := slices.Clone(s.Namespaces)
	for _, w := range s.Workloads {
		places = append(places, w.Namespace)
	}
	slices.Sort(places)
	places = slices.DeleteFunc(slices.Compact(places), func(n string) bool { return n == "" })
	if len(places) == 0 {
		return "nothing in the cluster runs " + what
	}
	return "nothing in namespace " + strings.Join(places, " or ") + " runs " + what
}

// version is a tag, a digest or both that may run.
type version struct{ tag, digest string }

// wanted is what has to run, by the image's full name. An image of the subject
// that carries its own tag or digest asks for that instead of the version: the
// images of one service may differ in a suffix.
func wanted(s Subject) map[string][]version {
	out := map[string][]version{}
	for _, i := range s.Images {
		ref, err := image.Parse(i)
		if err != nil {
			continue
		}
		v := version{ref.Tag, ref.Digest}
		if v == (version{}) {
			v.tag, v.digest, _ = strings.Cut(s.Version, "@")
			if image.ValidDigest(s.Version) {
				v = version{digest: s.Version}
			}
		}
		out[ref.Name()] = append(out[ref.Name()], v)
	}
	return out
}

// runs reports whether a container's image is one of the wanted by name, and
// whether it is the version too. Where both sides give a digest it decides.
func runs(want map[string][]version, c Container) (named, merged bool) {
	ref, err := image.Parse(c.Image)
	if err != nil {
		return false, false
	}
	versions, named := want[ref.Name()]
	for _, v := range versions {
		if v.digest != "" && ref.Digest != "" {
			merged = merged || v.digest == ref.Digest
		} else {
			merged = merged || v.tag != "" && v.tag == ref.Tag
		}
	}
	return named, merged
}

// carries reports whether any of the containers has a wanted image, and names
// the first that has it at another version. No wanted images: anything does.
func carries(want map[string][]version, list []Container) (named bool, other string) {
	if len(want) == 0 {
		return true, ""
	}
	for _, c := range list {
		n, merged := runs(want, c)
		named = named || n
		if n && !merged && other == "" {
			other = c.Image
		}
	}
	return named, other
}

// chosen are the workloads that belong to the subject.
func chosen(s Subject, want map[string][]version, found []Running) []Running {
	var named, byImage []Running
	for _, r := range found {
		carry, _ := carries(want, r.Template)
		if !carry {
			continue
		}
		if slices.ContainsFunc(s.Workloads, r.is) {
			named = append(named, r)
		}
		if len(want) > 0 && (len(s.Namespaces) == 0 && len(s.Workloads) == 0 || slices.Contains(s.Namespaces, r.Namespace)) {
			byImage = append(byImage, r)
		}
	}
	if len(named) > 0 {
		return named
	}
	return byImage
}

// Title names a workload in samples: "deployment web/web".
func (r Running) Title() string { return strings.ToLower(r.Kind) + " " + r.Namespace + "/" + r.Name }

// is reports whether a workload of the subject means this one.
func (r Running) is(w Workload) bool {
	return r.Name == w.Name && r.Namespace == w.Namespace && (w.Kind == "" || strings.EqualFold(w.Kind, r.Kind))
}

// look judges one workload.
func look(s Subject, want map[string][]version, r Running) Finding {
	switch _, other := carries(want, r.Template); {
	case other != "":
		return Finding{Sample: Sample{State: NotDeployed, Detail: fmt.Sprintf("its specification has %s, not %s", other, s.Version)}}
	case len(want) == 0 && r.Chart != "" && s.Version != "" && !strings.HasSuffix(r.Chart, "-"+strings.ReplaceAll(s.Version, "+", "_")):
		return Finding{Sample: Sample{State: NotDeployed, Detail: fmt.Sprintf("it comes from chart %s, not from version %s", r.Chart, s.Version)}}
	case r.Suspended:
		return Finding{Sample: Sample{State: NotDeployed, Detail: "suspended workload: it runs nothing until it is resumed"}}
	case r.Kind == "CronJob" || r.Kind == "Job":
		return lookJobs(s, want, r)
	case r.Want == 0 && r.Kind == "DaemonSet":
		return Finding{Sample: Sample{State: NotDeployed, Detail: "suspended workload: no node is meant to run it"}}
	case r.Want == 0:
		return Finding{Sample: Sample{State: NotDeployed, Detail: "suspended workload: scaled to 0 replicas"}}
	}
	if f, failing := failure(s, want, r.Pods, false); failing && f.State == Fatal {
		return f
	} else if r.exceeded(want) {
		return blame(r, Finding{Sample: Sample{State: Fatal, Cause: CauseDeadline, Detail: r.Exceeded}})
	} else if failing {
		return f
	}
	return progress(want, r)
}

// exceeded reports whether the controller gave up on this roll-out: it waited for
// a pod of the merged version that was there by then. A Deployment that goes
// back to an earlier version keeps the word of the roll-out before for a while.
func (r Running) exceeded(want map[string][]version) bool {
	return r.Exceeded != "" && r.Observed >= r.Generation && slices.ContainsFunc(r.Pods, func(p Pod) bool {
		return !p.Ready && !p.Deleting && !p.Gone && p.merged(want) && p.Created.Before(r.ExceededAt)
	})
}

// blame points a finding without a pod at the first pod that is not ready, for its log.
func blame(r Running, f Finding) Finding {
	for _, p := range r.Pods {
		if p.Ready || p.Deleting || p.Gone {
			continue
		}
		f.Pod, f.UID = p.Name, p.UID
		for _, c := range p.Containers {
			if !c.Ready && (!c.Init || c.Ended == nil) {
				f.Container = c.Name
				return f
			}
		}
		return f
	}
	return f
}

// progress judges a workload none of whose pods has failed.
func progress(want map[string][]version, r Running) Finding {
	f := Finding{Sample: Sample{State: Progressing}}
	target := r.Want - min(r.Partition, r.Want)
	switch {
	case r.Observed < r.Generation:
		f.Detail = "its controller has not seen the new specification yet"
	case r.Refused != "":
		f.State, f.Cause, f.Detail = Bad, CauseUnhealthy, r.Refused
	case r.Updated < target && r.Paused:
		f.State, f.Detail = NotDeployed, fmt.Sprintf("its roll-out is paused: %d of %d pods are of the new version", r.Updated, r.Want)
	case r.Updated < target && r.OnDelete:
		f.State, f.Detail = NotDeployed, fmt.Sprintf("update strategy OnDelete: %d of %d pods are of the new version, the others wait to be deleted by hand", r.Updated, r.Want)
	case r.Updated < target:
		f.Detail = fmt.Sprintf("%d of %d pods are of the new version", r.Updated, target)
	case r.Ready < r.Want || r.Available < r.Want:
		f.Detail = fmt.Sprintf("%d of %d pods are Ready", min(r.Ready, r.Available), r.Want)
		if why := waiting(want, r.Pods); why != "" {
			f.Detail += ": " + why
		}
		if r.Complete {
			f.State, f.Cause = Bad, CauseUnhealthy
			f = blame(r, f)
		}
	case r.Have > max(r.Updated, r.Want):
		f.Detail = fmt.Sprintf("%d old pods are ending", r.Have-max(r.Updated, r.Want))
	case r.Partition > 0 && target < r.Want:
		f.State, f.Detail = NotDeployed, fmt.Sprintf("partition %d: %d of %d pods keep the old version", r.Partition, r.Want-target, r.Want)
	default:
		f.State, f.Detail = Good, fmt.Sprintf("%d of %d pods are Ready", r.Ready, r.Want)
	}
	return f
}

// waiting says what a pod that is not ready waits for, as far as it is known.
func waiting(want map[string][]version, pods []Pod) string {
	for _, p := range pods {
		if p.Ready || p.Deleting || p.Gone || !p.merged(want) {
			continue
		}
		if p.Unplaced != "" {
			return "no node for pod " + p.Name + ": " + p.Unplaced
		}
		for _, c := range p.Containers {
			if c.Waiting != "" && c.Waiting != "PodInitializing" {
				return fmt.Sprintf("container %s of pod %s: %s", c.Name, p.Name, c.Waiting)
			}
		}
	}
	return ""
}

// lookJobs judges a CronJob, whose next Job has the new version, or a Job.
func lookJobs(s Subject, want map[string][]version, r Running) Finding {
	var latest *Run
	for i, j := range r.Jobs {
		if r.Kind == "CronJob" && (j.Created.Before(s.Since) || !j.merged(want)) {
			continue
		}
		if latest == nil || j.Created.After(latest.Created) {
			latest = &r.Jobs[i]
		}
	}
	switch {
	case latest == nil && r.Kind == "CronJob":
		return Finding{Sample: Sample{State: Good, Detail: "its next Job runs the new version; none has run since"}}
	case latest == nil:
		return Finding{Sample: Sample{State: Progressing, Detail: "it has not started yet"}}
	case latest.Succeeded:
		return Finding{Sample: Sample{State: Good, Detail: "Job " + latest.Name + " succeeded"}}
	}
	f, failing := failure(s, want, latest.Pods, latest.Failed == "")
	switch {
	case failing && (latest.Failed != "" || f.State == Fatal):
		f.State = Fatal
		f.Detail = strings.TrimSuffix("Job "+latest.Name+": "+f.Detail+"; "+latest.Failed, "; ")
		return f
	case latest.Failed != "":
		return blame(Running{Pods: latest.Pods}, Finding{Sample: Sample{State: Fatal, Cause: CauseUnhealthy, Detail: "Job " + latest.Name + " failed: " + latest.Failed}})
	case r.Kind == "CronJob":
		return Finding{Sample: Sample{State: Good, Detail: "its next Job runs the new version; Job " + latest.Name + " is running"}}
	}
	return Finding{Sample: Sample{State: Progressing, Detail: "Job " + latest.Name + " is running"}}
}

func (j Run) merged(want map[string][]version) bool {
	named, other := carries(want, j.Template)
	return named && other == ""
}

// merged reports whether the pod runs the merged version.
func (p Pod) merged(want map[string][]version) bool {
	var list []Container
	for _, c := range p.Containers {
		list = append(list, c.Container)
	}
	named, other := carries(want, list)
	return named && other == ""
}
