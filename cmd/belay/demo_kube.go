package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/cluster/api"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/pin"
)

// inTheStory are the services that the real cluster runs.
var inTheStory = []string{"linkwarden", "url", "paperless-ngx", "phpipam"}

// realCluster is a control plane on this machine: roll-outs and Jobs are made by
// Kubernetes' own controllers, and belay watches it as it does at home.
type realCluster struct {
	plane *kube.ControlPlane
	repo  *sandbox.Repository

	mu     sync.Mutex
	failed map[string]time.Time // by service
}

// newRealCluster starts the control plane.
func newRealCluster(ctx context.Context) (*realCluster, error) {
	plane, err := kube.Start(ctx, kube.Options{})
	if errors.Is(err, kube.ErrNotBuilt) {
		return nil, program.Usage(fmt.Errorf("--kube: %w in belay's source (ten minutes, once; or make kube), or leave --kube out", err))
	}
	if err != nil {
		return nil, fmt.Errorf("--kube: %w", err)
	}
	return &realCluster{plane: plane, failed: map[string]time.Time{}}, nil
}

func (c *realCluster) words() string {
	return "the cluster is a real Kubernetes control plane at " + c.plane.URL() + " with a kubelet that plays scripts"
}

func (c *realCluster) prepare(ctx context.Context, repo *sandbox.Repository, log *slog.Logger) (program.Observing, error) {
	c.repo = repo
	for target, script := range map[string]kube.Script{"dbaas/postgresql-backup": kube.Succeeds(backupTime, "dumping", "dump complete"), "dbaas/mysql-backup": kube.Succeeds(backupTime, "dumping", "dump complete")} {
		namespace, name, _ := strings.Cut(target, "/")
		c.plane.Kubelet.Play(dumper(target), script)
		if err := c.plane.Apply(ctx, kube.Workload{Kind: "cron_job", Namespace: namespace, Name: name, Image: dumper(target)}); err != nil {
			return program.Observing{}, err
		}
	}
	if err := c.bring(ctx, "main"); err != nil {
		return program.Observing{}, err
	}
	backups, err := cluster.New(cluster.Options{Config: c.plane.Config(), Log: log})
	if err != nil {
		return program.Observing{}, err
	}
	rollouts, err := cluster.NewRollouts(cluster.RolloutOptions{Config: c.plane.Config(), Log: log})
	if err != nil {
		return program.Observing{}, err
	}
	return program.Observing{Backups: backups, Observers: []reconcile.Observer{rollouts}, Close: rollouts.Close}, nil
}

// dumper is the image of a CronJob that takes backups.
func dumper(target string) string {
	return "ghcr.io/acme/" + strings.ReplaceAll(target, "/", "-") + ":1"
}

func (c *realCluster) apply(ctx context.Context, p sandbox.Pull) error {
	return c.bring(ctx, p.MergeSHA)
}

// bring has the cluster run what a revision says.
func (c *realCluster) bring(ctx context.Context, rev string) error {
	pins, err := c.pins(ctx, rev)
	if err != nil {
		return err
	}
	for _, w := range workloads(pins) {
		if err := c.plane.Apply(ctx, w); err != nil {
			return fmt.Errorf("apply %s %s/%s: %w", w.Kind, w.Namespace, w.Name, err)
		}
	}
	return nil
}

// pins are those of the services of the story.
func (c *realCluster) pins(ctx context.Context, rev string) ([]pin.Pin, error) {
	tree, err := planner.Tree(c.repo.Dir(), rev)
	if err != nil {
		return nil, err
	}
	inv, err := terraform.Scan(ctx, tree, terraform.Options{Roots: []string{"stacks/*"}})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(inv.Pins), func(p pin.Pin) bool {
		return p.Kind != pin.KindImage || p.Workload == "" || p.Version == "" || !slices.Contains(inTheStory, p.Service)
	}), nil
}

// workloads puts pins together that are containers of the same workload.
func workloads(pins []pin.Pin) []kube.Workload {
	var out []kube.Workload
	for _, p := range pins {
		kind, ok := kindOf(p.Address)
		if !ok {
			continue
		}
		w := kube.Workload{Kind: kind, Namespace: p.Namespace, Name: p.Workload, Image: reference(p, p.Version), Ignored: p.IgnoreChanges}
		if w.Namespace == "" {
			w.Namespace = p.Service
		}
		same := slices.IndexFunc(out, func(o kube.Workload) bool {
			return o.Kind == w.Kind && o.Namespace == w.Namespace && o.Name == w.Name
		})
		if same >= 0 {
			out[same].Beside = append(out[same].Beside, w.Image)
			continue
		}
		out = append(out, w)
	}
	return out
}

// kindOf reads the kind of a workload from its Terraform address:
// "module.x.kubernetes_deployment_v1.this" is a deployment_v1.
func kindOf(address string) (string, bool) {
	for _, part := range strings.Split(address, ".") {
		if kind, ok := strings.CutPrefix(part, "kubernetes_"); ok {
			return kind, true
		}
	}
	return "", false
}

func reference(p pin.Pin, version string) string { return p.Image.Familiar() + ":" + version }

// Play implements scenery: the images of the service's pins play the script.
func (c *realCluster) Play(service, version string, s simcluster.Script) {
	pins, err := c.pins(context.Background(), "main")
	if err != nil {
		return // CI says so at the next merge
	}
	for _, p := range pins {
		if p.Service == service {
			c.plane.Kubelet.Play(reference(p, version), c.script(service, s))
		}
	}
}

func (c *realCluster) script(service string, s simcluster.Script) kube.Script {
	if s.Fails == 0 {
		return kube.ReadyAfter(s.Ready)
	}
	return func(ctx context.Context, k *kube.Container) {
		k.Run()
		if !k.Pause(ctx, s.Ready) {
			return
		}
		k.Ready(true)
		lines := strings.Split(s.Log, "\n")
		k.Log(lines...)
		if !k.Pause(ctx, s.Fails-s.Ready) {
			return
		}
		c.mu.Lock()
		if c.failed[service].IsZero() {
			c.failed[service] = time.Now()
		}
		c.mu.Unlock()
		k.Exit(137, string(s.Cause))
		kube.OOM(time.Second, lines...)(ctx, k)
	}
}

// Break implements scenery.
func (c *realCluster) Break(target, log string) {
	c.plane.Kubelet.Play(dumper(target), kube.Exits(backupTime, 1, strings.Split(log, "\n")...))
}

// FailedAt implements scenery.
func (c *realCluster) FailedAt(service string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[service]
}

// Did implements scenery: the Jobs there are.
func (c *realCluster) Did() []string {
	client, err := api.New(c.plane.Config())
	if err != nil {
		return []string{err.Error()}
	}
	jobs, err := client.Jobs("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, j := range jobs.Items {
		out = append(out, "started "+j.Namespace+"/"+j.Name)
	}
	return out
}

// Close implements scenery.
func (c *realCluster) Close() { _ = c.plane.Close() }
