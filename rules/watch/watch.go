// Package watch judges whether a service is healthy after an upgrade was
// applied.
//
// Observers (the cluster, HTTP, Uptime Kuma, Prometheus) give samples; Fold adds
// them to a Summary that is small enough to be stored, and Judge says what they
// come to. It looks at nothing itself and has no clock. An observer that cannot
// see never makes a service unhealthy. See SPEC section 11.
package watch

import "time"

// Subject is what is watched: one service at the version that was merged.
type Subject struct {
	Repository string // "acme/home-ops"
	Service    string
	Images     []string // familiar names of the images that moved: "ghcr.io/acme/web"
	Version    string   // the tag that has to run
	Workloads  []Workload
	Namespaces []string  // where to look for the images when no workload is known; none: all
	URLs       []string  // for HTTP
	Monitor    string    // name in Uptime Kuma; "" is the service's own
	StatusPage string    // slug of the Uptime Kuma status page that has the monitor; "" asks its metrics
	Queries    []Query   // for Prometheus
	Since      time.Time // when the upgrade was applied
}

// Workload is an object of the cluster that runs pods.
type Workload struct {
	Kind      string // Deployment, StatefulSet, DaemonSet, CronJob, Job; "" is any of them
	Namespace string
	Name      string
}

// Query is a Prometheus query with the bound that its value has to keep.
type Query struct {
	Expr  string
	Below *float64 // healthy while every value is below
	Above *float64 // healthy while every value is above
}

// State is what one look found.
type State string

// What a look finds.
const (
	Good        State = "good"
	Progressing State = "progressing"  // the roll-out is under way
	NotDeployed State = "not deployed" // what runs is not the merged version
	Bad         State = "bad"          // unhealthy at this look; counts when it stays so
	Fatal       State = "fatal"        // cannot get better by waiting: CrashLoopBackOff, ImagePullBackOff, OOMKilled
	Absent      State = "absent"       // this observer has nothing about the service: it is left out
	Blind       State = "blind"        // the observer is out of reach: says nothing about the service
)

// Kind is the sort of observer that a sample comes from.
type Kind string

// The observers.
const (
	Rollout    Kind = "rollout"
	HTTP       Kind = "http"
	Kuma       Kind = "uptime kuma"
	Prometheus Kind = "prometheus"
)

// Cause is a recognised reason of a failure, for the forward fix.
type Cause string

// Causes that belay recognises.
const (
	CauseOOM       Cause = "OOMKilled"
	CauseCrash     Cause = "CrashLoopBackOff"
	CausePull      Cause = "ImagePullBackOff"
	CauseRestarts  Cause = "restarts"
	CauseDeadline  Cause = "progress deadline"
	CauseUnhealthy Cause = "unhealthy"
)

// Sample is one look at one thing.
type Sample struct {
	At     time.Time
	Kind   Kind
	Name   string // what was looked at: "deployment web/web", "https://web.example.org"
	State  State
	Cause  Cause  // of Bad and Fatal
	Detail string // one line for people
	Log    string // of Bad and Fatal: the pod's last log lines and events
}
