package probe_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/watch"
)

// real is how many of a thousand watches look through the real HTTP and Uptime
// Kuma observers.
const real = 150

// span is a time in a simulated watch, from the apply on.
type span struct{ from, to time.Duration }

func in(list []span, at time.Duration) bool {
	return slices.ContainsFunc(list, func(s span) bool { return at >= s.from && at < s.to })
}

// world is a service with its observers, and all that happens to them.
type world struct {
	limits                 watch.Limits
	rollout, http, kuma    bool     // which observers there are
	workloads              []rolled // of the service
	recreate               bool     // the old pods end before the new ones are up
	beat                   time.Duration
	failure                string
	failsAt                time.Duration
	apiDown, stale, moving []span // of the cluster: out of reach, seen as it was, pods on their way to another node
	with                   bool   // the service goes away with the API server, as on a single machine
	blips                  []span // the service does not answer for a moment
	kumaDown, asleep       []span // Uptime Kuma and belay itself
}

type rolled struct{ begins, ready time.Duration }

// failures are the bad roll-outs, with whether the cluster or HTTP has to be looked at to see them.
var failures = []struct {
	name    string
	cluster bool
	late    bool // somewhere in the window
}{
	{"crash at once", true, false}, {"crash after a minute", true, false}, {"OOM late", true, true}, {"5xx from the start", false, false},
	{"5xx late", false, true}, {"never ready", true, false}, {"image pull", true, false}, {"restarts rising", true, true},
}

// newWorld makes a world of a seed; failure "" makes a healthy one.
func newWorld(r *rand.Rand, failure int) *world {
	upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
	chance := func(percent int) bool { return r.IntN(100) < percent }
	w := &world{limits: limitsOf([]time.Duration{2 * time.Minute, 10 * time.Minute}[r.IntN(2)]),
		rollout: chance(85), http: chance(85), kuma: chance(50), recreate: chance(40), with: chance(50), beat: upTo(time.Minute)}
	if !w.rollout && !w.http {
		w.rollout = true
	}
	w.with = w.with && w.rollout // else it is the service that is down, for all that can be seen
	begins := upTo(20 * time.Second)
	for range 1 + r.IntN(3) {
		took := 5*time.Second + upTo(90*time.Second)
		if chance(10) {
			took += upTo(5 * time.Minute) // a long migration
		}
		if !w.rollout {
			took = min(took, 90*time.Second)
		}
		w.workloads = append(w.workloads, rolled{begins, begins + took})
	}
	ready := w.ready()
	window := w.limits.Window
	if failure >= 0 {
		f := failures[failure]
		w.failure = f.name
		w.rollout, w.http = w.rollout || f.cluster, w.http || !f.cluster
		switch {
		case f.late:
			w.failsAt = ready + upTo(window-time.Second)
			if !w.rollout {
				w.failsAt = upTo(window - time.Second)
			}
		case f.name == "crash at once":
			w.failsAt = begins + 2*time.Second
		case f.name == "crash after a minute":
			w.failsAt = ready + time.Minute
		default:
			w.failsAt = begins
		}
	}
	some := func(most int, shortest, longest time.Duration) []span {
		var out []span
		at := time.Duration(0)
		for range r.IntN(most + 1) {
			at += upTo(4 * time.Minute)
			long := shortest + upTo(longest-shortest)
			out = append(out, span{at, at + long})
			at += long + 45*time.Second
		}
		return out
	}
	w.apiDown = some(2, 10*time.Second, 4*time.Minute)
	w.stale = some(2, 10*time.Second, time.Minute)
	w.kumaDown = some(2, 30*time.Second, 10*time.Minute)
	w.blips = some(3, time.Second, 28*time.Second)
	if chance(10) {
		w.asleep = some(1, 3*time.Minute, time.Hour)
	}
	if failure < 0 && w.rollout && chance(10) {
		at := ready + upTo(window)
		w.moving = []span{{at, at + 20*time.Second + upTo(70*time.Second)}}
		// Where the move is not seen, it is an outage of more than the retries.
		w.stale = slices.DeleteFunc(w.stale, func(s span) bool { return s.from < w.moving[0].to && s.to > at })
	}
	if failure >= 0 {
		// A watch that was dropped and not noticed until the window is over
		// hides anything: that is the cluster observer's to prevent.
		w.stale = slices.DeleteFunc(w.stale, func(s span) bool { return s.to > ready+window/2 || s.to > w.failsAt })
	}
	return w
}

func limitsOf(window time.Duration) watch.Limits {
	return watch.Limits{Since: start, Window: window, Retries: 3, Interval: 15 * time.Second, Extend: 10 * time.Minute}
}

// ready is when the last workload is.
func (w *world) ready() time.Duration {
	last := time.Duration(0)
	for _, x := range w.workloads {
		last = max(last, x.ready)
	}
	return last
}

