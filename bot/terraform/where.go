package terraform

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/watch"
)

// Whereabouts is where a service is in the cluster and how it is reached, as
// far as the repository says so without running Terraform.
type Whereabouts struct {
	Workloads  []watch.Workload // those written as such, sorted; a Helm release's are not known
	Namespaces []string         // of workloads, releases and manifests, sorted; none when not one of them is known
	URLs       []string         // of its ingresses, sorted: "https://links.example.org"
}

// Where tells where a service of the inventory is. A service that the inventory
// does not have has empty whereabouts.
func (inv *Inventory) Where(service string) Whereabouts {
	p := inv.places[service]
	if p == nil {
		return Whereabouts{}
	}
	var out Whereabouts
	for _, w := range p.workloads {
		if w.Namespace == "" && len(p.declared) == 1 {
			w.Namespace = p.declared[0] // the only one that it can mean
		}
		if w.Namespace == "" {
			out.Namespaces = append(out.Namespaces, p.declared...)
			continue
		}
		out.Namespaces = append(out.Namespaces, w.Namespace)
		if w.Name != "" && w.Kind != "" {
			out.Workloads = append(out.Workloads, w)
		}
	}
	out.URLs = append(out.URLs, p.urls...)
	slices.SortFunc(out.Workloads, func(a, b watch.Workload) int {
		return strings.Compare(a.Namespace+"/"+a.Name+"/"+a.Kind, b.Namespace+"/"+b.Name+"/"+b.Kind)
	})
	slices.Sort(out.Namespaces)
	slices.Sort(out.URLs)
	out.Workloads, out.Namespaces, out.URLs = slices.Compact(out.Workloads), slices.Compact(out.Namespaces), slices.Compact(out.URLs)
	return out
}

// placed is what the walker notes of a service.
type placed struct {
	workloads []watch.Workload // Kind is "" where only the namespace matters
	declared  []string         // names of kubernetes_namespace resources
	urls      []string
}

// kinds are the workloads of the Kubernetes provider, without "kubernetes_" and "_v1".
var kinds = map[string]string{
	"deployment": "Deployment", "stateful_set": "StatefulSet", "daemonset": "DaemonSet", "daemon_set": "DaemonSet",
	"cron_job": "CronJob", "job": "Job", "pod": "Pod",
}

// whereabouts notes what a resource tells of its service's place.
func (w *walker) whereabouts(r *hclsyntax.Block, s *scope, u use) {
	if u.outside || u.disabled {
		return
	}
	p := w.placeOf(u.service)
	kind := strings.TrimSuffix(strings.TrimPrefix(r.Labels[0], "kubernetes_"), "_v1")
	meta := firstBlock(r.Body, "metadata")
	switch {
	case r.Labels[0] == "helm_release":
		p.workloads = append(p.workloads, watch.Workload{Namespace: namespaceOf(s, r.Body)})
	case kind == r.Labels[0] || meta == nil:
	case kind == "namespace":
		if name := s.string(meta.Body, "name"); name != "" {
			p.declared = append(p.declared, name)
		}
	case kinds[kind] != "":
		p.workloads = append(p.workloads, watch.Workload{Kind: kinds[kind], Namespace: namespaceOf(s, meta.Body), Name: s.string(meta.Body, "name")})
	case kind == "ingress":
		p.ingress(r.Body, s)
	}
}

func (w *walker) placeOf(service string) *placed {
	if w.places[service] == nil {
		w.places[service] = &placed{}
	}
	return w.places[service]
}

// namespaceOf is the namespace that a body names, "default" when it names none
// and "" when it is not known.
func namespaceOf(s *scope, body *hclsyntax.Body) string {
	if body.Attributes["namespace"] == nil {
		return "default"
	}
	return s.string(body, "namespace")
}

// ingress takes the hosts of a kubernetes_ingress, with the path where none of
// a host's paths is the root.
func (p *placed) ingress(body *hclsyntax.Body, s *scope) {
	for _, spec := range s.blocks(body) {
		if spec.kind != "spec" {
			continue
		}
		for _, rule := range spec.scope.blocks(spec.body) {
			if rule.kind != "rule" {
				continue
			}
			var paths []string
			for _, http := range rule.scope.blocks(rule.body) {
				for _, b := range http.scope.blocks(http.body) {
					if b.kind == "path" {
						paths = append(paths, b.scope.string(b.body, "path"))
					}
				}
			}
			p.host(rule.scope.string(rule.body, "host"), paths...)
		}
	}
}

