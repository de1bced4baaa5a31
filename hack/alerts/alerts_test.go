// Package alerts plays metrics to the alert rules in deploy/, in Prometheus's
// own engine. It is a module of its own, so that belay's go.mod stays free of
// what Prometheus needs.
package alerts

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

const file = "../../deploy/monitoring/alerts.yaml"

func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []rulefmt.Rule
	for _, g := range groups.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

// firing plays series, a sample a minute, and lists what fires at a moment, as
// name and labels.
func firing(t *testing.T, series string, at time.Duration) []string {
	t.Helper()
	db := promqltest.LoadedStorage(t, "load 1m\n"+strings.TrimLeft(series, "\n"))
	defer db.Close()
	engine := promql.NewEngine(promql.EngineOpts{Logger: slog.New(slog.DiscardHandler), MaxSamples: 1e7, Timeout: time.Minute, EnableAtModifier: true, Parser: parser.NewParser(parser.Options{})})
	defer engine.Close()
	var out []string
	for _, r := range rules(t) {
		held := map[string]int{} // for how many minutes, by labels
		now := time.Unix(0, 0).Add(at)
		minutes := int(time.Duration(r.For).Minutes())
		for back := minutes; back >= 0; back-- {
			q, err := engine.NewInstantQuery(t.Context(), db, nil, r.Expr, now.Add(-time.Duration(back)*time.Minute))
			if err != nil {
				t.Fatalf("%s: %v", r.Alert, err)
			}
			v, err := q.Exec(t.Context()).Vector()
			if err != nil {
				t.Fatalf("%s: %v", r.Alert, err)
			}
			for _, s := range v {
				held[s.Metric.String()]++
			}
			q.Close()
		}
		for labels, n := range held {
			if n == minutes+1 {
				out = append(out, strings.TrimSuffix(r.Alert+labels, "{}"))
			}
		}
	}
	slices.Sort(out)
	return out
}

const day = 24 * time.Hour

// well is a belay with nothing wrong.
const well = `
  up{job="belay"} 1x3000
  belay_upgrades_open{state="critical",risk="safe",instance="a"} 0x3000
  belay_upgrades_open{state="aborted",risk="safe",instance="a"} 0x3000
  belay_upgrades_open{state="open",risk="caution",instance="a"} 3x3000
  belay_backups_total{kind="cronjob",outcome="good"} 0+1x3000
  belay_backups_total{kind="cronjob",outcome="bad"} 0x3000
  belay_queue_age_seconds{kind="reconcile"} 1x3000
  belay_dispatch_unplanned_age_seconds 0x3000
  belay_reconcile_errors_total 0x3000
  belay_reconcile_duration_seconds_count 0+5x3000
  belay_github_requests_total{api="rest",code="2xx"} 0+10x3000
  belay_github_requests_total{api="rest",code="403"} 0x3000
  belay_github_rate_limit_remaining{api="rest"} 4000x3000
  belay_config_broken{repository="acme/home-ops"} 0x3000
  belay_upgrade_state_age_seconds{state="applying"} 30x3000
  belay_upgrade_state_age_seconds{state="open"} 864000x3000
  belay_notifications_total{place="slack",outcome="told"} 0+1x3000
  belay_notifications_total{place="slack",outcome="failed"} 0x3000
`