func (w *world) failed(at time.Duration) bool { return w.failure != "" && at >= w.failsAt }

// answers reports whether the service answers at a moment.
func (w *world) answers(at time.Duration) bool {
	if w.failed(at) && w.failure != "image pull" && w.failure != "never ready" && w.failure != "restarts rising" {
		return false
	}
	first := w.workloads[0]
	if w.recreate && at >= first.begins && (at < first.ready || w.failed(at)) || in(w.moving, at) || in(w.blips, at) {
		return false
	}
	if w.with { // and comes back a little later than the API server
		for _, s := range w.apiDown {
			if at >= s.from && at < s.to+20*time.Second {
				return false
			}
		}
	}
	return true
}

// pods is what the cluster's observer finds of one workload.
func (w *world) pods(x rolled, first bool, at time.Duration) watch.Sample {
	s := watch.Sample{State: watch.Good, Detail: "1 of 1 pods are Ready"}
	fail := func(c watch.Cause) watch.Sample {
		return watch.Sample{State: watch.Fatal, Cause: c, Detail: string(c), Log: "panic: no such column"}
	}
	switch {
	case at < x.begins:
		return watch.Sample{State: watch.NotDeployed, Detail: "its specification has the old version"}
	case first && w.failed(at):
		switch w.failure {
		case "crash at once", "crash after a minute":
			return fail(watch.CauseCrash)
		case "OOM late":
			return fail(watch.CauseOOM)
		case "image pull":
			return fail(watch.CausePull)
		case "restarts rising":
			return fail(watch.CauseRestarts)
		case "never ready":
			return watch.Sample{State: watch.Progressing, Detail: "0 of 1 pods are Ready"}
		}
	case at < x.ready:
		return watch.Sample{State: watch.Progressing, Detail: "0 of 1 pods are Ready"}
	case first && in(w.moving, at):
		return watch.Sample{State: watch.Bad, Cause: watch.CauseUnhealthy, Detail: "0 of 1 pods are Ready"}
	}
	return s
}

// cluster is the look of the cluster's observer.
func (w *world) cluster(at time.Duration) []watch.Sample {
	if in(w.apiDown, at) {
		return []watch.Sample{{At: start.Add(at), Kind: watch.Rollout, Name: "web", State: watch.Blind, Detail: "the API server is out of reach"}}
	}
	seen := at
	for _, s := range w.stale {
		if at >= s.from && at < s.to {
			seen = s.from
		}
	}
	var out []watch.Sample
	for i, x := range w.workloads {
		s := w.pods(x, i == 0, seen)
		s.At, s.Kind, s.Name = start.Add(at), watch.Rollout, fmt.Sprintf("deployment web/web-%d", i)
		out = append(out, s)
	}
	return out
}

// monitor is what Uptime Kuma says: what it found at its last beat.
func (w *world) monitor(at time.Duration) int {
	last := at - (at-w.beat+time.Hour)%time.Minute
	if w.answers(last) {
		return 1
	}
	return 0
}

// changes are the moments at which the cluster sends events.
func (w *world) changes() []time.Duration {
	out := []time.Duration{w.failsAt}
	for _, x := range w.workloads {
		out = append(out, x.begins, x.ready)
	}
	for _, s := range slices.Concat(w.apiDown, w.moving) {
		out = append(out, s.from, s.to)
	}
	slices.Sort(out)
	return out
}

// eyes are the observers of a watch but the cluster's.
type eyes interface {
	look(t *testing.T, w *world, at time.Duration) []watch.Sample
}

// told gives the samples that the observers would.
type told struct{}

func (told) look(_ *testing.T, w *world, at time.Duration) []watch.Sample {
	var out []watch.Sample
	if w.http {
		x := watch.Sample{At: start.Add(at), Kind: watch.HTTP, Name: "https://web.example.org", State: watch.Good, Detail: "200 OK"}
		if !w.answers(at) {
			x.State, x.Cause, x.Detail = watch.Bad, watch.CauseUnhealthy, "503 Service Unavailable"
		}
		out = append(out, x)
	}
	if w.kuma {
		x := watch.Sample{At: start.Add(at), Kind: watch.Kuma, Name: "monitor web", State: watch.Good, Detail: "up"}
		switch {
		case in(w.kumaDown, at):
			x.State, x.Detail = watch.Blind, "uptime kuma is out of reach"
		case w.monitor(at) == 0:
			x.State, x.Cause, x.Detail = watch.Bad, watch.CauseUnhealthy, "down"
		}
		out = append(out, x)
	}
	return out
}

// seen asks servers on loopback through the real observers.
type seen struct {
	http    *probe.HTTP
	kuma    *probe.Kuma
	stand   *kuma
	address string
	mode    atomic.Int32 // how the service answers: 0 well, then in several bad ways
	now     time.Time
	looks   atomic.Int32
}

