// Package metrics says what belay counts and measures for Prometheus.
//
// Table lists every metric that /metrics shows, docs/metrics.md is generated from
// it, and a test holds a running belay to it. Labels take few values: none holds
// an upgrade, a version or an image. See SPEC section 16.
package metrics

import (
	"fmt"
	"strings"
)

// Kind is a metric's type in Prometheus.
type Kind string

// The kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Label is a label of a metric with the values that it takes.
type Label struct {
	Name   string
	Values []string // all that there are; nil: what Of says
	Of     string   // in words, where the values cannot be listed
}

// Definition is one metric.
type Definition struct {
	Name      string
	Kind      Kind
	Help      string
	Labels    []Label
	Buckets   []float64 // of a histogram, in its unit
	Elsewhere bool      // another package keeps it
}

func values(name string, v ...string) Label { return Label{Name: name, Values: v} }
func words(name, of string) Label           { return Label{Name: name, Of: of} }

var (
	short = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	long  = []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600}
	state = words("state", "a state of docs/lifecycle.md")
)

// Table lists all metrics, in the order of an upgrade's life.
func Table() []Definition { return table }

var table = []Definition{
	{Name: "belay_build_info", Kind: Gauge, Help: "Always 1; its labels say which belay runs.", Labels: []Label{words("version", "belay's version"), words("goversion", "Go's version")}},

	{Name: "belay_dispatches_total", Kind: Counter, Help: "Dispatches received, by where they came from and answer.", Labels: []Label{values("source", "diun", "repository_dispatch", "bulk"), words("code", "the HTTP status that DIUN gets or would get: 202 new, 200 known, 400, 401, 405, 413, 503")}, Elsewhere: true},
	{Name: "belay_dispatch_outcomes_total", Kind: Counter, Help: "What dispatches led to, once for each place that they concern.", Labels: []Label{values("outcome", "upgrade", "joined", "skipped", "failed")}},
	{Name: "belay_webhooks_total", Kind: Counter, Help: "GitHub webhooks received, by event and outcome.", Labels: []Label{words("event", "an event that the App subscribes to, or other"), values("outcome", "taken", "refused", "failed")}, Elsewhere: true},
	{Name: "belay_scans_total", Kind: Counter, Help: "Scans of a repository that were begun, by result.", Labels: []Label{values("result", "done", "failed")}, Elsewhere: true},
	{Name: "belay_scan_pins_total", Kind: Counter, Help: "Pins that scans looked up, by result.", Labels: []Label{values("result", "current", "outdated", "unreached")}, Elsewhere: true},
	{Name: "belay_scan_dispatches_total", Kind: Counter, Help: "Dispatches that scans led to.", Elsewhere: true},
	{Name: "belay_scan_last_timestamp_seconds", Kind: Gauge, Help: "When the last scan was begun.", Elsewhere: true},
	{Name: "belay_scan_last_duration_seconds", Kind: Gauge, Help: "How long the last scan took.", Elsewhere: true},

	{Name: "belay_upgrades_open", Kind: Gauge, Help: "Upgrades that are not over, by state and risk.", Labels: []Label{state, values("risk", "safe", "caution", "unknown", "none")}, Elsewhere: true},
	{Name: "belay_upgrade_state_age_seconds", Kind: Gauge, Help: "How long the upgrade that entered the state first has been in it; 0 where none is.", Labels: []Label{state}, Elsewhere: true},
	{Name: "belay_upgrade_state_duration_seconds", Kind: Histogram, Help: "How long upgrades stayed in a state that they have left.", Labels: []Label{state}, Buckets: long},
	{Name: "belay_upgrade_transitions_total", Kind: Counter, Help: "States entered by upgrades.", Labels: []Label{state}},
	{Name: "belay_merges_total", Kind: Counter, Help: "Upgrades merged, by whom.", Labels: []Label{values("by", "belay", "person")}},
	{Name: "belay_reverts_total", Kind: Counter, Help: "Upgrades that belay began to undo, by risk.", Labels: []Label{values("risk", "safe", "caution", "unknown", "none")}},
	{Name: "belay_backups_total", Kind: Counter, Help: "Backups before merges that ended.", Labels: []Label{values("kind", "cronjob", "job", "volumesnapshot", "velero"), values("outcome", "good", "bad", "late")}},
	{Name: "belay_backup_duration_seconds", Kind: Histogram, Help: "How long backups took that succeeded.", Labels: []Label{values("kind", "cronjob", "job", "volumesnapshot", "velero")}, Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600}},
	{Name: "belay_watch_looks_total", Kind: Counter, Help: "Looks at the health of services, by who looked and what was seen.", Labels: []Label{values("observer", "rollout", "http", "kuma", "prometheus", "other"), values("outcome", "good", "bad", "running", "unseen", "none")}},
	{Name: "belay_config_broken", Kind: Gauge, Help: "1 while the configuration on a repository's default branch is wrong, so that nothing is done there, else 0.", Labels: []Label{words("repository", "a repository on which the App is installed")}},

	{Name: "belay_reconcile_duration_seconds", Kind: Histogram, Help: "How long looks at upgrades took.", Buckets: short},
	{Name: "belay_reconcile_errors_total", Kind: Counter, Help: "Looks at upgrades that failed and are repeated; waiting for a limit is none.", Labels: nil},
	{Name: "belay_dispatch_unplanned_age_seconds", Kind: Gauge, Help: "How long the dispatch that waits longest has waited to be planned, tries that failed included; 0 where none waits.", Elsewhere: true},
	{Name: "belay_queue_jobs", Kind: Gauge, Help: "Jobs in the queue: due now, running, or for later.", Labels: []Label{values("kind", Kinds...), values("when", "due", "running", "later")}, Elsewhere: true},
	{Name: "belay_queue_age_seconds", Kind: Gauge, Help: "How long the job that waits longest has been due; 0 where none waits.", Labels: []Label{values("kind", Kinds...)}, Elsewhere: true},

	{Name: "belay_github_requests_total", Kind: Counter, Help: "Requests to GitHub's API, by answer.", Labels: []Label{values("api", "rest", "graphql"), values("code", "2xx", "304", "401", "403", "404", "4xx", "429", "5xx", "error")}},
	{Name: "belay_github_request_duration_seconds", Kind: Histogram, Help: "How long requests to GitHub's API took.", Labels: []Label{values("api", "rest", "graphql")}, Buckets: short},
	{Name: "belay_github_rate_limit_remaining", Kind: Gauge, Help: "Requests left in GitHub's hour, as the last answer said; of several installations, of the one that asked last.", Labels: []Label{values("api", "rest", "graphql")}},
	{Name: "belay_upstream_requests_total", Kind: Counter, Help: "Requests for release notes, tags and charts, by whom they went to and answer.", Labels: []Label{values("service", "github", "registry", "other"), values("code", "2xx", "304", "401", "403", "404", "4xx", "429", "5xx", "error")}},
	{Name: "belay_notifications_total", Kind: Counter, Help: "Attempts to tell people, by place and outcome.", Labels: []Label{values("place", "slack", "slack-webhook", "webhook"), values("outcome", "told", "failed", "refused")}},

	{Name: "belay_adviser_questions_total", Kind: Counter, Help: "Upgrades that the adviser was to be asked about, by what came of it.", Labels: []Label{words("outcome", "what came of it")}, Elsewhere: true},
	{Name: "belay_adviser_tokens_total", Kind: Counter, Help: "Tokens that the adviser has used.", Labels: []Label{values("kind", "input", "output")}, Elsewhere: true},

	{Name: "belay_credential_expiry_timestamp_seconds", Kind: Gauge, Help: "When a credential ends, as seconds since 1970; absent where no end is known.", Labels: []Label{words("credential", "the name of a secret, in lower case: app_key, github_token, …")}, Elsewhere: true},
	{Name: "belay_credential_seen_timestamp_seconds", Kind: Gauge, Help: "When a credential was last found good, as seconds since 1970; 0 for never.", Labels: []Label{words("credential", "the name of a secret")}, Elsewhere: true},
	{Name: "belay_credential_refused", Kind: Gauge, Help: "1 when whom the credential is for did not take it the last time, else 0.", Labels: []Label{words("credential", "the name of a secret")}, Elsewhere: true},
}

// Kinds are the kinds of jobs in the queue.
var Kinds = []string{"reconcile", "dispatch", "notify", "board", "periodic"}

// Doc is docs/metrics.md.
func Doc() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\n<!-- Generated from bot/metrics/table.go by `make golden`. -->\n\n" +
		"`GET /metrics` shows these, and the usual `go_*` and `process_*`. Counters are of one process and begin anew when it does; gauges that are read from the state are the\n" +
		"same in every replica: take their maximum. `deploy/monitoring/alerts.yaml` has rules for Prometheus on them, `deploy/monitoring/grafana-dashboard.json` a dashboard.\n\n" +
		"| metric | type | what it says | labels |\n| --- | --- | --- | --- |\n")
	for _, d := range table {
		var labels []string
		for _, l := range d.Labels {
			of := l.Of
			if len(l.Values) > 0 {
				of = strings.Join(l.Values, ", ")
			}
			labels = append(labels, fmt.Sprintf("`%s`: %s", l.Name, of))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Kind, d.Help, strings.Join(labels, "; "))
	}
	return b.String()
}
