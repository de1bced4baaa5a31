package journey_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// patience is how long a journey waits for what takes a second or two on an idle machine.
const patience = 90*time.Second + (allowance-1)*20*time.Second

// What must be reached: SPEC section 11 has events first, polling second.
const (
	crashToRevert = allowance * 10 * time.Second
	applyToLook   = allowance * 2 * time.Second
)

// config is the beginning of every repository's belay.yml: a day's windows in seconds.
const config = `services: { roots: ["stacks/*"] }
dispatch: { limit: { upgrades: 50, window: 6h } }
steps: direct
apply: { checks: [deploy], timeout: 5m }
verify: { safe: 2s, caution: 3s, unknown: 2s, interval: 1s, extend: 60s, rollout: 60s, settle: 3s }
`

// journey is one repository with its services, on its way through an upgrade.
type journey struct {
	*testing.T
	world *world
	repo  *sandbox.Repository
	name  string // "acme/ebooks"
	files map[string]string
	ci    *pipeline
	began time.Time
	row   row
}

// begin makes a repository of a configuration, which is added to the common one,
// and files; CI applies it before belay hears of anything.
func (w *world) begin(t *testing.T, name, more string, files map[string]string) *journey {
	t.Helper()
	files = maps.Clone(files)
	files[".github/belay.yml"], files["README.md"] = config+more, "# home-ops\n"
	repo, err := w.gh.AddRepository("acme", name, files)
	must(t, err)
	repo.AutoChecks(map[string]string{"ci": "success"})
	j := &journey{T: t, world: w, repo: repo, name: "acme/" + name, files: files}
	j.ci = &pipeline{j: j, commits: make(chan string, 100), done: make(chan struct{}), gaveUp: make(chan struct{}), success: map[string]time.Time{}}
	must(t, j.ci.apply("main"))
	w.mu.Lock()
	w.pipelines[j.name] = j.ci
	w.mu.Unlock()
	go j.ci.run()
	t.Cleanup(func() {
		w.mu.Lock()
		delete(w.pipelines, j.name)
		close(j.ci.commits)
		w.mu.Unlock()
		<-j.ci.done
	})
	return j
}

// dispatch sends what DIUN says of a new tag, by way of the repository.
func (j *journey) dispatch(image, tag string) {
	if j.began.IsZero() {
		j.began = time.Now()
	}
	j.repo.Dispatch("diun", map[string]any{"diun_version": "4.28.0", "hostname": "home", "status": "new", "provider": "kubernetes", "image": image + ":" + tag,
		"hub_link": "", "mime_type": "", "digest": "", "created": "2026-01-02T03:04:05Z", "platform": "linux/amd64"})
}

// eventually waits until something is so.
func (j *journey) eventually(what string, ok func() bool) {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), patience)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			j.Fatalf("never: %s\n%s", what, j.story())
		case <-tick.C:
		}
	}
}

// upgrade is the newest upgrade of a service.
func (j *journey) upgrade(service string) store.Upgrade {
	list, err := j.world.store.Upgrades(context.Background(), store.Filter{Repository: j.name, Service: service, Limit: 10})
	if err != nil || len(list) == 0 {
		return store.Upgrade{}
	}
	return slices.MaxFunc(list, func(a, b store.Upgrade) int { return a.Created.Compare(b.Created) })
}

// reaches waits until a service's upgrade is in a state, and its record has the text.
func (j *journey) reaches(service string, state lifecycle.State, text string) store.Upgrade {
	j.Helper()
	var u store.Upgrade
	j.eventually(fmt.Sprintf("%s is %s %q", service, state, text), func() bool {
		u = j.upgrade(service)
		if s := lifecycle.State(u.State); s != state && s.Final() && state.Final() {
			j.Fatalf("%s is %s, want %s\n%s", service, s, state, j.story())
		}
		return u.State == string(state) && strings.Contains(string(u.Data), text)
	})
	return u
}

// pulls are a service's pull requests, those whose branch begins so after its name.
func (j *journey) pulls(service, prefix string) []sandbox.Pull {
	var out []sandbox.Pull
	for _, p := range j.repo.Pulls() {
		version, ok := strings.CutPrefix(p.Branch, "belay/"+service+"/")
		special := strings.HasPrefix(version, "revert-") || strings.HasPrefix(version, "fix-")
		if ok && strings.HasPrefix(version, prefix) && (prefix != "") == special {
			out = append(out, p)
		}
	}
	return out
}