func TestAlerts(t *testing.T) {
	for _, row := range []struct {
		name, replace, with string
		at                  time.Duration
		want                string
	}{
		{"nothing is wrong", "", "", 45 * time.Hour, ""},
		{"an upgrade is critical", `belay_upgrades_open{state="critical",risk="safe",instance="a"} 0x3000`, `belay_upgrades_open{state="critical",risk="safe",instance="a"} 0x59 1x3000`, time.Hour, `BelayCritical{state="critical"}`},
		{"a minute before, nobody is called", `belay_upgrades_open{state="critical",risk="safe",instance="a"} 0x3000`, `belay_upgrades_open{state="critical",risk="safe",instance="a"} 0x60 1x3000`, time.Hour, ""},
		{"belay does not answer for five minutes", `up{job="belay"} 1x3000`, `up{job="belay"} 1x54 0x3000`, time.Hour, ""},
		{"belay does not answer for a quarter of an hour", `up{job="belay"} 1x3000`, `up{job="belay"} 1x44 0x3000`, time.Hour, "BelayAbsent"},
		{"one of two replicas is enough", `up{job="belay"} 1x3000`, "up{job=\"belay\",instance=\"a\"} 0x3000\n  up{job=\"belay\",instance=\"b\"} 1x3000", time.Hour, ""},
		{"a backup failed and its upgrade waits", `belay_backups_total{kind="cronjob",outcome="bad"} 0x3000`, "belay_backups_total{kind=\"cronjob\",outcome=\"bad\"} 0x30 1x3000\n  belay_upgrades_open{state=\"aborted\",risk=\"caution\",instance=\"a\"} 0x30 1x3000", time.Hour, `BelayBackupFails{kind="cronjob"}`},
		{"a backup failed and was tried again with success", `belay_backups_total{kind="cronjob",outcome="bad"} 0x3000`, `belay_backups_total{kind="cronjob",outcome="bad"} 0x30 1x3000`, time.Hour, ""},
		{"what was aborted waits for a day", `belay_upgrades_open{state="aborted",risk="safe",instance="a"} 0x3000`, `belay_upgrades_open{state="aborted",risk="safe",instance="a"} 1x3000`, 25 * time.Hour, `BelayAborted{state="aborted"}`},
		{"the queue is stuck", `belay_queue_age_seconds{kind="reconcile"} 1x3000`, `belay_queue_age_seconds{kind="reconcile"} 0+60x3000`, time.Hour, `BelayQueueStuck{kind="reconcile"}`},
		{"a dispatch waits between tries", `belay_dispatch_unplanned_age_seconds 0x3000`, `belay_dispatch_unplanned_age_seconds 0+60x3000`, 2 * time.Hour, "BelayDispatchWaits"},
		{"a dispatch waits for less than an hour", `belay_dispatch_unplanned_age_seconds 0x3000`, `belay_dispatch_unplanned_age_seconds 0+60x3000`, time.Hour, ""},
		{"most looks fail", `belay_reconcile_errors_total 0x3000`, `belay_reconcile_errors_total 0+4x3000`, 2 * time.Hour, "BelayReconcileFails"},
		{"GitHub refuses", `belay_github_requests_total{api="rest",code="403"} 0x3000`, `belay_github_requests_total{api="rest",code="403"} 0+1x3000`, 2 * time.Hour, `BelayGitHubRefuses{code="403"}`},
		{"the rate limit is used up", `belay_github_rate_limit_remaining{api="rest"} 4000x3000`, `belay_github_rate_limit_remaining{api="rest"} 0x3000`, 2 * time.Hour, `BelayGitHubLimit{api="rest"}`},
		{"the configuration is wrong", `belay_config_broken{repository="acme/home-ops"} 0x3000`, `belay_config_broken{repository="acme/home-ops"} 1x3000`, time.Hour, `BelayConfigBroken{repository="acme/home-ops"}`},
		{"an upgrade is applied for hours", `belay_upgrade_state_age_seconds{state="applying"} 30x3000`, `belay_upgrade_state_age_seconds{state="applying"} 0+60x3000`, 4 * time.Hour, `BelayUpgradeStuck{state="applying"}`},
		{"Slack is away", `belay_notifications_total{place="slack",outcome="failed"} 0x3000`, "belay_notifications_total{place=\"hook\",outcome=\"failed\"} 0+1x3000\n  belay_notifications_total{place=\"hook\",outcome=\"told\"} 0x3000", 2 * time.Hour, `BelayNotificationsFail{place="hook"}`},
		{"a credential without an end is fine", "", seen("0+60"), 45 * time.Hour, ""},
		{"a credential ends in 29 days", "", ends(29*day) + seen("0+60"), time.Hour, `BelayCredentialEnds{credential="github_token"}`},
		{"in 31 days", "", ends(31*day) + seen("0+60"), time.Hour, ""},
		{"in six", "", ends(6*day) + seen("0+60"), time.Hour, `BelayCredentialEndsSoon{credential="github_token"} BelayCredentialEnds{credential="github_token"}`},
		{"it was not seen for two days", "", seen("60"), 49 * time.Hour, `BelayCredentialStale{credential="github_token"}`},
		{"it was never seen", "", seen("0"), 2 * time.Hour, `BelayCredentialNeverSeen{credential="github_token"}`},
		{"it is refused", "", "  belay_credential_refused{credential=\"github_token\"} 1x3000\n", time.Hour, `BelayCredentialRefused{credential="github_token"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			series := strings.Replace(well, row.replace, row.with, 1)
			if row.replace == "" {
				series = well + row.with
			} else if !strings.Contains(well, row.replace) {
				t.Fatal("the row replaces nothing")
			}
			if got := strings.Join(firing(t, series, row.at), " "); got != row.want {
				t.Errorf("fires %q, want %q", got, row.want)
			}
		})
	}
}

func ends(in time.Duration) string {
	return fmt.Sprintf("  belay_credential_expiry_timestamp_seconds{credential=\"github_token\"} %dx3000\n", int((time.Hour + in).Seconds()))
}

func seen(values string) string {
	return "  belay_credential_seen_timestamp_seconds{credential=\"github_token\"} " + values + "x3000\n"
}

// TestEveryAlertSaysWhatToDo holds each to the words that people get.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	for _, r := range rules(t) {
		if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a severity, a summary or what to do", r.Alert)
		}
	}
}
