// Package simcluster is a cluster that exists in memory only: versions come up,
// crash or run out of memory as a script says, and backups succeed or fail. It
// stands behind the same interfaces as bot/cluster, for `belay demo`, where
// nothing may have to be set up. The real control plane is bot/sandbox/kube.
package simcluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// Script is what becomes of one version of a service after it was applied. The
// zero value is Ready at once and stays so.
type Script struct {
	Ready  time.Duration // from the apply until its pod is Ready
	Fails  time.Duration // from the apply until it fails; 0: it does not
	Cause  watch.Cause   // of the failure
	Detail string        // one line, in the words of bot/cluster
	Log    string        // the pod's last lines
}

// Options say how the cluster behaves. Zero values stand for the defaults.
type Options struct {
	Backup time.Duration    // how long a backup or a restore takes
	Now    func() time.Time // nil: time.Now
}

// Cluster is the simulated cluster. It implements reconcile.Backups and
// reconcile.Follower.
type Cluster struct {
	opts Options

	mu      sync.Mutex
	scripts map[string]Script // by service and version
	running map[string]rollout
	wakes   map[string]func() // by service
	jobs    map[string]*job   // by key
	broken  map[string]string // log of the Jobs that fail, by target
	did     []string
	timers  []*time.Timer
}

// rollout is a version of a service since it was applied.
type rollout struct {
	version string
	at      time.Time
}

// job is a backup or a restore under way.
type job struct {
	name    string
	started time.Time
	done    chan struct{}
	result  lifecycle.Progress
	detail  string
}

// New makes a cluster in which nothing runs yet.
func New(opts Options) *Cluster {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Cluster{opts: opts, scripts: map[string]Script{}, running: map[string]rollout{}, wakes: map[string]func(){}, jobs: map[string]*job{}, broken: map[string]string{}}
}

// Close stops what is still to happen.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		t.Stop()
	}
}

// Play says what becomes of a version of a service when it is applied.
func (c *Cluster) Play(service, version string, s Script) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripts[service+" "+version] = s
}

// Break has the Jobs made for a target, "dbaas/mysql-backup", fail with a log.
func (c *Cluster) Break(target, log string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken[target] = log
}

// Apply is what CI does: from now on the service is to run this version.
// Whoever follows the service hears of every change.
func (c *Cluster) Apply(service, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[service] = rollout{version, c.opts.Now()}
	s := c.scripts[service+" "+version]
	for _, d := range []time.Duration{s.Ready, s.Fails} {
		c.timers = append(c.timers, time.AfterFunc(d, func() { c.tell(service) }))
	}
}

// FailedAt is when what runs of a service failed; zero: it did not.
func (c *Cluster) FailedAt(service string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	runs := c.running[service]
	fails := c.scripts[service+" "+runs.version].Fails
	if at := runs.at.Add(fails); fails > 0 && !c.opts.Now().Before(at) {
		return at
	}
	return time.Time{}
}

func (c *Cluster) tell(service string) {
	c.mu.Lock()
	wake := c.wakes[service]
	c.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// Follow implements reconcile.Follower.
func (c *Cluster) Follow(s watch.Subject, wake func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakes[s.Service] = wake
}

// Unfollow implements reconcile.Follower.
func (c *Cluster) Unfollow(_, service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.wakes, service)
}

// Look implements reconcile.Observer.
func (c *Cluster) Look(_ context.Context, s watch.Subject) []watch.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opts.Now()
	out := watch.Sample{At: now, Kind: watch.Rollout, Name: nameOf(s)}
	runs, ok := c.running[s.Service]
	script := c.scripts[s.Service+" "+runs.version]
	age := now.Sub(runs.at)
	switch {
	case !ok || runs.version != s.Version:
		out.State, out.Detail = watch.NotDeployed, "runs "+runs.version
		if !ok {
			out.Detail = "runs what was there before"
		}
	case script.Fails > 0 && age >= script.Fails:
		out.State, out.Cause, out.Detail, out.Log = watch.Fatal, script.Cause, script.Detail, script.Log
	case age < script.Ready:
		out.State, out.Detail = watch.Progressing, "0 of 1 pods are Ready"
	default:
		out.State, out.Detail = watch.Good, "1 of 1 pods are Ready"
	}
	return []watch.Sample{out}
}

// nameOf names the workload as a look at a real cluster does.
func nameOf(s watch.Subject) string {
	if len(s.Workloads) > 0 && s.Workloads[0].Name != "" {
		return fmt.Sprintf("deployment %s/%s", s.Workloads[0].Namespace, s.Workloads[0].Name)
	}
	return fmt.Sprintf("deployment %s/%s", s.Service, s.Service)
}

// Backup implements reconcile.Backups.
func (c *Cluster) Backup(ctx context.Context, r cluster.BackupRequest) (cluster.BackupResult, error) {
	return c.job(ctx, r.Backup.Target, r.Key, "dumping "+r.Service+"\n"+"dump complete")
}

// Restore implements reconcile.Backups.
func (c *Cluster) Restore(ctx context.Context, r cluster.RestoreRequest) (cluster.BackupResult, error) {
	return c.job(ctx, r.Restore.Target, r.Key, "restored "+r.Name)
}

// CheckRestore implements reconcile.Backups: nothing is in the way.
func (c *Cluster) CheckRestore(context.Context, cluster.RestoreRequest) (string, error) {
	return "", nil
}

// Scale implements reconcile.Backups.
func (c *Cluster) Scale(_ context.Context, _ string, w watch.Workload, down bool) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	word := "up"
	if down {
		word = "down"
	}
	c.did = append(c.did, fmt.Sprintf("scaled %s/%s %s", w.Namespace, w.Name, word))
	return true, nil
}

// Did lists what was done to the cluster, in order: "started
// dbaas/mysql-backup-1a2b3c", "scaled web/web down".
func (c *Cluster) Did() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.did...)
}

// job starts a Job and says that it runs; asked again, it waits for its end, as
// nothing else would wake who asks in time for a demonstration.
func (c *Cluster) job(ctx context.Context, target, key, log string) (cluster.BackupResult, error) {
	c.mu.Lock()
	j := c.jobs[key]
	if j == nil {
		j = c.start(target, key, log)
		c.mu.Unlock()
		return cluster.BackupResult{State: lifecycle.Running, Name: j.name, Started: j.started}, nil
	}
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return cluster.BackupResult{}, ctx.Err()
	case <-j.done:
		return cluster.BackupResult{State: j.result, Name: j.name, Started: j.started, Detail: j.detail}, nil
	}
}

// start makes a Job. c.mu is held.
func (c *Cluster) start(target, key, log string) *job {
	j := &job{name: fmt.Sprintf("%s-%.8s", target, key), started: c.opts.Now(), done: make(chan struct{}), result: lifecycle.Good, detail: log}
	if why, ok := c.broken[target]; ok {
		j.result, j.detail = lifecycle.Bad, why
	}
	c.jobs[key] = j
	c.did = append(c.did, "started "+j.name)
	c.timers = append(c.timers, time.AfterFunc(c.opts.Backup, func() { close(j.done) }))
	return j
}