// pull is the one pull request that upgrades a service.
func (j *journey) pull(service string) sandbox.Pull {
	j.Helper()
	return j.one(service, "")
}

func (j *journey) revert(service string) sandbox.Pull {
	j.Helper()
	return j.one(service, "revert-")
}

func (j *journey) one(service, prefix string) sandbox.Pull {
	j.Helper()
	list := j.pulls(service, prefix)
	if len(list) != 1 {
		j.Fatalf("%d pull requests of %s with %q, want one\n%s", len(list), service, prefix, j.story())
	}
	return list[0]
}

// approve has ana agree to a service's upgrade once it waits for her.
func (j *journey) approve(service string) {
	j.Helper()
	j.reaches(service, lifecycle.Open, "approving review")
	j.repo.Review(j.pull(service).Number, "ana", "approved")
}

// main holds that the default branch has the files of the beginning with these
// replacements, path, old and new in turn, and nothing else.
func (j *journey) main(changes ...string) {
	j.Helper()
	want := maps.Clone(j.files)
	for c := range slices.Chunk(changes, 3) {
		if !strings.Contains(want[c[0]], c[1]) {
			j.Fatalf("%s never had %q", c[0], c[1])
		}
		want[c[0]] = strings.ReplaceAll(want[c[0]], c[1], c[2])
	}
	for path, text := range want {
		got, err := j.repo.File("main", path)
		must(j, err)
		if strings.TrimSpace(got) != strings.TrimSpace(text) {
			j.Errorf("%s on the default branch is\n%s\nwant\n%s", path, got, text)
		}
	}
	if n := len(strings.Fields(j.git("ls-tree", "-r", "--name-only", "main"))); n != len(want) {
		j.Errorf("the default branch has %d files, want %d", n, len(want))
	}
}

// touched is what a commit changed: "1 1 stacks/web/main.tf", lines added and
// taken away.
func (j *journey) touched(sha string) string {
	j.Helper()
	return strings.Join(strings.Fields(j.git("diff", "--numstat", sha+"~1", sha)), " ")
}

func (j *journey) git(args ...string) string {
	j.Helper()
	out, err := exec.Command("git", append([]string{"-C", j.repo.Dir()}, args...)...).Output()
	must(j, err)
	return string(out)
}

// labelled holds that a pull request has the labels.
func (j *journey) labelled(p sandbox.Pull, labels ...string) {
	j.Helper()
	for _, l := range labels {
		if !slices.Contains(p.Labels, l) {
			j.Errorf("#%d has the labels %q, not %q", p.Number, p.Labels, l)
		}
	}
}

// says holds that a text contains the others.
func (j *journey) says(text string, want ...string) {
	j.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			j.Errorf("%q is not in\n%s", s, text)
		}
	}
}

// joined holds that the later of two dispatches, whichever that was, led to the
// upgrade that was open already.
func (j *journey) joined() {
	j.Helper()
	j.eventually("a dispatch joins the other's upgrade", func() bool {
		list, err := j.world.store.Dispatches(j.Context(), 1000)
		return err == nil && slices.ContainsFunc(list, func(d store.Dispatch) bool {
			return d.Repository == j.name && len(d.Outcomes) == 1 && strings.Contains(d.Outcomes[0].Reason, "joins the upgrade that is open")
		})
	})
}

// alone holds that all pull requests of the repository are these many.
func (j *journey) alone(n int) {
	j.Helper()
	if got := len(j.repo.Pulls()); got != n {
		j.Errorf("%d pull requests, want %d", got, n)
	}
}

// jobs are how many Jobs a namespace has that were made from a CronJob.
func (j *journey) jobs(namespace string, want int) {
	j.Helper()
	list, err := j.world.client.BatchV1().Jobs(namespace).List(j.Context(), metav1.ListOptions{})
	must(j, err)
	if len(list.Items) != want {
		j.Errorf("%d Jobs in %s, want %d", len(list.Items), namespace, want)
	}
}