func newSeen(t *testing.T) *seen {
	s := &seen{stand: &kuma{key: "uk1_secret"}}
	s.address = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch s.mode.Load() {
		case 0:
			w.WriteHeader([]int{200, 302, 401, 403}[s.looks.Load()%4])
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			panic(http.ErrAbortHandler) // the connection breaks off
		}
	})
	s.http = probe.NewHTTP(probe.HTTPOptions{Now: func() time.Time { return s.now }, Timeout: time.Minute})
	s.kuma = newKuma(t, s.stand, func() time.Time { return s.now })
	return s
}

func (s *seen) look(t *testing.T, w *world, at time.Duration) []watch.Sample {
	s.now = start.Add(at)
	s.mode.Store(0)
	if !w.answers(at) {
		s.mode.Store(1 + int32(at/time.Second)%2)
	}
	s.stand.down.Store(in(w.kumaDown, at))
	s.stand.status = map[string]int{"web#0": w.monitor(at), "ana#2": 1, "bo#3": 1}
	var out []watch.Sample
	if w.http {
		out = s.http.Look(t.Context(), watch.Subject{URLs: []string{s.address + "/web"}})
		s.looks.Add(1)
	}
	if w.kuma {
		out = append(out, s.kuma.Look(t.Context(), watch.Subject{Service: "web", Since: start})...)
		s.looks.Add(1)
	}
	return out
}

// through watches a world to its verdict, and says when that came.
func through(t *testing.T, r *rand.Rand, w *world, e eyes) (watch.Verdict, time.Duration) {
	var s watch.Summary
	at := time.Duration(0)
	events := w.changes()
	for range 100_000 {
		if in(w.asleep, at) {
			for _, z := range w.asleep {
				at = max(at, z.to)
			}
		}
		samples := e.look(t, w, at)
		if w.rollout {
			samples = append(samples, w.cluster(at)...)
		}
		s = watch.Fold(s, samples)
		v := watch.Judge(s, w.limits, start.Add(at))
		if v.Health != watch.HealthRunning {
			return v, at
		}
		next := v.Until.Sub(start) + time.Duration(r.IntN(500))*time.Millisecond
		for w.rollout && len(events) > 0 && events[0] < next {
			if event := events[0] + 100*time.Millisecond; event > at && r.IntN(10) > 0 { // one in ten is lost
				next = event
			}
			events = events[1:]
		}
		at = next
	}
	t.Fatal("no verdict")
	return watch.Verdict{}, 0
}

// TestFalseRevert simulates healthy services whose observers fail, none of
// which may be reverted, and bad roll-outs, none of which may pass.
func TestFalseRevert(t *testing.T) {
	watches := 1000
	if testing.Short() {
		watches = 200
		t.Log("short: 200 watches of each sort instead of 1,000")
	}
	servers := newSeen(t)
	observers := func(seed int) eyes {
		if seed < real {
			return servers
		}
		return told{}
	}
	verdicts := map[watch.Health]int{}
	for seed := range watches {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		w := newWorld(r, -1)
		v, at := through(t, r, w, observers(seed))
		verdicts[v.Health]++
		if v.Health == watch.HealthBad {
			t.Errorf("seed %d: a healthy service is reverted after %s: %s\n%+v", seed, at, v.Why, *w)
		}
	}
	t.Logf("%d watches of a healthy service with observer faults: %d reverts (%d healthy, %d inconclusive, %d not deployed)",
		watches, verdicts[watch.HealthBad], verdicts[watch.HealthGood], verdicts[watch.HealthInconclusive], verdicts[watch.HealthNotDeployed])

	missed := 0
	took := map[string][]time.Duration{}
	for seed := range watches {
		r := rand.New(rand.NewPCG(uint64(seed), 6))
		w := newWorld(r, seed%len(failures))
		v, at := through(t, r, w, observers(seed))
		if v.Health != watch.HealthBad {
			missed++
			t.Errorf("seed %d: %s is missed: %s after %s: %s\n%+v", seed, w.failure, v.Health, at, v.Why, *w)
			continue
		}
		if at < w.failsAt {
			t.Errorf("seed %d: %s is reverted before it happens: %s", seed, w.failure, v.Why)
		}
		took[w.failure] = append(took[w.failure], at-w.failsAt)
	}
	t.Logf("%d bad roll-outs with observer faults: %d missed", watches, missed)
	for _, f := range failures {
		d := took[f.name]
		slices.Sort(d)
		if len(d) > 0 {
			t.Logf("  %-20s %3d found, after %6s (median), %7s (90 of 100)", f.name, len(d), d[len(d)/2].Round(100*time.Millisecond), d[len(d)*9/10].Round(100*time.Millisecond))
		}
	}
	t.Logf("%d looks went through the real HTTP and Uptime Kuma observers", servers.looks.Load())
	if servers.looks.Load() < 1000 {
		t.Error("too few looks went through the real observers")
	}
}
