package main

import (
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

// observeFlags say which cluster is upgraded, and what else sees how services fare.
type observeFlags struct {
	kubeconfig                   string
	kuma, prometheus, woodpecker string

	noPrograms bool // none may be started for the cluster's credentials
}

func (f *observeFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "`file` with the cluster's address and credentials; without it $KUBECONFIG, or the service account of the pod")
	c.Flags().StringVar(&f.kuma, "kuma-url", os.Getenv("BELAY_KUMA_URL"), "`URL` of Uptime Kuma [$BELAY_KUMA_URL]")
	c.Flags().StringVar(&f.prometheus, "prometheus-url", os.Getenv("BELAY_PROMETHEUS_URL"), "`URL` of Prometheus [$BELAY_PROMETHEUS_URL]")
	c.Flags().StringVar(&f.woodpecker, "woodpecker-url", os.Getenv("BELAY_WOODPECKER_URL"), "`URL` of Woodpecker [$BELAY_WOODPECKER_URL]")
	_ = c.MarkFlagFilename("kubeconfig")
}

// observing is what sees the cluster and the services.
type observing struct {
	backups   reconcile.Backups // nil: no cluster
	observers []reconcile.Observer
	ci        reconcile.CI // nil: none
	close     func()
}

// cluster is how the cluster is reached; nil where none is configured.
func (f *observeFlags) cluster() (*rest.Config, error) {
	if f.kubeconfig == "" && os.Getenv("KUBECONFIG") == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil
	}
	config, err := cluster.LoadConfig(f.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	if f.noPrograms && config.ExecProvider != nil {
		return nil, fmt.Errorf("--kubeconfig: its credentials come from a program (exec: %s), which is not started beside the secrets of a workflow: have a step before write a kubeconfig with a token that ends soon, see docs/action.md", config.ExecProvider.Command)
	}
	return config, nil
}

// probes are what else sees services and CI; what is nil is not configured.
type probes struct {
	kuma       *probe.Kuma
	prometheus *probe.Prometheus
	woodpecker *probe.Woodpecker
}

func (f *observeFlags) probes() (probes, error) {
	var p probes
	var kuma, prometheus, woodpecker error
	if f.kuma != "" {
		p.kuma, kuma = probe.NewKuma(probe.KumaOptions{URL: f.kuma, Key: rotating("KUMA_KEY")})
	}
	if f.prometheus != "" {
		p.prometheus, prometheus = probe.NewPrometheus(probe.PrometheusOptions{URL: f.prometheus, Token: rotating("PROMETHEUS_TOKEN")})
	}
	if f.woodpecker != "" {
		p.woodpecker, woodpecker = probe.NewWoodpecker(probe.WoodpeckerOptions{URL: f.woodpecker, Token: rotating("WOODPECKER_TOKEN")})
	}
	if err := errors.Join(kuma, prometheus, woodpecker); err != nil {
		return p, usage{err}
	}
	return p, nil
}

// open prepares the clients. None of them is spoken to yet.
func (f *observeFlags) open(log *slog.Logger) (observing, error) {
	o := observing{observers: []reconcile.Observer{probe.NewHTTP(probe.HTTPOptions{})}, close: func() {}}
	p, err := f.probes()
	if err != nil {
		return o, err
	}
	config, err := f.cluster()
	switch {
	case err != nil:
		return o, usage{err}
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
		o.backups, o.close = c, rollouts.Close
		o.observers = append(o.observers, rollouts)
	}
	if p.kuma != nil {
		o.observers = append(o.observers, p.kuma)
	}
	if p.prometheus != nil {
		o.observers = append(o.observers, p.prometheus)
	}
	if p.woodpecker != nil { // a nil one in the interface would be asked
		o.ci = p.woodpecker
	}
	return o, nil
}
