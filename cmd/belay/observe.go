package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/reconcile"
)

// observeFlags say which cluster is upgraded, and what else sees how services fare.
type observeFlags struct {
	kubeconfig                   string
	kuma, prometheus, woodpecker string
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

// open prepares the clients. None of them is spoken to yet.
func (f *observeFlags) open(log *slog.Logger) (observing, error) {
	o := observing{observers: []reconcile.Observer{probe.NewHTTP(probe.HTTPOptions{})}, close: func() {}}
	if f.kubeconfig != "" || os.Getenv("KUBECONFIG") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		config, err := cluster.LoadConfig(f.kubeconfig)
		if err != nil {
			return o, usage{fmt.Errorf("--kubeconfig: %w", err)}
		}
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
	} else {
		log.Warn("no cluster is configured: services with a database are not merged, since no backup can be taken, and roll-outs are not seen (--kubeconfig)")
	}
	var errs []error
	if f.kuma != "" {
		k, err := probe.NewKuma(probe.KumaOptions{URL: f.kuma, Key: rotating("KUMA_KEY")})
		o.observers, errs = append(o.observers, k), append(errs, err)
	}
	if f.prometheus != "" {
		p, err := probe.NewPrometheus(probe.PrometheusOptions{URL: f.prometheus, Token: rotating("PROMETHEUS_TOKEN")})
		o.observers, errs = append(o.observers, p), append(errs, err)
	}
	if f.woodpecker != "" {
		w, err := probe.NewWoodpecker(probe.WoodpeckerOptions{URL: f.woodpecker, Token: rotating("WOODPECKER_TOKEN")})
		o.ci, errs = w, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		o.close()
		return o, usage{err}
	}
	return o, nil
}
