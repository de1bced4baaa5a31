package metrics_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/metrics"
)

// named matches the metrics of belay's own in an expression:
// "belay_merges_total", "belay_backup_duration_seconds_bucket".
var named = regexp.MustCompile(`\bbelay_[a-z_]+\b`)

// TestDeployCurrent holds what is shipped for Prometheus and Grafana to the
// table: every metric that an expression names is there, and every one of the
// table is shown or alerted on.
func TestDeployCurrent(t *testing.T) {
	known := map[string]bool{}
	for _, d := range metrics.Table() {
		known[d.Name] = true
		if d.Kind == metrics.Histogram {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				known[d.Name+suffix] = true
			}
		}
	}
	used := ""
	for _, file := range []string{"alerts.yaml", "grafana-dashboard.json"} {
		data, err := os.ReadFile("../../deploy/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		used += string(data)
		for _, name := range named.FindAllString(string(data), -1) {
			if !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
	for _, d := range metrics.Table() {
		exempt := []string{"belay_scan_last_timestamp_seconds", "belay_scan_last_duration_seconds", "belay_adviser_questions_total", "belay_adviser_tokens_total"}
		if !strings.Contains(used, d.Name) && !slices.Contains(exempt, d.Name) {
			t.Errorf("%s is neither on the dashboard nor in an alert", d.Name)
		}
	}
}

func TestGrafanaDashboard(t *testing.T) {
	data, err := os.ReadFile("../../deploy/monitoring/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title  string `json:"title"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		} `json:"panels"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d has no title or shows nothing", p.ID)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
