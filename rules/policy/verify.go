package policy

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Apply says how CI brings a merge to the cluster.
type Apply struct {
	Checks     []string // names of check runs, commit statuses or, with Woodpecker, workflows
	Timeout    time.Duration
	Woodpecker *Woodpecker // nil: GitHub is asked
}

// Woodpecker says that Woodpecker's API is asked whether a merge was applied.
type Woodpecker struct {
	Repository string // full name there; "": the same as on GitHub
}

// Verify is the health watch after the apply.
type Verify struct {
	Safe, Caution, Unknown time.Duration
	Interval               time.Duration
	Extend                 time.Duration         // how far a window is extended at most
	Rollout                time.Duration         // how long pods may take to become Ready
	Settle                 time.Duration         // how long a service may take to come up where no roll-out is seen
	Workloads              map[string][]Workload // by service
	HTTP                   HTTP
	Kuma                   Kuma
	Prometheus             Prometheus
}

// HTTP is the HTTP part of the watch.
type HTTP struct {
	Retries int                 // failures in a row that count
	URLs    map[string][]string // by service
}

// Kuma is the Uptime Kuma part of the watch.
type Kuma struct {
	Monitors   map[string]string // by service; a service that is not named has a monitor of its own name
	StatusPage string            // slug; "": its metrics are read
	Beat       time.Duration     // how long a monitor has to stay down
}

// Prometheus is the Prometheus part of the watch.
type Prometheus struct {
	Queries map[string][]Query // by service
}

// Query is a query with the bound that its values have to keep.
type Query struct {
	Query string
	Below *float64 // nil: no bound
	Above *float64
}

// Workload is an object of the cluster that runs pods.
type Workload struct {
	Namespace string
	Kind      string // in lower case: "deployment"
	Name      string
}

// maxInterval is the longest time between two looks: a longer silence means
// that nobody looked.
const maxInterval = time.Minute

var (
	// workloadForm matches "links/deployment/web"; not "links/web" or "links/pod/web".
	workloadForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?/(?i:deployment|statefulset|daemonset|cronjob|job)/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$`)
	// slugForm matches "home" and "home-2"; not "Home" or "a/b".
	slugForm = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)*$`)
	// urlForm matches "https://web.example.org"; not "web.example.org".
	urlForm = regexp.MustCompile(`^https?://[^/\s]`)
)

// watchScalar says what is wrong with a scalar of apply and verify, or "".
func watchScalar(v string, k kind) string {
	switch k { //nolint:exhaustive // the other kinds have no rules of their own
	case kindNumber:
		if f, err := strconv.ParseFloat(v, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprintf("%q is not a number", v)
		}
	case kindWorkload:
		if !workloadForm.MatchString(v) {
			return fmt.Sprintf("%q is not a workload: write namespace/kind/name, with deployment, statefulset, daemonset, cronjob or job as kind", v)
		}
	case kindURL:
		if u, err := url.Parse(v); err != nil || !urlForm.MatchString(v) || u.Hostname() == "" {
			return fmt.Sprintf("%q is not a URL: write one such as https://links.example.org", v)
		}
	case kindSlug:
		if !slugForm.MatchString(v) {
			return fmt.Sprintf("%q is not the slug of a status page: write the last part of its address", v)
		}
	}
	return ""
}

// checkQuery sees to what a query needs.
func (r *reader) checkQuery(n *yaml.Node, seen map[string]bool, at string) {
	if !seen["query"] {
		r.fail(n, "%s: query is missing", at)
	}
	if !seen["below"] && !seen["above"] {
		r.fail(n, "%s: a bound is missing: below, above or both", at)
	}
}

// watch decodes apply and verify.
func (r *reader) watch(root *yaml.Node) {
	p := r.policy
	take(root, &p.Apply.Checks, list, "apply", "checks")
	take(root, &p.Apply.Timeout, duration, "apply", "timeout")
	if n := at(root, "apply", "woodpecker"); n != nil {
		p.Apply.Woodpecker = &Woodpecker{}
		take(n, &p.Apply.Woodpecker.Repository, str, "repository")
	}
	v := &p.Verify
	take(root, &v.Safe, duration, "verify", "safe")
	take(root, &v.Caution, duration, "verify", "caution")
	take(root, &v.Unknown, duration, "verify", "unknown")
	take(root, &v.Interval, duration, "verify", "interval")
	if v.Interval > maxInterval {
		r.fail(at(root, "verify", "interval"), "verify.interval: %s is longer than 1m", v.Interval)
	}
	take(root, &v.Extend, duration, "verify", "extend")
	take(root, &v.Rollout, duration, "verify", "rollout")
	take(root, &v.Settle, duration, "verify", "settle")
	each(root, func(service string, val *yaml.Node) {
		for _, name := range list(val) {
			part := strings.SplitN(name, "/", 3)
			v.Workloads[service] = append(v.Workloads[service], Workload{Namespace: part[0], Kind: strings.ToLower(part[1]), Name: part[2]})
		}
	}, "verify", "workloads")
	take(root, &v.HTTP.Retries, integer, "verify", "http", "retries")
	each(root, func(service string, val *yaml.Node) { v.HTTP.URLs[service] = list(val) }, "verify", "http", "urls")
	each(root, func(service string, val *yaml.Node) { v.Kuma.Monitors[service] = str(val) }, "verify", "kuma", "monitors")
	take(root, &v.Kuma.StatusPage, str, "verify", "kuma", "status_page")
	take(root, &v.Kuma.Beat, duration, "verify", "kuma", "beat")
	each(root, func(service string, val *yaml.Node) {
		for _, n := range resolve(val).Content {
			var q Query
			take(n, &q.Query, str, "query")
			take(n, &q.Below, number, "below")
			take(n, &q.Above, number, "above")
			v.Prometheus.Queries[service] = append(v.Prometheus.Queries[service], q)
		}
	}, "verify", "prometheus", "queries")
}

func number(n *yaml.Node) *float64 {
	f, _ := strconv.ParseFloat(str(n), 64)
	return &f
}

// each calls f for every key of the mapping at a path, where there is one.
func each(root *yaml.Node, f func(name string, val *yaml.Node), path ...string) {
	if n := at(root, path...); n != nil {
		entries(n, f)
	}
}
