package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster/api"
	"github.com/belaybot/belay/rules/watch"
)

// Rollouts watches what the cluster runs after upgrades. The API server is
// asked to tell of changes once for each namespace, however many services are
// followed there; looks are answered from what it told.
//
// It never says that a service is unhealthy because the API server is: a look
// that cannot be trusted is Blind. What is healthy is decided by
// watch.RollOut.
type Rollouts struct {
	api    *api.Client
	now    func() time.Time
	log    *slog.Logger
	forget time.Duration
	alive  liveness

	ctx  context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	spaces   map[string]*space    // by namespace; "" is all of them
	followed map[string]*followed // by key
}

// RolloutOptions say how roll-outs are watched.
type RolloutOptions struct {
	Config *rest.Config
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged
	// Forget is how long after the last look a service is followed; 0 is ten minutes.
	Forget time.Duration
}

// NewRollouts prepares a watch of the cluster. It asks nothing of it yet.
func NewRollouts(opts RolloutOptions) (*Rollouts, error) {
	config := rest.CopyConfig(opts.Config)
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	// Opening the watches of many namespaces at once is what they are for; the
	// API server shares out its time by itself.
	config.QPS, config.Burst = 50, 500
	client, err := api.New(config)
	if err != nil {
		return nil, fmt.Errorf("client of the cluster at %s: %w", config.Host, err)
	}
	r := &Rollouts{api: client, now: opts.Now, log: opts.Log, forget: opts.Forget, spaces: map[string]*space{}, followed: map[string]*followed{}}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.forget == 0 {
		r.forget = 10 * time.Minute
	}
	r.alive.ask = client.Live
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// Close ends every watch.
func (r *Rollouts) Close() {
	r.stop()
	r.mu.Lock()
	spaces := r.spaces
	r.spaces, r.followed = map[string]*space{}, map[string]*followed{}
	r.mu.Unlock()
	for _, s := range spaces {
		s.done.Wait()
	}
}

// followed is a service that is watched.
type followed struct {
	subject watch.Subject
	spaces  []*space
	wake    func()
	looked  time.Time

	mu       sync.Mutex
	first    map[string]int      // restarts when a container was first seen, by pod's UID and name
	complete map[string]int64    // the generation of a workload that was whole, by its name in samples
	evidence map[string]evidence // of a failure, by pod's UID, container and cause
	last     string              // the states at the last evaluation
}

func key(s watch.Subject) string { return s.Repository + "\x00" + s.Service }

// Follow has the subject's namespaces watched, and wake called whenever what a
// look at it would find has changed: within milliseconds of the API server's
// word, from a goroutine that wake must not hold up. Following a service again
// replaces its subject and wake; nothing is lost if that changes nothing. It
// returns at once. A service nobody has looked at for RolloutOptions.Forget is
// not followed any more.
func (r *Rollouts) Follow(s watch.Subject, wake func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.follow(s, wake)
}

// follow is called with the lock held.
func (r *Rollouts) follow(s watch.Subject, wake func()) *followed {
	r.expire()
	f := r.followed[key(s)]
	if f != nil && same(f.subject, s) {
		if wake != nil {
			f.wake = wake
		}
		f.looked = r.now()
		return f
	}
	next := &followed{subject: s, wake: wake, looked: r.now(), first: map[string]int{}, complete: map[string]int64{}, evidence: map[string]evidence{}}
	for _, namespace := range namespaces(s) {
		next.spaces = append(next.spaces, r.space(namespace))
	}
	if f != nil {
		if next.wake == nil {
			next.wake = f.wake
		}
		r.leave(f)
	}
	r.followed[key(s)] = next
	for _, sp := range next.spaces {
		sp.poke()
	}
	return next
}

// same reports whether a subject is the one followed: another version, or the
// same version applied again, is watched from its beginning.
func same(a, b watch.Subject) bool {
	return a.Version == b.Version && a.Since.Equal(b.Since) && slices.Equal(a.Images, b.Images) &&
		slices.Equal(a.Workloads, b.Workloads) && slices.Equal(a.Namespaces, b.Namespaces)
}

// namespaces are where a subject is looked for; "" alone is everywhere.
func namespaces(s watch.Subject) []string {
	out := slices.Clone(s.Namespaces)
	for _, w := range s.Workloads {
		out = append(out, w.Namespace)
	}
	slices.Sort(out)
	out = slices.DeleteFunc(slices.Compact(out), func(n string) bool { return n == "" })
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// Unfollow ends the watch of a service, and of its namespaces where nobody else is followed.
func (r *Rollouts) Unfollow(repository, service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key(watch.Subject{Repository: repository, Service: service})
	if f := r.followed[k]; f != nil {
		delete(r.followed, k)
		r.leave(f)
	}
	r.expire()
}

// expire forgets services that nobody looks at. It is called with the lock held.
func (r *Rollouts) expire() {
	for k, f := range r.followed {
		if r.now().Sub(f.looked) > r.forget {
			delete(r.followed, k)
			r.leave(f)
		}
	}
}

// space returns the watch of a namespace with one more user. It is called with the lock held.
func (r *Rollouts) space(namespace string) *space {
	s := r.spaces[namespace]
	if s == nil {
		s = r.open(namespace)
		r.spaces[namespace] = s
	}
	s.users++
	return s
}

// leave gives the namespaces of a service back. It is called with the lock held.
func (r *Rollouts) leave(f *followed) {
	for _, s := range f.spaces {
		if s.users--; s.users == 0 {
			delete(r.spaces, s.namespace)
			s.stop()
			r.log.Debug("namespace is not watched any more", "namespace", s.namespace)
		}
	}
}

// Watching is the number of namespaces that are watched now.
func (r *Rollouts) Watching() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spaces)
}

