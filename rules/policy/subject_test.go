package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

func TestVerifyAdds(t *testing.T) {
	p, err := policy.Parse("belay.yml", []byte(`
verify:
  workloads: { web: [front/Deployment/app] }
  http: { urls: { web: ["https://web.example.org"] } }
  kuma: { monitors: { web: Web }, status_page: home }
  prometheus: { queries: { web: [{ query: errors, below: 5 }] } }
`))
	if err != nil {
		t.Fatal(err)
	}
	found := watch.Subject{Service: "web", Workloads: []watch.Workload{{Kind: "Deployment", Namespace: "web", Name: "web"}}, Namespaces: []string{"web"}, URLs: []string{"https://old.example.org"}}
	other := found
	other.Service = "blog"
	p.Verify.Adds(&found)
	below := 5.0
	want := watch.Subject{Service: "web", Workloads: []watch.Workload{{Kind: "Deployment", Namespace: "front", Name: "app"}}, URLs: []string{"https://web.example.org"},
		Monitor: "Web", StatusPage: "home", Queries: []watch.Query{{Expr: "errors", Below: &below}}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	p.Verify.Adds(&other)
	if len(other.Workloads) != 1 || other.Workloads[0].Namespace != "web" || other.URLs[0] != "https://old.example.org" || other.Monitor != "" {
		t.Errorf("a service that is not named gets %+v", other)
	}
}
