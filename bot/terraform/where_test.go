package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/terraform"
)

// told is whereabouts on one line.
func told(w terraform.Whereabouts) string {
	var parts []string
	for _, l := range w.Workloads {
		parts = append(parts, fmt.Sprintf("%s %s/%s", l.Kind, l.Namespace, l.Name))
	}
	return strings.Join(parts, ", ") + " | " + strings.Join(w.Namespaces, ", ") + " | " + strings.Join(w.URLs, ", ")
}

// TestWhereGolden states where every service of the sample repository is.
func TestWhereGolden(t *testing.T) {
	inv := scan(t, sample(t), "stacks/*")
	var b strings.Builder
	for _, s := range inv.Services {
		fmt.Fprintf(&b, "%s: %s\n", s.Name, told(inv.Where(s.Name)))
	}
	golden := filepath.Join("testdata", "where.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ingress(spec string) string {
	return "resource \"kubernetes_ingress_v1\" \"i\" {\n  metadata {\n    name = \"web\"\n    namespace = \"web\"\n  }\n  spec {\n" + spec + "\n  }\n}\n"
}

func manifest(yaml string) string {
	return "resource \"kubernetes_manifest\" \"m\" {\n  manifest = yamldecode(<<YAML\n" + yaml + "YAML\n  )\n}\n"
}

func TestWhere(t *testing.T) {
	for _, tc := range []struct{ name, main, want string }{
		{"a Deployment without a namespace is in default", "resource \"kubernetes_deployment\" \"w\" {\n  metadata {\n    name = \"web\"\n  }\n}\n", "Deployment default/web | default | "},
		{"every kind of workload", "resource \"kubernetes_stateful_set_v1\" \"a\" {\n  metadata {\n    name = \"a\"\n    namespace = \"x\"\n  }\n}\nresource \"kubernetes_daemonset\" \"b\" {\n  metadata {\n    name = \"b\"\n    namespace = \"x\"\n  }\n}\nresource \"kubernetes_cron_job_v1\" \"c\" {\n  metadata {\n    name = \"c\"\n    namespace = \"x\"\n  }\n}\n",
			"StatefulSet x/a, DaemonSet x/b, CronJob x/c | x | "},
		{"a namespace that is not known is the only one declared", "resource \"kubernetes_namespace\" \"n\" {\n  metadata {\n    name = \"web\"\n  }\n}\nresource \"kubernetes_deployment\" \"w\" {\n  metadata {\n    name = \"web\"\n    namespace = data.x.y\n  }\n}\n", "Deployment web/web | web | "},
		{"a namespace that is not known and none declared", "resource \"kubernetes_deployment\" \"w\" {\n  metadata {\n    name = \"web\"\n    namespace = data.x.y\n  }\n}\n", " |  | "},
		{"a workload with count 0 is nowhere", "resource \"kubernetes_deployment\" \"w\" {\n  count = 0\n  metadata {\n    name = \"web\"\n  }\n}\n", " |  | "},
		{"hosts of an ingress", ingress("    rule {\n      host = \"a.example.org\"\n    }\n    rule {\n      host = \"B.example.org\"\n    }"), " |  | https://a.example.org, https://b.example.org"},
		{"hosts of an ingress made by a loop", "locals { hosts = [\"a.example.org\", \"b.example.org\"] }\n" + ingress("    dynamic \"rule\" {\n      for_each = toset(local.hosts)\n      content {\n        host = rule.value\n      }\n    }"), " |  | https://a.example.org, https://b.example.org"},
		{"a path that is not the root", ingress("    rule {\n      host = \"a.example.org\"\n      http {\n        path {\n          path = \"/api\"\n        }\n      }\n    }"), " |  | https://a.example.org/api"},
		{"a path that is a pattern", ingress("    rule {\n      host = \"a.example.org\"\n      http {\n        path {\n          path = \"/api(/|$)(.*)\"\n        }\n      }\n    }"), " |  | https://a.example.org"},
		{"a wildcard and a host that is not known are left out", ingress("    rule {\n      host = \"*.example.org\"\n    }\n    rule {\n      host = \"a.${data.x.y}\"\n    }"), " |  | "},
		{"a Traefik route", manifest("kind: IngressRoute\nmetadata: {name: web, namespace: web}\nspec:\n  routes:\n    - match: Host(`a.example.org`) || Host(`b.example.org`, `c.example.org`)\n    - match: \"!Host(`d.example.org`)\"\n    - match: Host(`e.example.org`) && PathPrefix(`/api`)\n"),
			" |  | https://a.example.org, https://b.example.org, https://c.example.org, https://e.example.org/api"},
		{"a route of the Gateway API", manifest("kind: HTTPRoute\nmetadata: {name: web, namespace: web}\nspec:\n  hostnames: [a.example.org]\n"), " |  | https://a.example.org"},
		{"an Ingress in YAML", manifest("kind: Ingress\nmetadata: {name: web, namespace: web}\nspec:\n  rules:\n    - host: a.example.org\n      http: {paths: [{path: /}]}\n"), " |  | https://a.example.org"},
		{"what an operator makes a workload of", manifest("kind: Cluster\nmetadata: {name: pg, namespace: dbaas}\n"), " | dbaas | "},
		{"a chart's hosts", helm("  namespace = \"web\"\n  values = [<<YAML\nserver:\n  ingress:\n    enabled: true\n    hosts:\n      - a.example.org\n      - host: b.example.org\n    tls:\n      - hosts: [t.example.org]\nother:\n  ingress:\n    enabled: false\n    host: c.example.org\nhost: d.example.org\nYAML\n  ]"), " | web | https://a.example.org, https://b.example.org"},
		{"a chart's host that is set apart", helm("  namespace = \"web\"\n  set {\n    name = \"ingress.hostname\"\n    value = \"a.example.org\"\n  }"), " | web | https://a.example.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, tree("-- web/main.tf --\n"+tc.main))
			if got := told(inv.Where("web")); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	if got := told(scan(t, sample(t), "stacks/*").Where("no such service")); got != " |  | " {
		t.Errorf("a service that is not there: %s", got)
	}
}
