package policy

import (
	"strings"

	"github.com/belaybot/belay/rules/watch"
)

// kinds are the kinds of workloads as Kubernetes writes them, by their names in
// lower case.
var kinds = map[string]string{"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "cronjob": "CronJob", "job": "Job"}

// Adds puts into a subject what the configuration says of its service's watch.
// What it names takes the place of what was found in the repository.
func (v Verify) Adds(s *watch.Subject) {
	if list := v.Workloads[s.Service]; len(list) > 0 {
		s.Workloads, s.Namespaces = nil, nil
		for _, w := range list {
			s.Workloads = append(s.Workloads, watch.Workload{Kind: kinds[strings.ToLower(w.Kind)], Namespace: w.Namespace, Name: w.Name})
		}
	}
	if urls := v.HTTP.URLs[s.Service]; len(urls) > 0 {
		s.URLs = urls
	}
	s.Monitor, s.StatusPage = v.Kuma.Monitors[s.Service], v.Kuma.StatusPage
	for _, q := range v.Prometheus.Queries[s.Service] {
		s.Queries = append(s.Queries, watch.Query{Expr: q.Query, Below: q.Below, Above: q.Above})
	}
}
