package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/policy"
)

func TestStrays(t *testing.T) {
	home := policy.Found{Services: map[string]string{"linkwarden": "stacks/linkwarden", "immich": "stacks/immich", "apps/web": "stacks/apps/web"}, Outside: []string{"lab/probe"}}
	const look = ": take it out, or look the name up in belay pins"
	for _, tc := range []struct {
		name, config string
		found        policy.Found
		want         []string
	}{
		{"all names are right", "databases: {linkwarden: {backup: {none: x}}}\nrisk: {always_step: [immich]}\nservices: {roots: [\"stacks/*\", \"stacks/apps/web\"], ignore: [\"stacks/imm*\", immich, \"lab/*\"]}", home, nil},
		{"a configuration without names", "", policy.Found{}, nil},
		{"a database with a typo", "databases: {linkwardn: {backup: {none: x}}}", home,
			[]string{`databases names "linkwardn", and the repository has no such service: did you mean "linkwarden"?`}},
		{"a capital letter", "databases: {Immich: {backup: {none: x}}}", home,
			[]string{`databases names "Immich", and the repository has no such service: did you mean "immich"?`}},
		{"a directory in place of the name", "databases: {stacks/linkwarden: {backup: {none: x}}}", home,
			[]string{`databases names "stacks/linkwarden", and the repository has no such service: did you mean "linkwarden"?`}},
		{"the end of a longer name", "risk: {always_step: [web]}", home,
			[]string{`risk.always_step names "web", and the repository has no such service: did you mean "apps/web"?`}},
		{"nothing is near", "risk: {always_step: [nextcloud]}", home,
			[]string{`risk.always_step names "nextcloud", and the repository has no such service` + look}},
		{"every key that names services", `
dispatch: {limit: {services: {a1: 1}}}
steps: {services: {a2: minor}}
databases: {a3: {backup: {none: x}}}
verify:
  workloads: {a4: [x/deployment/y]}
  http: {urls: {a5: ["https://x.example.org"]}}
  kuma: {monitors: {a6: X}}
  prometheus: {queries: {a7: [{query: up, above: 0}]}}
services: {ignore: [a8]}
adviser: {ignore: [a9]}`, home, []string{
			`services.ignore has "a8", which matches no service of the repository and no directory of one` + look,
			`dispatch.limit.services names "a1", and the repository has no such service` + look,
			`steps.services names "a2", and the repository has no such service` + look,
			`databases names "a3", and the repository has no such service` + look,
			`verify.workloads names "a4", and the repository has no such service` + look,
			`verify.http.urls names "a5", and the repository has no such service` + look,
			`verify.kuma.monitors names "a6", and the repository has no such service` + look,
			`verify.prometheus.queries names "a7", and the repository has no such service` + look,
			`adviser.ignore has "a9", which matches no service of the repository and no directory of one` + look,
		}},
		{"a glob that matches nothing", "services: {ignore: [\"legacy-*\"]}", home,
			[]string{`services.ignore has "legacy-*", which matches no service of the repository and no directory of one` + look}},
		{"one root of two", "services: {roots: [\"stacks/*\", \"lap/*\"]}", home,
			[]string{`services.roots has "lap/*", which matches no service of the repository and no directory of one: did you mean "lab/*"?`}},
		{"no root matches: nothing is said of the names", "services: {roots: [\"stack/*\"]}\ndatabases: {linkwarden: {backup: {none: x}}}", policy.Found{Outside: []string{"stacks/immich", "stacks/linkwarden"}},
			[]string{`services.roots has "stack/*", which matches no service of the repository and no directory of one: did you mean "stacks/*"?`}},
		{"a name that may be the repository's", "databases: {home-ops: {backup: {none: x}}, linkwardn: {backup: {none: x}}}", policy.Found{Services: map[string]string{"root": ".", "linkwarden": "links"}, Nameless: true},
			[]string{`databases names "linkwardn", and the repository has no such service: did you mean "linkwarden"?`}},
		{"a repository without services", "risk: {always_step: [immich]}", policy.Found{},
			[]string{`risk.always_step names "immich", and the repository has no such service` + look}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := policy.Parse("belay.yml", []byte(tc.config))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Strays(tc.found) {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, strings.Join(got, "\n"))
			}
		})
	}
}
