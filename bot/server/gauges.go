package server

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/risk"
)

// Depth is how many jobs of a kind are due, running, or for later.
type Depth struct {
	Kind, When string
	Jobs       int
	Oldest     time.Duration // how long the one that waits longest has been due
}

// gauges are the metrics that are read from the state when they are asked for.
type gauges struct{ s *Server }

var (
	openUpgrades = prometheus.NewDesc("belay_upgrades_open", "Upgrades that are not over, by state and risk.", []string{"state", "risk"}, nil)
	stateAge     = prometheus.NewDesc("belay_upgrade_state_age_seconds", "How long the upgrade that entered the state first has been in it; 0 where none is.", []string{"state"}, nil)
	queueJobs    = prometheus.NewDesc("belay_queue_jobs", "Jobs in the queue: due now, running, or for later.", []string{"kind", "when"}, nil)
	unplannedAge = prometheus.NewDesc("belay_dispatch_unplanned_age_seconds", "How long the dispatch that waits longest has waited to be planned, tries that failed included; 0 where none waits.", nil, nil)
	queueAge     = prometheus.NewDesc("belay_queue_age_seconds", "How long the job that waits longest has been due; 0 where none waits.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openUpgrades, stateAge, unplannedAge, queueJobs, queueAge} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := g.upgrades(ctx, ch); err != nil {
		g.s.opts.Log.Warn("metrics: open upgrades", "why", err)
	}
	if err := g.unplanned(ctx, ch); err != nil {
		g.s.opts.Log.Warn("metrics: dispatches", "why", err)
	}
	if g.s.opts.Depths == nil {
		return
	}
	if err := g.queue(ctx, ch); err != nil {
		g.s.opts.Log.Warn("metrics: the queue", "why", err)
	}
}

// unplanned says how long a dispatch has waited at most. The queue's age does
// not: between two tries a job is not due.
func (g gauges) unplanned(ctx context.Context, ch chan<- prometheus.Metric) error {
	since, err := g.s.opts.Store.UnplannedSince(ctx)
	if err != nil {
		return err
	}
	age := 0.0
	if !since.IsZero() {
		age = max(0, g.s.opts.Now().Sub(since).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(unplannedAge, prometheus.GaugeValue, age)
	return nil
}

// noRisk stands for an upgrade that was not judged yet.
const noRisk = "none"

func (g gauges) upgrades(ctx context.Context, ch chan<- prometheus.Metric) error {
	open, err := g.s.opts.Store.OpenUpgrades(ctx, "")
	if err != nil {
		return err
	}
	type key struct{ state, risk string }
	count, age := map[key]int{}, map[string]float64{}
	for _, s := range lifecycle.States() {
		if s.Final() {
			continue
		}
		age[string(s)] = 0
		for _, r := range []string{string(risk.Safe), string(risk.Caution), string(risk.Unknown), noRisk} {
			count[key{string(s), r}] = 0
		}
	}
	now := g.s.opts.Now()
	for _, u := range open {
		shown, err := reconcile.Show(u)
		if err != nil { // it is counted all the same
			shown.Entered = u.Updated
		}
		k := key{u.State, cmp.Or(string(shown.Risk), noRisk)}
		if _, known := count[k]; !known {
			k.risk = noRisk
		}
		count[k]++
		age[u.State] = max(age[u.State], now.Sub(shown.Entered).Seconds())
	}
	for k, n := range count {
		ch <- prometheus.MustNewConstMetric(openUpgrades, prometheus.GaugeValue, float64(n), k.state, k.risk)
	}
	for state, seconds := range age {
		ch <- prometheus.MustNewConstMetric(stateAge, prometheus.GaugeValue, seconds, state)
	}
	return nil
}

func (g gauges) queue(ctx context.Context, ch chan<- prometheus.Metric) error {
	list, err := g.s.opts.Depths(ctx)
	if err != nil {
		return err
	}
	type key struct{ kind, when string }
	jobs, age := map[key]int{}, map[string]float64{}
	for _, kind := range g.s.opts.Kinds {
		age[kind] = 0
		for _, when := range []string{"due", "running", "later"} {
			jobs[key{kind, when}] = 0
		}
	}
	for _, d := range list {
		if _, known := age[d.Kind]; known {
			jobs[key{d.Kind, d.When}] += d.Jobs
			age[d.Kind] = max(age[d.Kind], d.Oldest.Seconds())
		}
	}
	for k, n := range jobs {
		ch <- prometheus.MustNewConstMetric(queueJobs, prometheus.GaugeValue, float64(n), k.kind, k.when)
	}
	for kind, seconds := range age {
		ch <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, seconds, kind)
	}
	return nil
}
