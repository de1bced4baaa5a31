package metrics

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics keeps what one process counts. Use New to make one. It is a
// prometheus.Collector.
type Metrics struct {
	counters   map[string]*prometheus.CounterVec
	gauges     map[string]*prometheus.GaugeVec
	histograms map[string]*prometheus.HistogramVec
}

// New makes all metrics of the table that this package keeps. What takes listed
// values begins at zero, so that the first event is seen as a change.
func New(version string) *Metrics {
	m := &Metrics{counters: map[string]*prometheus.CounterVec{}, gauges: map[string]*prometheus.GaugeVec{}, histograms: map[string]*prometheus.HistogramVec{}}
	for _, d := range table {
		if d.Elsewhere {
			continue
		}
		var names []string
		for _, l := range d.Labels {
			names = append(names, l.Name)
		}
		switch d.Kind {
		case Counter:
			m.counters[d.Name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, names)
		case Gauge:
			m.gauges[d.Name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, names)
		case Histogram:
			m.histograms[d.Name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.Buckets}, names)
		}
		for _, combination := range combinations(d.Labels) {
			switch d.Kind {
			case Counter:
				m.counters[d.Name].WithLabelValues(combination...)
			case Gauge:
				m.gauges[d.Name].WithLabelValues(combination...)
			case Histogram:
				m.histograms[d.Name].WithLabelValues(combination...)
			}
		}
	}
	m.gauges["belay_build_info"].WithLabelValues(version, runtime.Version()).Set(1)
	return m
}

// combinations are all values of labels, none where one of them is open.
func combinations(labels []Label) [][]string {
	out := [][]string{nil}
	for _, l := range labels {
		var next [][]string
		for _, c := range out {
			for _, v := range l.Values {
				next = append(next, append(slices.Clone(c), v))
			}
		}
		out = next
	}
	return out
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.each(func(c prometheus.Collector) { c.Describe(ch) })
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.each(func(c prometheus.Collector) { c.Collect(ch) })
}

func (m *Metrics) each(f func(prometheus.Collector)) {
	for _, c := range m.counters {
		f(c)
	}
	for _, c := range m.gauges {
		f(c)
	}
	for _, c := range m.histograms {
		f(c)
	}
}

// count adds one. A value that the table does not list becomes the last that
// it does: a label never grows by surprise.
func (m *Metrics) count(name string, labels ...string) {
	for _, d := range table {
		if d.Name != name {
			continue
		}
		for i, l := range d.Labels {
			if len(l.Values) > 0 && !slices.Contains(l.Values, labels[i]) { //nolint:gosec // every call gives as many labels as the table has
				labels[i] = l.Values[len(l.Values)-1] //nolint:gosec // as above
			}
		}
	}
	m.counters[name].WithLabelValues(labels...).Inc()
}

// Dispatched counts what a dispatch led to in one place: upgrade, joined,
// skipped or failed.
func (m *Metrics) Dispatched(outcome string) { m.count("belay_dispatch_outcomes_total", outcome) }

// Moved counts that an upgrade entered a state, after so long in the one before.
func (m *Metrics) Moved(from, to string, after time.Duration) {
	m.histograms["belay_upgrade_state_duration_seconds"].WithLabelValues(from).Observe(after.Seconds())
	m.count("belay_upgrade_transitions_total", to)
}

// Merged counts a merge by belay, or by a person.
func (m *Metrics) Merged(byPerson bool) {
	m.count("belay_merges_total", map[bool]string{true: "person", false: "belay"}[byPerson])
}

// Reverting counts that an upgrade of some risk is undone; "" is none.
func (m *Metrics) Reverting(risk string) {
	if risk == "" {
		risk = "none"
	}
	m.count("belay_reverts_total", risk)
}

// BackedUp counts a backup that ended: good, bad, or late.
func (m *Metrics) BackedUp(kind, outcome string, took time.Duration) {
	m.count("belay_backups_total", kind, outcome)
	if outcome == "good" {
		m.histograms["belay_backup_duration_seconds"].WithLabelValues(kind).Observe(took.Seconds())
	}
}

// Watched counts one look at a service's health.
func (m *Metrics) Watched(observer, outcome string) {
	m.count("belay_watch_looks_total", observer, outcome)
}

// Configured says whether a repository's configuration is right.
func (m *Metrics) Configured(repository string, right bool) {
	m.gauges["belay_config_broken"].WithLabelValues(repository).Set(map[bool]float64{false: 1}[right])
}

// Told counts an attempt to tell people in a place: told, failed or refused.
func (m *Metrics) Told(place, outcome string) { m.count("belay_notifications_total", place, outcome) }

// Reconcile measures looks at upgrades.
func (m *Metrics) Reconcile(look func(context.Context, string) (time.Time, error)) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, id string) (time.Time, error) {
		begun := time.Now()
		wake, err := look(ctx, id)
		m.histograms["belay_reconcile_duration_seconds"].WithLabelValues().Observe(time.Since(begun).Seconds())
		var later interface{ RetryAt() time.Time }
		if err != nil && !errors.As(err, &later) && ctx.Err() == nil {
			m.count("belay_reconcile_errors_total")
		}
		return wake, err
	}
}

// GitHub counts requests to GitHub's API.
func (m *Metrics) GitHub(base http.RoundTripper) http.RoundTripper {
	return transport(func(req *http.Request) (*http.Response, error) {
		api := "rest"
		if strings.HasSuffix(req.URL.Path, "/graphql") {
			api = "graphql"
		}
		begun := time.Now()
		resp, err := base.RoundTrip(req)
		m.histograms["belay_github_request_duration_seconds"].WithLabelValues(api).Observe(time.Since(begun).Seconds())
		m.count("belay_github_requests_total", api, class(resp, err))
		if err == nil {
			if n, parse := strconv.Atoi(resp.Header.Get("X-Ratelimit-Remaining")); parse == nil {
				m.gauges["belay_github_rate_limit_remaining"].WithLabelValues(api).Set(float64(n))
			}
		}
		return resp, err
	})
}

// Upstream counts requests for release notes, tags and charts.
func (m *Metrics) Upstream(base http.RoundTripper) http.RoundTripper {
	return transport(func(req *http.Request) (*http.Response, error) {
		service := "other"
		switch {
		case strings.HasPrefix(req.URL.Path, "/v2/"):
			service = "registry"
		case strings.HasSuffix(req.URL.Host, "github.com") || strings.Contains(req.URL.Path, "/repos/"):
			service = "github"
		}
		resp, err := base.RoundTrip(req)
		m.count("belay_upstream_requests_total", service, class(resp, err))
		return resp, err
	})
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// class is an answer as the labels have it.
func class(resp *http.Response, err error) string {
	if err != nil {
		return "error"
	}
	switch code := resp.StatusCode; {
	case code < 300:
		return "2xx"
	case code == http.StatusNotModified, code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusTooManyRequests:
		return strconv.Itoa(code)
	case code < 400: // a redirect is followed, and counted where it leads
		return "2xx"
	case code < 500:
		return "4xx"
	}
	return "5xx"
}
