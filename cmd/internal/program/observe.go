package program

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/reconcile"
)

// SeeFlags say which cluster is upgraded, and what else sees how services fare.
type SeeFlags struct {
	Kubeconfig                   string // name of a file
	Kuma, Prometheus, Woodpecker string // addresses

	named      string // what names the kubeconfig; "" is the flag
	noPrograms bool   // none may be started for the cluster's credentials
}

// Flags adds them to a command.
func (f *SeeFlags) Flags(c *cobra.Command) {
	c.Flags().StringVar(&f.Kubeconfig, "kubeconfig", "", "`file` with the cluster's address and credentials; without it $KUBECONFIG, or the service account of the pod")
	c.Flags().StringVar(&f.Kuma, "kuma-url", os.Getenv("BELAY_KUMA_URL"), "`URL` of Uptime Kuma [$BELAY_KUMA_URL]")
	c.Flags().StringVar(&f.Prometheus, "prometheus-url", os.Getenv("BELAY_PROMETHEUS_URL"), "`URL` of Prometheus [$BELAY_PROMETHEUS_URL]")
	c.Flags().StringVar(&f.Woodpecker, "woodpecker-url", os.Getenv("BELAY_WOODPECKER_URL"), "`URL` of Woodpecker [$BELAY_WOODPECKER_URL]")
	_ = c.MarkFlagFilename("kubeconfig")
}

// Observing is what sees the cluster and the services.
type Observing struct {
	Backups   reconcile.Backups // nil: no cluster
	Observers []reconcile.Observer
	CI        reconcile.CI // nil: none
	Close     func()
}

// Cluster is how the cluster is reached; nil where none is configured.
func (f *SeeFlags) Cluster() (*rest.Config, error) {
	if f.Kubeconfig == "" && os.Getenv("KUBECONFIG") == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil
	}
	named := cmp.Or(f.named, "--kubeconfig")
	if f.Kubeconfig == "" && os.Getenv("KUBECONFIG") != "" {
		named = "KUBECONFIG"
	}
	config, err := cluster.LoadConfig(f.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named, err)
	}
	if f.noPrograms && config.ExecProvider != nil {
		return nil, fmt.Errorf("%s: its credentials come from a program (exec: %s), which is not started beside the secrets of a workflow: have a step before write a kubeconfig with a token that ends soon, see docs/action.md", named, config.ExecProvider.Command)
	}
	return config, nil
}

// Probes are what else sees services and CI; what is nil is not configured, or
// its problem says why there is none.
type Probes struct {
	Kuma       *probe.Kuma
	Prometheus *probe.Prometheus
	Woodpecker *probe.Woodpecker

	KumaProblem, PrometheusProblem, WoodpeckerProblem error
}

// Probes makes the clients of what is configured.
func (f *SeeFlags) Probes() Probes {
	var p Probes
	if f.Kuma != "" {
		p.Kuma, p.KumaProblem = probe.NewKuma(probe.KumaOptions{URL: f.Kuma, Key: Rotating("KUMA_KEY")})
	}
	if f.Prometheus != "" {
		p.Prometheus, p.PrometheusProblem = probe.NewPrometheus(probe.PrometheusOptions{URL: f.Prometheus, Token: Rotating("PROMETHEUS_TOKEN")})
	}
	if f.Woodpecker != "" {
		p.Woodpecker, p.WoodpeckerProblem = probe.NewWoodpecker(probe.WoodpeckerOptions{URL: f.Woodpecker, Token: Rotating("WOODPECKER_TOKEN")})
	}
	return p
}

// Open prepares the clients. None of them is spoken to yet.
func (f *SeeFlags) Open(log *slog.Logger) (Observing, error) {
	o := Observing{Observers: []reconcile.Observer{probe.NewHTTP(probe.HTTPOptions{})}, Close: func() {}}
	p := f.Probes()
	if err := errors.Join(p.KumaProblem, p.PrometheusProblem, p.WoodpeckerProblem); err != nil {
		return o, Usage(err)
	}
	config, err := f.Cluster()
	switch {
	case err != nil:
		return o, Usage(err)
	case config == nil:
		log.Warn("no cluster is configured: services with a database are not merged, since no backup can be taken, and roll-outs are not seen (--kubeconfig)")
	default:
		c, err := cluster.New(cluster.Options{Config: config, Log: log})
		if err != nil {
			return o, err
		}
		rollouts, err := cluster.NewRollouts(cluster.RolloutOptions{Config: config, Log: log})
		if err != nil {
			return o, err
		}
		o.Backups, o.Close = c, rollouts.Close
		o.Observers = append(o.Observers, rollouts)
	}
	if p.Kuma != nil {
		o.Observers = append(o.Observers, p.Kuma)
	}
	if p.Prometheus != nil {
		o.Observers = append(o.Observers, p.Prometheus)
	}
	if p.Woodpecker != nil { // a nil one in the interface would be asked
		o.CI = p.Woodpecker
	}
	return o, nil
}
