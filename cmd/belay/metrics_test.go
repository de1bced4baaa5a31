package main

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/metrics"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/policy"
)

// TestMetricsAreThoseThatAreDocumented reads /metrics of a running belay: every
// metric of its own is in the table from which docs/metrics.md is made, with the
// same help, type and labels, and the other way round.
func TestMetricsAreThoseThatAreDocumented(t *testing.T) {
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer gh.Close()
	if _, err := gh.AddRepository("acme", "home-ops", map[string]string{"stacks/web/main.tf": ""}); err != nil {
		t.Fatal(err)
	}
	p := parts{state: t.TempDir(), listen: "127.0.0.1:0", workers: 1, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		github: github.Options{AppID: gh.AppID(), URL: gh.URL(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }},
		upstream: func(*github.App) func(policy.Policy) (planner.Upstream, error) {
			return func(policy.Policy) (planner.Upstream, error) { return nil, nil }
		},
		diunToken: func() string { return "t" }, webhookSecret: func() string { return "s" }, credentials: credentials.New(nil, nil)}
	run, err := p.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	}()
	resp, err := http.Get(run.url() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	type form struct {
		Help, Kind string
		Labels     []string
	}
	want, got := map[string]form{}, map[string]form{}
	for _, d := range metrics.Table() {
		f := form{Help: d.Help, Kind: string(d.Kind)}
		open := false // shown once there is something to show
		for _, l := range d.Labels {
			f.Labels = append(f.Labels, l.Name)
			open = open || slices.Contains([]string{"repository", "credential"}, l.Name)
		}
		slices.Sort(f.Labels)
		if _, there := families[d.Name]; there || !open && !slices.Contains([]string{"belay_upgrade_transitions_total", "belay_upgrade_state_duration_seconds", "belay_adviser_questions_total", "belay_adviser_tokens_total"}, d.Name) {
			want[d.Name] = f
		}
	}
	for name, f := range families {
		if !strings.HasPrefix(name, "belay_") {
			continue
		}
		out := form{Help: f.GetHelp(), Kind: map[dto.MetricType]string{dto.MetricType_COUNTER: "counter", dto.MetricType_GAUGE: "gauge", dto.MetricType_HISTOGRAM: "histogram"}[f.GetType()]}
		for _, l := range f.GetMetric()[0].GetLabel() {
			out.Labels = append(out.Labels, l.GetName())
		}
		slices.Sort(out.Labels)
		got[name] = out
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("/metrics and bot/metrics/table.go (-table +shown):\n%s", diff)
	}
	t.Logf("%d metrics of belay's own", len(got))
}
