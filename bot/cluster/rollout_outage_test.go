package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/watch"
)

// TestRolloutOutage stops the API server under a healthy service: what belay
// cannot see is never unhealthy, and what happens meanwhile is seen afterwards.
func TestRolloutOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	plane, err := kube.Start(t.Context(), kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newStage(t, plane)
	w.deployment("v2", 2, nil)
	w.until("healthy", is(watch.Good), unhealthy)

	plane.StopAPIServer()
	var blind watch.Sample
	w.until("blind", func(list []watch.Sample) bool {
		blind = list[0]
		return is(watch.Blind)(list)
	}, unhealthy)
	if blind.Detail == "" {
		t.Error("a blind sample does not say why")
	}
	for range 20 {
		if got := w.rollouts.Look(w.ctx, w.subject); !is(watch.Blind)(got) {
			t.Fatalf("while the API server is away: %+v", got)
		}
	}

	if err := plane.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until("healthy again", is(watch.Good), unhealthy)

	w.play("v3", kube.CrashLoop(time.Second/5, "panic after the outage"))
	w.subject.Version = "v3"
	w.move("deployments", "v3")
	w.until("the crash is seen", func(list []watch.Sample) bool {
		return is(watch.Fatal)(list) && strings.Contains(list[0].Log, "panic after the outage")
	}, nil)
}

// firstWord is how long a look may take where nobody answers.
const firstWord = 5 * time.Second

// nowhere is an API server that is not there.
func nowhere() *rest.Config { return &rest.Config{Host: "http://127.0.0.1:1"} }

// TestRolloutUnreachable looks at a cluster that is not there.
func TestRolloutUnreachable(t *testing.T) {
	r, err := cluster.NewRollouts(cluster.RolloutOptions{Config: nowhere()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s := watch.Subject{Service: "web", Images: []string{"acme/web"}, Version: "v2", Namespaces: []string{"web"}}
	from := time.Now()
	if got := r.Look(t.Context(), s); !is(watch.Blind)(got) {
		t.Errorf("want blind, got %+v", got)
	}
	if took := time.Since(from); took > firstWord {
		t.Errorf("it took %s to see that nobody is there", took)
	}
}

// TestRolloutFirstCrash measures from a container's first crash to the wake that sees it.
func TestRolloutFirstCrash(t *testing.T) {
	w := newStage(t, shared(t))
	var crash moment
	w.play("v2", func(ctx context.Context, c *kube.Container) {
		c.Run()
		c.Log("panic: no such table")
		if c.Pause(ctx, time.Second) {
			crash.now()
			c.Exit(1, "Error")
		}
	})
	w.deployment("v1", 1, nil)
	w.until("the old version runs", is(watch.NotDeployed), nil)
	w.move("deployments", "v2")
	w.until("the crash", is(watch.Fatal), nil)
	took := crash.since()
	t.Logf("from the container's exit to the failing sample with its log: %s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("%s from the crash to the sample", took)
	}
}

// TestRolloutSharesNamespaces follows twenty services of one namespace and
// counts what the API server is asked, then ends them one by one.
func TestRolloutSharesNamespaces(t *testing.T) {
	w := newStage(t, shared(t))
	w.deployment("v2", 1, nil)
	w.until("healthy", is(watch.Good), nil)
	opened := w.requests.watches.Load() + w.requests.lists.Load()
	var wg sync.WaitGroup
	subject := func(i int) watch.Subject {
		s := w.subject
		s.Service = fmt.Sprint("service-", i)
		return s
	}
	for i := range 20 {
		wg.Go(func() {
			w.rollouts.Follow(subject(i), nil)
			if got := w.rollouts.Look(w.ctx, subject(i)); !is(watch.Good)(got) {
				t.Errorf("service %d: %+v", i, got)
			}
		})
	}
	wg.Wait()
	if more := w.requests.watches.Load() + w.requests.lists.Load() - opened; more > 0 {
		t.Errorf("twenty more services in the namespace cost %d lists and watches", more)
	}
	if opened > 12 {
		t.Errorf("%d lists and watches for one namespace, want at most 12", opened)
	}
	w.rollouts.Unfollow("acme/home-ops", "web")
	for i := range 20 {
		w.rollouts.Unfollow("acme/home-ops", fmt.Sprint("service-", i))
	}
	if n := w.rollouts.Watching(); n != 0 {
		t.Errorf("%d namespaces are watched for nobody", n)
	}
}

// TestRolloutForgets lets a service be forgotten that nobody looks at.
func TestRolloutForgets(t *testing.T) {
	var passed atomic.Int64 // since nine o'clock
	now := func() time.Time {
		return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(passed.Load()))
	}
	r, err := cluster.NewRollouts(cluster.RolloutOptions{Config: nowhere(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.Follow(watch.Subject{Service: "a", Namespaces: []string{"a"}}, nil)
	r.Follow(watch.Subject{Service: "b", Namespaces: []string{"a", "b"}}, nil)
	if n := r.Watching(); n != 2 {
		t.Errorf("%d namespaces are watched, want 2", n)
	}
	passed.Store(int64(11 * time.Minute))
	r.Follow(watch.Subject{Service: "c", Namespaces: []string{"b"}}, nil)
	if n := r.Watching(); n != 1 {
		t.Errorf("%d namespaces are watched after ten minutes without a look, want 1", n)
	}
}

// TestRolloutEvents has the events of the failing pod in the evidence.
func TestRolloutEvents(t *testing.T) {
	w := newStage(t, shared(t))
	w.play("v2", kube.PullFails())
	w.deployment("v2", 1, nil)
	p := w.pod(func(p *corev1.Pod) bool { return p.Spec.NodeName != "" })
	_, err := w.client.CoreV1().Events(w.namespace).Create(w.ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e1"}, Type: "Warning", Reason: "Failed", Count: 3,
		Message: "Failed to pull image:\n  manifest unknown", LastTimestamp: metav1.Now(),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: w.namespace, Name: p.Name, UID: p.UID}}, metav1.CreateOptions{})
	w.must(err)
	got := w.until("the pull fails", is(watch.Fatal), nil)
	if want := "Warning Failed: Failed to pull image: manifest unknown (3 times)"; !strings.Contains(got[0].Log, want) {
		t.Errorf("the evidence lacks %q:\n%s", want, got[0].Log)
	}
}

// TestRolloutGoesBack follows a revert: what is left of the failed roll-out
// says nothing about the version that comes back.
func TestRolloutGoesBack(t *testing.T) {
	w := newStage(t, shared(t))
	w.play("v2", kube.NeverReady("waiting for nothing"))
	w.deployment("v1", 2, func(s *appsv1.DeploymentSpec) { s.ProgressDeadlineSeconds = new(int32(2)) })
	w.until("the old version runs", is(watch.NotDeployed), nil)
	w.move("deployments", "v2")
	w.until("the deadline", is(watch.Fatal), nil)
	w.subject.Version, w.subject.Since = "v1", time.Now()
	w.move("deployments", "v1")
	w.until("the old version is back", is(watch.Good), unhealthy)
}
