// Package cluster is what belay does in a Kubernetes cluster: it takes backups,
// puts them back and scales workloads down meanwhile (Cluster), and it watches
// roll-outs (Rollouts).
//
// Every call may be repeated at any time, by this process or a later one: what
// is made has a name derived from a key, and is found by it before anything is
// made. Nothing here waits; a call says how things stand, and is made again. The
// rights that are needed are in deploy/rbac.yaml. See SPEC sections 10
// and 11.
package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/belaybot/belay/bot/cluster/api"
)

// Options say which cluster, and by whose clock.
type Options struct {
	Config *rest.Config
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: slog.Default
}

// Cluster is one Kubernetes cluster. Its methods may be called at the same time.
type Cluster struct {
	api     *api.Client
	dynamic dynamic.Interface
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	locks  map[string]*sync.Mutex // by what is backed up: one call at a time decides about it
	waits  map[string]time.Time   // by key: since when a backup waits for its turn
	latest map[string]string      // by key: the Job, snapshot or Backup last seen under way
}

// New makes the clients. It does not talk to the cluster.
func New(opts Options) (*Cluster, error) {
	if opts.Config == nil {
		return nil, errors.New("no cluster is configured: give a kubeconfig, or run in a pod with a service account")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	c := &Cluster{
		now: opts.Now, log: opts.Log,
		locks: map[string]*sync.Mutex{}, waits: map[string]time.Time{}, latest: map[string]string{},
	}
	var err error
	if c.api, err = api.New(opts.Config); err != nil {
		return nil, fmt.Errorf("cluster client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(opts.Config, c.api.HTTP); err != nil {
		return nil, fmt.Errorf("cluster client: %w", err)
	}
	return c, nil
}

// LoadConfig finds the cluster as kubectl does: the kubeconfig at path; with "",
// $KUBECONFIG or ~/.kube/config; where there is none, the service account of the
// pod that this runs in.
func LoadConfig(path string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to be found: %w", err)
	}
	return config, nil
}

// only has one call at a time decide about what has this name.
func (c *Cluster) only(name string) (unlock func()) {
	c.mu.Lock()
	lock := c.locks[name]
	if lock == nil {
		lock = &sync.Mutex{}
		c.locks[name] = lock
	}
	c.mu.Unlock()
	lock.Lock()
	return lock.Unlock
}
