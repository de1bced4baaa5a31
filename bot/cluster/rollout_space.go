package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/belaybot/belay/bot/cluster/api"
)

// space is the watch of one namespace.
type space struct {
	namespace string
	users     int // guarded by Rollouts.mu
	stop      context.CancelFunc
	done      sync.WaitGroup
	changed   chan struct{} // holds one when there is something to evaluate

	pods, deployments, statefulSets, daemonSets, cronJobs, jobs *feed
}

// feed is the watch of one kind of object in it.
type feed struct {
	what     string // "pods"
	informer cache.SharedIndexInformer

	mu   sync.Mutex
	open int       // watches that stand
	lost time.Time // when the last one ended
	err  error     // why, where it is known
}

// open starts the watch of a namespace.
func (r *Rollouts) open(namespace string) *space {
	ctx, stop := context.WithCancel(r.ctx)
	s := &space{namespace: namespace, stop: stop, changed: make(chan struct{}, 1)}
	s.pods = feedOf(r, s, r.api.Pods(namespace))
	s.deployments = feedOf(r, s, r.api.Deployments(namespace))
	s.statefulSets = feedOf(r, s, r.api.StatefulSets(namespace))
	s.daemonSets = feedOf(r, s, r.api.DaemonSets(namespace))
	s.cronJobs = feedOf(r, s, r.api.CronJobs(namespace))
	s.jobs = feedOf(r, s, r.api.Jobs(namespace))
	// What the informers have to say of a watch that ended is said by the feed.
	quiet := logr.NewContext(ctx, logr.Discard())
	for _, f := range s.feeds() {
		s.done.Go(func() { f.informer.RunWithContext(quiet) })
	}
	s.done.Go(func() { s.evaluate(ctx, r) })
	r.log.Debug("namespace is watched", "namespace", namespace)
	return s
}

func (s *space) feeds() []*feed {
	return []*feed{s.pods, s.deployments, s.statefulSets, s.daemonSets, s.cronJobs, s.jobs}
}

func feedOf[T metav1.Object, L runtime.Object](r *Rollouts, s *space, of api.Collection[T, L]) *feed {
	f := &feed{what: of.Resource}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := of.List(ctx, o)
			if err != nil {
				f.end(r.now(), err)
				s.poke()
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			w, err := of.Watch(ctx, o)
			if err != nil {
				f.end(r.now(), err)
				s.poke()
				return nil, err
			}
			f.begin()
			s.poke()
			return &standing{Interface: w, stop: sync.OnceFunc(func() {
				f.close(r.now())
				s.poke()
			})}, nil
		},
	}
	f.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(lw, of), of.New(), 0, cache.Indexers{})
	poke := func() { s.poke() }
	// None of these fails on an informer that has not been started.
	_ = f.informer.SetTransform(trim)
	_ = f.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		f.note(err)
		r.log.Debug("watch ended", "namespace", s.namespace, "what", of.Resource, "err", err)
	})
	_, _ = f.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { poke() }, UpdateFunc: func(any, any) { poke() }, DeleteFunc: func(any) { poke() },
	})
	return f
}

// standing is a watch whose end is noticed: the reflector stops every watch that it leaves.
type standing struct {
	apiwatch.Interface
	stop func()
}

func (s *standing) Stop() {
	s.stop()
	s.Interface.Stop()
}

func (f *feed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.err = nil
}

func (f *feed) close(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open--; f.open == 0 {
		f.lost = now
	}
}

// end notes that a request failed.
func (f *feed) end(now time.Time, err error) {
	f.note(err)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == 0 && f.lost.IsZero() {
		f.lost = now
	}
}

func (f *feed) note(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// gap is how long a feed may be without a watch before what it knows counts as
// old: the API server ends every watch after some minutes, and the next is
// there at once.
const gap = 2 * time.Second

// blind says why what is known of the namespace cannot be trusted; "" when it can.
func (s *space) blind(now time.Time) string {
	for _, f := range s.feeds() {
		f.mu.Lock()
		open, lost, err := f.open, f.lost, f.err
		f.mu.Unlock()
		where := "namespace " + s.namespace
		if s.namespace == "" {
			where = "the cluster"
		}
		switch {
		case apierrors.IsForbidden(err):
			return fmt.Sprintf("belay may not watch %s in %s: %v", f.what, where, err)
		case f.informer.HasSynced() && (open > 0 || now.Sub(lost) < gap):
		case err != nil:
			return fmt.Sprintf("no word of the %s in %s: %v", f.what, where, err)
		default:
			return fmt.Sprintf("no word of the %s in %s yet", f.what, where)
		}
	}
	return ""
}

// await waits until the namespace is known or the context ends.
func (s *space) await(ctx context.Context) {
	var synced []cache.InformerSynced
	for _, f := range s.feeds() {
		if !f.informer.HasSynced() {
			synced = append(synced, f.informer.HasSynced)
		}
	}
	if len(synced) > 0 {
		cache.WaitForCacheSync(ctx.Done(), synced...)
	}
}

// poke has the namespace evaluated soon; several changes may become one.
func (s *space) poke() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// gather is how long changes gather before they are looked at again, so that a
// roll-out of many pods costs a few evaluations and not one for each.
const gather = 50 * time.Millisecond

func (s *space) evaluate(ctx context.Context, r *Rollouts) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
		r.evaluate(s)
		pause := time.NewTimer(gather)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// liveness asks whether the API server lives: a connection that died without a
// word looks like a cluster in which nothing happens.
type liveness struct {
	ask func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

// How often the API server is asked at most while it lives and while it does
// not, and how long it may take.
const (
	liveEvery = 10 * time.Second
	deadEvery = 2 * time.Second
	answer    = 5 * time.Second
)

// check returns the API server's last sign of life, asking for a new one when
// that is old. It is asked by one at a time; the others wait.
func (l *liveness) check(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	every := liveEvery
	if l.err != nil {
		every = deadEvery
	}
	if !l.at.IsZero() && now.Sub(l.at) < every {
		return l.err
	}
	asking, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err := l.ask(asking)
	if ctx.Err() != nil {
		return ctx.Err() // the caller has gone: that says nothing to others
	}
	l.at, l.err = now, err
	return err
}
