package metrics_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaybot/belay/bot/metrics"
	"github.com/belaybot/belay/rules/lifecycle"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

func TestDocIsCurrent(t *testing.T) {
	const file = "../../docs/metrics.md"
	if *update {
		if err := os.WriteFile(file, []byte(metrics.Doc()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), metrics.Doc()); diff != "" {
		t.Errorf("%s is not current, make golden rewrites it (-file +now):\n%s", file, diff)
	}
}

// maxSeries is how many series one metric may have, states counted.
const maxSeries = 220

// TestTable holds the names to Prometheus's conventions, and every label to few values.
func TestTable(t *testing.T) {
	units := regexp.MustCompile(`_(seconds|bytes|total|info|remaining|refused|broken|open|jobs)$`)
	seen := map[string]bool{}
	for _, d := range metrics.Table() {
		if seen[d.Name] {
			t.Errorf("%s is there twice", d.Name)
		}
		seen[d.Name] = true
		if !regexp.MustCompile(`^belay_[a-z][a-z_]*[a-z]$`).MatchString(d.Name) || !units.MatchString(d.Name) {
			t.Errorf("%s is no name by the conventions", d.Name)
		}
		if (d.Kind == metrics.Counter) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s is a %s", d.Name, d.Kind)
		}
		if len(d.Help) < 20 || !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%s: help %q", d.Name, d.Help)
		}
		n := max(1, len(d.Buckets)+3)
		for _, l := range d.Labels {
			switch {
			case len(l.Values) > 0:
				n *= len(l.Values)
			case l.Name == "state":
				n *= len(lifecycle.States())
			case slices.Contains([]string{"upgrade", "image", "service", "tag", "id"}, l.Name) && l.Of != "":
				t.Errorf("%s: label %s has as many values as there are upgrades", d.Name, l.Name)
			}
		}
		if n > maxSeries && d.Kind != metrics.Histogram {
			t.Errorf("%s has %d series", d.Name, n)
		}
	}
}

// sum adds up what a metric counts.
func sum(t *testing.T, m *metrics.Metrics, name string, labels ...string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			var have []string
			for _, l := range s.GetLabel() {
				have = append(have, l.GetValue())
			}
			if len(labels) == 0 || slices.Equal(have, labels) {
				total += s.GetCounter().GetValue() + s.GetGauge().GetValue() + float64(s.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

func TestCounting(t *testing.T) {
	m := metrics.New("v1.2.3")
	m.Dispatched("skipped")
	m.Moved("open", "applying", time.Minute)
	m.Merged(true)
	m.Reverting("")
	m.BackedUp("cronjob", "good", time.Minute)
	m.BackedUp("cronjob", "late", time.Hour)
	m.Watched("rollout", "good")
	m.Watched("something new", "good")
	m.Configured("acme/home-ops", false)
	m.Told("slack", "failed")
	look := m.Reconcile(func(_ context.Context, id string) (time.Time, error) {
		if id == "bad" {
			return time.Time{}, errors.New("no")
		}
		return time.Time{}, nil
	})
	for _, id := range []string{"good", "bad"} {
		_, _ = look(t.Context(), id)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Ratelimit-Remaining", "4711")
		if strings.HasSuffix(req.URL.Path, "secret") {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer srv.Close()
	for _, row := range []struct {
		through http.RoundTripper
		paths   []string
	}{
		{m.GitHub(http.DefaultTransport), []string{"/api/graphql", "/api/v3/secret"}},
		{m.Upstream(http.DefaultTransport), []string{"/v2/acme/web/tags/list", "/repos/acme/web/releases"}},
	} {
		for _, path := range row.paths {
			resp, err := (&http.Client{Transport: row.through}).Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	}
	for _, row := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"belay_dispatch_outcomes_total", []string{"skipped"}, 1},
		{"belay_upgrade_transitions_total", []string{"applying"}, 1},
		{"belay_upgrade_state_duration_seconds", []string{"open"}, 1},
		{"belay_merges_total", []string{"person"}, 1},
		{"belay_reverts_total", []string{"none"}, 1},
		{"belay_backups_total", []string{"cronjob", "late"}, 1},
		{"belay_backup_duration_seconds", []string{"cronjob"}, 1},
		{"belay_watch_looks_total", []string{"other", "good"}, 1},
		{"belay_watch_looks_total", nil, 2},
		{"belay_config_broken", []string{"acme/home-ops"}, 1},
		{"belay_notifications_total", []string{"failed", "slack"}, 1},
		{"belay_reconcile_duration_seconds", nil, 2},
		{"belay_reconcile_errors_total", nil, 1},
		{"belay_github_requests_total", []string{"graphql", "2xx"}, 1},
		{"belay_github_requests_total", []string{"rest", "403"}, 1},
		{"belay_github_rate_limit_remaining", []string{"rest"}, 4711},
		{"belay_upstream_requests_total", []string{"2xx", "registry"}, 1},
		{"belay_upstream_requests_total", []string{"2xx", "github"}, 1},
	} {
		if got := sum(t, m, row.name, row.labels...); got != row.want {
			t.Errorf("%s%v is %v, want %v", row.name, row.labels, got, row.want)
		}
	}
}