// hostForm matches a host that can be asked: "links.example.org"; not
// "*.example.org", "${host}", "localhost".
var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$`)

// pathForm matches a path that is no pattern: "/api", "/api/v1"; not "/", "/api(/|$)(.*)".
var pathForm = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func (p *placed) host(host string, paths ...string) {
	if !hostForm.MatchString(host) {
		return
	}
	url := "https://" + strings.ToLower(host)
	if len(paths) > 0 && !slices.ContainsFunc(paths, func(s string) bool { return !pathForm.MatchString(s) }) {
		url += paths[0]
	}
	p.urls = append(p.urls, url)
}

// object notes what a manifest tells: Ingress, Traefik's IngressRoute, the
// Gateway API's HTTPRoute, and workloads.
func (p *placed) object(doc *value) {
	meta := doc.get("metadata")
	if meta == nil {
		return
	}
	name, namespace, kind := stringOf(meta.get("name")), "default", stringOf(doc.get("kind"))
	if ns := meta.get("namespace"); ns != nil {
		namespace = stringOf(ns)
	}
	spec := doc.get("spec")
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod":
		p.workloads = append(p.workloads, watch.Workload{Kind: kind, Namespace: namespace, Name: name})
	case "Namespace":
		if name != "" {
			p.declared = append(p.declared, name)
		}
	case "Ingress":
		for _, rule := range itemsOf(spec, "rules") {
			var paths []string
			if http := rule.get("http"); http != nil {
				for _, path := range itemsOf(http, "paths") {
					paths = append(paths, stringOf(path.get("path")))
				}
			}
			p.host(stringOf(rule.get("host")), paths...)
		}
	case "IngressRoute":
		for _, route := range itemsOf(spec, "routes") {
			p.match(stringOf(route.get("match")))
		}
	case "HTTPRoute":
		for _, h := range itemsOf(spec, "hostnames") {
			p.host(stringOf(h))
		}
	default:
		// What an operator makes of it may run pods, where it is known to be.
		if meta.get("namespace") != nil {
			p.workloads = append(p.workloads, watch.Workload{Namespace: namespace})
		}
	}
}

// hostRule matches the hosts of a Traefik rule: "Host(`a.example`, `b.example`)";
// not HostRegexp(…), not !Host(…).
var hostRule = regexp.MustCompile(`(?:^|[^!A-Za-z])Host\(([^)]*)\)`)

// pathRule matches the path of a Traefik rule: "PathPrefix(`/api`)", "Path(`/x`)".
var pathRule = regexp.MustCompile("Path(?:Prefix)?\\(`([^`)]*)`\\)")

func (p *placed) match(rule string) {
	var paths []string
	if m := pathRule.FindStringSubmatch(rule); m != nil {
		paths = []string{m[1]}
	}
	for _, m := range hostRule.FindAllStringSubmatch(rule, -1) {
		for _, h := range strings.Split(m[1], ",") {
			p.host(strings.Trim(strings.TrimSpace(h), "`\"'"), paths...)
		}
	}
}

func itemsOf(v *value, key string) []*value {
	if v == nil {
		return nil
	}
	return items(v.get(key))
}

// chartHosts takes the hosts below every "ingress" of a chart's values that is not switched off.
func (p *placed) chartHosts(v *value, inside bool, depth int) {
	if v == nil || depth > maxDepth {
		return
	}
	v.each(func(v *value) {
		if enabled := v.get("enabled"); enabled != nil && inside && stringOf(enabled) == "false" {
			return
		}
		for _, e := range v.items {
			p.chartHosts(e, inside, depth+1)
		}
		for _, f := range uniqueFields(v.fields) {
			switch {
			case !inside:
				p.chartHosts(f.val, f.key == "ingress", depth+1)
			case f.key == "host" || f.key == "hostname":
				p.host(stringOf(f.val))
			case f.key == "hosts" || f.key == "hostnames":
				for _, h := range f.val.items {
					p.host(stringOf(h))
				}
				p.chartHosts(f.val, true, depth+1)
			case f.key != "tls":
				p.chartHosts(f.val, true, depth+1)
			}
		}
	})
}
