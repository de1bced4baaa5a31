package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
)

func ref(t testing.TB, s string) image.Ref {
	t.Helper()
	r, err := image.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pinned is a followed pin of an image in stacks/<service>/main.tf.
func pinned(t testing.TB, service, name string, line int) pin.Pin {
	t.Helper()
	r := ref(t, name)
	return pin.Pin{Kind: pin.KindImage, Service: service, Directory: "stacks/" + service, Image: r, Version: r.Tag, Shape: pin.ShapeLiteral,
		Address: "kubernetes_deployment." + service,
		Span:    pin.Span{Path: "stacks/" + service + "/main.tf", Line: line, Start: line * 100, End: line*100 + len(r.Tag), Text: r.Tag}}
}

func parsed(t testing.TB, config string) policy.Policy {
	t.Helper()
	p, err := policy.Parse("belay.yml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct{ name, image, tag, status, config, want string }{
		{"a new tag is taken", "vaultwarden/server", "1.35.8", "new", "", ""},
		{"an updated digest is taken", "vaultwarden/server", "1.35.8", "update", "", ""},
		{"a dispatch without status is taken", "vaultwarden/server", "1.35.8", "", "", ""},
		{"unchange asks for nothing", "vaultwarden/server", "1.35.8", "unchange", "", `status "unchange"`},
		{"only configured statuses are taken", "vaultwarden/server", "1.35.8", "update", "dispatch: { statuses: [new] }", `status "update"`},
		{"a floating tag", "vaultwarden/server", "latest", "new", "", `floating tag "latest"`},
		{"a commit", "vaultwarden/server", "3fa9c1d", "new", "", "is not a version"},
		{"a database", "library/postgres", "17.1", "new", "", `skip pattern "*postgres*"`},
		{"a database taken back", "library/postgres", "17.1", "new", "dispatch: { skip: [\"!postgres\"] }", ""},
		{"a person's own image", "registry.example.org/me/web", "1.0", "new", "dispatch: { skip: [\"registry.example.org/me/*\"] }", "dispatch.skip"},
		{"the status is looked at first", "library/postgres", "latest", "skip", "", `status "skip"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := plan.Filter(plan.Dispatch{Image: ref(t, tc.image), Tag: tc.tag, Status: tc.status}, parsed(t, tc.config))
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSelectSkips(t *testing.T) {
	digest := &pin.Span{Path: "x", Text: "sha256:old"}
	for _, tc := range []struct {
		name, pinned, to, config, want string
		change                         func(*pin.Pin)
		digest                         string
	}{
		{name: "newer moves", pinned: "a/b:1.0.0", to: "1.1.0"},
		{name: "older stays", pinned: "a/b:1.2.0", to: "1.1.0", want: "not newer: pinned at 1.2.0"},
		{name: "the same stays", pinned: "a/b:1.1.0", to: "1.1.0", want: "already at 1.1.0"},
		{name: "the same with another digest is refreshed", pinned: "a/b:1.1.0", to: "1.1.0", digest: "sha256:new", change: func(p *pin.Pin) { p.Digest = digest }},
		{name: "the same with the same digest stays", pinned: "a/b:1.1.0", to: "1.1.0", digest: "sha256:old", change: func(p *pin.Pin) { p.Digest = digest }, want: "already at"},
		{name: "another suffix stays", pinned: "a/b:1.0.0-alpine", to: "1.1.0", want: "not a version this pin follows"},
		{name: "a pre-release stays out", pinned: "a/b:1.0.0", to: "1.1.0-rc.1", want: "pre-release"},
		{name: "not followed says why", pinned: "a/b:1.0.0", to: "1.1.0", change: func(p *pin.Pin) { p.Reason, p.Detail = pin.Computed, "format()" }, want: "computed: format()"},
		{name: "an opted-out service", pinned: "a/b:1.0.0", to: "1.1.0", config: "services: { ignore: [web] }", want: "services.ignore"},
		{name: "include_tags that does not match", pinned: "a/b:1.0.0", to: "1.1.0.4", change: func(p *pin.Pin) { p.IncludeTags = []string{`^\d+\.\d+\.\d+$`} }, want: "diun.include_tags"},
		{name: "include_tags that matches", pinned: "a/b:1.0.0", to: "1.1.0", change: func(p *pin.Pin) { p.IncludeTags = []string{`^\d+\.\d+\.\d+$`} }},
		{name: "exclude_tags that matches", pinned: "a/b:1.0.0", to: "1.1.0", change: func(p *pin.Pin) { p.ExcludeTags = []string{`^1\.1`} }, want: "diun.exclude_tags"},
		{name: "an annotation that is no expression", pinned: "a/b:1.0.0", to: "1.1.0", change: func(p *pin.Pin) { p.IncludeTags = []string{`(`} }, want: "no regular expression"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := pinned(t, "web", tc.pinned, 3)
			if tc.change != nil {
				tc.change(&p)
			}
			candidates, skipped := plan.Select([]plan.Target{{Pin: p, To: tc.to, Digest: tc.digest}}, []pin.Pin{p}, parsed(t, tc.config))
			if tc.want == "" {
				if len(candidates) != 1 || len(skipped) != 0 {
					t.Fatalf("got %d candidates, skipped %v", len(candidates), skipped)
				}
				return
			}
			if len(candidates) != 0 || len(skipped) != 1 || !strings.Contains(skipped[0].Reason, tc.want) {
				t.Errorf("got %d candidates, skipped %v; want %q", len(candidates), skipped, tc.want)
			}
		})
	}
}

// TestSelectLeavesWhatOptedOut at its version, and so what is written in one place
// with it.
func TestSelectLeavesWhatOptedOut(t *testing.T) {
	a, b, c := pinned(t, "a", "acme/f:1.0", 1), pinned(t, "b", "acme/f:1.0", 1), pinned(t, "c", "acme/f:1.0", 7)
	a.Span = pin.Span{Path: "modules/f/main.tf", Line: 1, Start: 10, End: 13, Text: "1.0"}
	b.Span = a.Span
	var targets []plan.Target
	for _, p := range []pin.Pin{a, b, c} {
		targets = append(targets, plan.Target{Pin: p, To: "1.1"})
	}
	candidates, skipped := plan.Select(targets, []pin.Pin{a, b, c}, parsed(t, "services: { ignore: [b] }"))
	if len(candidates) != 1 || candidates[0].Service != "c" {
		t.Errorf("%+v", candidates)
	}
	if len(skipped) != 2 || skipped[0].Service != "a" || !strings.Contains(skipped[0].Reason, "that of b, which opted out") || !strings.HasPrefix(skipped[1].Reason, "service opted out") {
		t.Errorf("%+v", skipped)
	}
}

// TestAssessLooksAtAllThatMove and not only at the service that leads.
func TestAssessLooksAtAllThatMove(t *testing.T) {
	a, b := pinned(t, "a", "acme/f:1.0.0", 1), pinned(t, "b", "acme/f:1.0.0", 1)
	a.Span = pin.Span{Path: "modules/f/main.tf", Line: 1, Start: 10, End: 15, Text: "1.0.0"}
	b.Span = a.Span
	p := parsed(t, "risk: { always_step: [b] }\ndatabases: { b: { backup: { cronjob: dbaas/b } } }\nverify: { http: { urls: { b: [\"https://b.example.org\"] } } }\n")
	candidates, _ := plan.Select([]plan.Target{{Pin: a, To: "1.0.1"}, {Pin: b, To: "1.0.1"}}, []pin.Pin{a, b}, p)
	if len(candidates) != 1 {
		t.Fatalf("%+v", candidates)
	}
	u := plan.Assess(plan.Facts{Dispatch: plan.Dispatch{Image: ref(t, "acme/f"), Tag: "1.0.1"}, Candidate: candidates[0], Policy: p, Releases: []notes.Release{{Tag: "1.0.1", Body: "Fixes a typo."}}, NotesFrom: "GitHub releases"})
	if u.Risk.Level != risk.Caution || u.Backup == nil || u.Backup.Name != "dbaas/b" || !slices.Contains(u.Verify.Targets, "https://b.example.org") || !slices.Equal(u.Also, []string{"b"}) {
		t.Errorf("%+v", u)
	}
	p = parsed(t, "databases: { a: { backup: { cronjob: dbaas/a } }, b: { backup: { cronjob: dbaas/b } } }\n")
	u = plan.Assess(plan.Facts{Candidate: candidates[0], Policy: p})
	if u.Automerge || !slices.ContainsFunc(u.Blockers, func(s string) bool {
		return strings.Contains(s, "different backups (a: cronjob dbaas/a; b: cronjob dbaas/b)")
	}) {
		t.Errorf("%q", u.Blockers)
	}
}

func TestSelectGroups(t *testing.T) {
	server, ml := pinned(t, "immich", "ghcr.io/immich-app/immich-server:v2.7.4", 5), pinned(t, "immich", "ghcr.io/immich-app/immich-machine-learning:v2.7.4", 5)
	www, cron := pinned(t, "phpipam", "phpipam/phpipam-www:v1.7.0", 3), pinned(t, "phpipam", "phpipam/phpipam-cron:v1.7.0", 9)
	a, b := pinned(t, "a", "acme/f:1.0", 1), pinned(t, "b", "acme/f:1.0", 1)
	shared := pin.Span{Path: "modules/f/main.tf", Line: 1, Start: 10, End: 13, Text: "1.0"}
	a.Span, b.Span = shared, shared
	old, newer := pinned(t, "web", "acme/web:1.0", 1), pinned(t, "web", "acme/web:1.2", 2)
	all := []pin.Pin{server, ml, www, cron, a, b, old, newer}
	summary := func(c plan.Candidate) string {
		var shared, siblings []string
		for _, p := range c.Shared {
			shared = append(shared, p.Image.Familiar())
		}
		for _, p := range c.Siblings {
			siblings = append(siblings, p.Image.Familiar())
		}
		return fmt.Sprintf("%s %s→%s targets=%d also=%v shared=%v siblings=%v", c.Service, c.From, c.To, len(c.Targets), c.AlsoServices, shared, siblings)
	}
	for _, tc := range []struct {
		name    string
		targets []pin.Pin
		to      string
		want    []string
	}{
		{"one variable, two images: one upgrade, one edit", []pin.Pin{server}, "v2.7.5",
			[]string{"immich v2.7.4→v2.7.5 targets=1 also=[] shared=[ghcr.io/immich-app/immich-machine-learning] siblings=[]"}},
		{"images of one project at one version are named", []pin.Pin{www}, "v1.7.4",
			[]string{"phpipam v1.7.0→v1.7.4 targets=1 also=[] shared=[] siblings=[phpipam/phpipam-cron]"}},
		{"services that share a place move together", []pin.Pin{b, a}, "1.1", []string{"a 1.0→1.1 targets=2 also=[b] shared=[] siblings=[]"}},
		{"the oldest pin of a service is where it starts", []pin.Pin{newer, old}, "1.3", []string{"web 1.0→1.3 targets=2 also=[] shared=[] siblings=[]"}},
		{"one upgrade per service, in order", []pin.Pin{www, server}, "v9.0.0",
			[]string{"immich v2.7.4→v9.0.0 targets=1 also=[] shared=[ghcr.io/immich-app/immich-machine-learning] siblings=[]", "phpipam v1.7.0→v9.0.0 targets=1 also=[] shared=[] siblings=[phpipam/phpipam-cron]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var targets []plan.Target
			for _, p := range tc.targets {
				targets = append(targets, plan.Target{Pin: p, To: tc.to})
			}
			candidates, _ := plan.Select(targets, all, policy.Default())
			var got []string
			for _, c := range candidates {
				got = append(got, summary(c))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplices(t *testing.T) {
	a, b := pinned(t, "a", "acme/f:1.0", 1), pinned(t, "b", "acme/f:1.0", 1)
	b.Span = a.Span
	got, err := plan.Splices(plan.Candidate{Targets: []plan.Target{{Pin: a, To: "1.1"}, {Pin: b, To: "1.1"}}})
	if err != nil || len(got) != 1 {
		t.Errorf("a shared place gives %d splices, %v; want 1", len(got), err)
	}
	if _, err := plan.Splices(plan.Candidate{Targets: []plan.Target{{Pin: a, To: "1.1"}, {Pin: b, To: "1.2"}}}); err == nil || !strings.Contains(err.Error(), "stacks/a/main.tf:1") {
		t.Errorf("two wishes for one place: %v", err)
	}
	a.Digest = &pin.Span{Path: "x"}
	if _, err := plan.Splices(plan.Candidate{Targets: []plan.Target{{Pin: a, To: "1.1"}}}); !errors.Is(err, pin.ErrNoDigest) {
		t.Errorf("a stale digest: %v", err)
	}
}

func TestChartFor(t *testing.T) {
	versions := []plan.ChartVersion{{"3.0.0", "v2.0.0"}, {"2.2.0", "1.5.0"}, {"2.1.0", "v1.5.0"}, {"2.1.0-rc.1", "1.5.0"}, {"2.0.0", "1.4.0"}, {"1.0.0", "1.5.0"}, {"odd", "1.5.0"}}
	for _, tc := range []struct{ name, from, tag, want string }{
		{"the lowest newer chart that installs the tag", "2.0.0", "1.5.0", "2.1.0"},
		{"a v does not count", "2.0.0", "v1.5.0", "2.1.0"},
		{"no chart has it yet", "2.0.0", "1.6.0", ""},
		{"an older chart is not gone back to", "3.0.0", "1.5.0", ""},
		{"a pin that is no version", "latest", "1.5.0", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := plan.ChartFor(tc.from, tc.tag, versions)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, tc.want)
			}
		})
	}
}

func TestChartsWhoseImageHasATagOfItsOwn(t *testing.T) {
	versions := []plan.ChartVersion{{"3.0.0", "v2.0.0"}, {"2.1.0", "v1.5.0"}, {"2.1.1-rc.1", "1.5.0"}, {"2.0.0", "v1.4.0"}, {"1.0.0", "1.3.0"}, {"odd", "1.5.0"}}
	for _, tc := range []struct {
		name, from, tag string
		want            bool
	}{
		{"no tag of its own", "2.0.0", "", true},
		{"the appVersion's tag", "2.0.0", "1.4.0", true},
		{"another tag", "2.0.0", "7.2", false},
		{"a version that is not listed", "9.0.0", "7.2", true},
	} {
		if got := plan.FollowsApp(tc.from, tc.tag, versions); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if diff := cmp.Diff([]string{"2.1.0", "3.0.0"}, plan.NewerCharts("2.0.0", versions)); diff != "" {
		t.Errorf("newer charts (-want +got):\n%s", diff)
	}
	if got := plan.NewerCharts("~> 2", versions); got != nil {
		t.Errorf("a range has newer charts: %v", got)
	}
}

func TestCharts(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want pin.Chart
	}{
		{"traefik", pin.Chart{Name: "traefik"}},
		{"https://traefik.github.io/charts/traefik", pin.Chart{Name: "traefik", Repository: "https://traefik.github.io/charts"}},
		{"oci://ghcr.io/acme/charts/web", pin.Chart{Name: "web", Repository: "oci://ghcr.io/acme/charts"}},
		{"bitnami/redis", pin.Chart{Name: "redis"}},
	} {
		if got := plan.ParseChart(tc.in); got != tc.want {
			t.Errorf("ParseChart(%q) = %v, want %v", tc.in, got, tc.want)
		}
	}
	if !plan.SameChart(pin.Chart{Name: "a", Repository: "https://x/"}, pin.Chart{Name: "a", Repository: "https://x"}) ||
		plan.SameChart(pin.Chart{Name: "a", Repository: "https://x"}, pin.Chart{Name: "a", Repository: "https://y"}) ||
		!plan.SameChart(pin.Chart{Name: "a"}, pin.Chart{Name: "a", Repository: "https://y"}) || plan.SameChart(pin.Chart{Name: "a"}, pin.Chart{Name: "b"}) {
		t.Error("charts are not told apart by name and repository")
	}
}