// runs holds that a Deployment runs an image with all its pods Ready.
func (j *journey) runs(namespace, name, image string) {
	j.Helper()
	j.eventually(fmt.Sprintf("%s/%s runs %s", namespace, name, image), func() bool {
		d, err := j.world.client.AppsV1().Deployments(namespace).Get(j.Context(), name, metav1.GetOptions{})
		return err == nil && d.Spec.Template.Spec.Containers[0].Image == image && *d.Spec.Replicas == 1 && d.Status.ReadyReplicas == 1 && d.Status.UpdatedReplicas == 1
	})
}

// cronJob makes a CronJob outside of the repository, as the databases' are.
func (j *journey) cronJob(namespace, name string, script kube.Script) {
	j.Helper()
	image := "ghcr.io/acme/" + namespace + "-" + name + ":1"
	j.world.plane.Kubelet.Play(image, script)
	must(j, j.world.plane.Apply(j.Context(), object{Kind: "cron_job_v1", Namespace: namespace, Name: name, Image: image}))
}

// namespace makes a namespace that no stack makes.
func (j *journey) namespace(name string) {
	j.Helper()
	_, err := j.world.client.CoreV1().Namespaces().Create(j.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		must(j, err)
	}
}

// dumps is a backup that takes a second and says so at its end.
var dumps = kube.Succeeds(time.Second, "dumping", "dump complete")

// watched holds that belay looked soon after CI had applied a commit.
func (j *journey) watched(service, sha string) {
	j.Helper()
	at := j.ci.appliedAt(sha)
	if at.IsZero() {
		j.Fatalf("CI never applied %q", sha)
	}
	took, ok := j.world.watched.after(j.name, service, at)
	if !ok || took > applyToLook {
		j.Errorf("the first look at %s was over %s after its apply (%v), want %s at most", service, took, ok, applyToLook)
	}
	j.row.look = max(j.row.look, took)
}

// reverted holds that the revert was open soon after the first crash.
func (j *journey) reverted(service string, crash *moment) {
	j.Helper()
	p := j.revert(service)
	var at time.Time
	j.eventually("GitHub tells of the revert", func() bool {
		j.world.mu.Lock()
		defer j.world.mu.Unlock()
		at = j.world.opened[j.name][p.Branch]
		return !at.IsZero()
	})
	took := at.Sub(crash.get())
	if crash.get().IsZero() || took > crashToRevert {
		j.Errorf("the revert of %s was open %s after the first crash, want %s at most", service, took, crashToRevert)
	}
	j.row.revert = took
}

// story tells what happened, for a journey that went astray.
func (j *journey) story() string {
	var b strings.Builder
	ctx := context.Background()
	list, err := j.world.store.Upgrades(ctx, store.Filter{Repository: j.name, Limit: 50})
	if err != nil {
		return err.Error()
	}
	for _, u := range list {
		var record map[string]any
		_ = json.Unmarshal(u.Data, &record)
		fmt.Fprintf(&b, "%s %s → %s: %s #%d waits=%v health=%v backup=%v undo=%v\n", u.Service, u.From, u.To, u.State, u.Pull, record["waits"], record["health"], record["backup"], record["undo"])
		events, _ := j.world.store.Events(ctx, u.ID)
		for _, e := range events {
			fmt.Fprintf(&b, "  %s %s %s: %s\n", e.At.Format("15:04:05.000"), e.Who, e.What, e.Why)
		}
	}
	dispatches, _ := j.world.store.Dispatches(ctx, 100)
	for _, d := range dispatches {
		if d.Repository == j.name {
			fmt.Fprintf(&b, "dispatch %s:%s done=%v %+v\n", d.Image, d.Tag, d.Done, d.Outcomes)
		}
	}
	return b.String()
}

// moment is when something happened for the first time.
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

func (m *moment) get() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

// crashes is a container that exits so after a second, again and again; when it
// first did is noted.
func crashes(first *moment, code int32, reason string, log ...string) kube.Script {
	return func(ctx context.Context, c *kube.Container) {
		c.Run()
		c.Log(log...)
		if !c.Pause(ctx, time.Second) {
			return
		}
		first.now()
		c.Exit(code, reason)
		if reason == "OOMKilled" {
			kube.OOM(time.Second, log...)(ctx, c)
		} else {
			kube.CrashLoop(time.Second, log...)(ctx, c)
		}
	}
}