// firstAnswer is how long a look waits for a namespace that was not watched before.
const firstAnswer = 5 * time.Second

// Look tells how the subject's roll-out stands, a sample for each workload. It
// follows the subject if nobody did. The API server is asked for nothing but
// whether it lives, at most every ten seconds for all services together, and
// for the log and the events of a pod that fails, once. Where it does not
// answer, or what it told may be old, the one sample is Blind.
func (r *Rollouts) Look(ctx context.Context, s watch.Subject) []watch.Sample {
	r.mu.Lock()
	f := r.follow(s, nil)
	r.mu.Unlock()
	if err := r.alive.check(ctx, r.now()); err != nil {
		return []watch.Sample{r.blind(s, "the cluster does not answer: "+err.Error())}
	}
	waiting, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	for _, sp := range f.spaces {
		sp.await(waiting)
	}
	var out []watch.Sample
	for _, finding := range r.findings(f) {
		if finding.State == watch.Fatal || finding.State == watch.Bad {
			finding.Log = r.proof(ctx, f, finding)
		}
		out = append(out, finding.Sample)
	}
	return out
}

func (r *Rollouts) blind(s watch.Subject, why string) watch.Sample {
	return watch.Sample{At: r.now(), Kind: watch.Rollout, Name: s.Service, State: watch.Blind, Detail: why}
}

// findings judges what the cluster has told so far.
func (r *Rollouts) findings(f *followed) []watch.Finding {
	now := r.now()
	var found []watch.Running
	for _, sp := range f.spaces {
		if why := sp.blind(now); why != "" {
			return []watch.Finding{{Sample: r.blind(f.subject, why)}}
		}
		found = append(found, sp.running()...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remember(found)
	out := watch.RollOut(f.subject, now, found)
	for _, finding := range out {
		for _, run := range found {
			if finding.State == watch.Good && finding.Workload == run.Workload {
				f.complete[finding.Name] = run.Generation
			}
		}
	}
	return out
}

// remember puts in what earlier looks saw: restarts at first sight, and whether
// the workload has been whole before.
func (f *followed) remember(found []watch.Running) {
	seen := func(pods []watch.Pod) {
		for _, p := range pods {
			for i := range p.Containers {
				c := &p.Containers[i]
				k := p.UID + "/" + c.Name
				if _, known := f.first[k]; !known {
					f.first[k] = c.Restarts
				}
				c.First = f.first[k]
			}
		}
	}
	for i := range found {
		run := &found[i]
		seen(run.Pods)
		for _, j := range run.Jobs {
			seen(j.Pods)
		}
		if generation, ok := f.complete[run.Title()]; ok && generation == run.Generation {
			run.Complete = true
		}
	}
}

// evaluate wakes those whose findings are others than before.
func (r *Rollouts) evaluate(sp *space) {
	r.mu.Lock()
	var list []*followed
	for _, f := range r.followed {
		if slices.Contains(f.spaces, sp) {
			list = append(list, f)
		}
	}
	r.mu.Unlock()
	for _, f := range list {
		state := ""
		for _, finding := range r.findings(f) {
			state += fmt.Sprintln(finding.Name, finding.State, finding.Cause, finding.Detail)
		}
		f.mu.Lock()
		changed := f.last != state
		f.last = state
		f.mu.Unlock()
		r.mu.Lock()
		wake := f.wake
		r.mu.Unlock()
		if changed && wake != nil {
			wake()
		}
	}
}
