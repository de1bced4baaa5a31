package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/testdata"
)

func TestTheDemosConfigurationIsRight(t *testing.T) {
	text, err := testdata.Files.ReadFile("home-ops/" + configPath)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(configPath, []byte(demoConfig(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	if p.Verify.Safe != 3*time.Second || p.Verify.Interval != time.Second || len(p.Sources) != 4 || len(p.Databases) == 0 {
		t.Errorf("not what the demo needs: %+v", p)
	}
}

func TestTheStoryEndsWhereAnUpgradeDoesNotEndAsExpected(t *testing.T) {
	event := func(service, name string) notify.Event {
		return notify.Event{Event: name, Text: "as it was told", Upgrade: notify.Upgrade{Service: service}}
	}
	for _, tc := range []struct {
		name   string
		events []notify.Event
		want   string // in the error; "" is none
	}{
		{"what was expected", []notify.Event{event("web", "started"), event("web", "merged"), event("web", "verified")}, ""},
		{"another ending", []notify.Event{event("web", "merged"), event("web", "reverting")}, `web: "reverting" where "verified" was to be expected: as it was told`},
		{"the ending of another service", []notify.Event{event("blog", "failed"), event("web", "verified")}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &stage{out: newTimeline(&bytes.Buffer{}), events: make(chan notify.Event, len(tc.events)), told: map[string][]notify.Event{}}
			for _, e := range tc.events {
				s.events <- e
			}
			err := s.until(t.Context(), "web", "verified")
			if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &stage{out: newTimeline(&bytes.Buffer{}), told: map[string][]notify.Event{}}
	if err := s.until(ctx, "web", "verified"); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestWhatAMergeBrings(t *testing.T) {
	for title, want := range map[string][2]string{
		"upgrade: web 1.0.0 → 1.0.1":         {"web", "1.0.1"},
		"revert: my-app v2.0-r1 → v1.9-r3":   {"my-app", "v1.9-r3"},
		"say what it is":                     {},
		"upgrade: web from 1.0.0 to 1.0.1 →": {},
	} {
		service, version, ok := applied(title)
		if got := [2]string{service, version}; got != want || ok != (want[0] != "") {
			t.Errorf("%q: %q, %v", title, got, ok)
		}
	}
}

func TestAnswerTo(t *testing.T) {
	comments := []sandbox.Comment{{Body: "/upgrade approve"}, {Body: "**Open**\n\n| who | command | answer |\n| --- | --- | --- |\n| ana | `aprove` | Not done: no |\n| ana | `approve` | approved 1a2b3c4 |\n"}}
	for command, want := range map[string]string{"approve": "approved 1a2b3c4", "aprove": "Not done: no", "hold": ""} {
		if got := answerTo(comments, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestQuoteShowsTheBeginningAndCountsTheRest(t *testing.T) {
	var b bytes.Buffer
	line := &timeline{out: &b, width: 60}
	line.quote("#1  upgrade", "See [the notes](https://example.org/a/b) "+strings.Repeat("word ", 12)+"\n\ntwo\nthree\nfour\n", 4)
	want := "\n         #1  upgrade\n         │ See [the notes] word word word word word word\n         │ word word word word word word\n         │\n         │ two\n         └ and 2 more lines\n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// demo runs belay demo and returns what it printed.
func demo(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := newDemo()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	c.SilenceUsage, c.SilenceErrors = true, true
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := c.ExecuteContext(ctx)
	return out.String(), err
}

func TestDemoOnARealControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	out, err := demo(t, "--kube")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"the cluster is a real Kubernetes control plane at https://127.0.0.1:",
		"linkwarden #1", "paperless-ngx-", "was killed for want of memory (OOMKilled)", "Undone: 2.16.4 is back", "Job dbaas/mysql-backup-", "All of it ended as it should",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) { // lines are wrapped
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestDemoSaysHowToGetAControlPlane(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	out, err := demo(t, "--kube")
	if !program.IsUsage(err) || !strings.Contains(err.Error(), "run hack/setup kube") || !strings.Contains(err.Error(), "leave --kube out") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDemoReadsWorkloadsFromPins(t *testing.T) {
	pins := []pin.Pin{
		{Address: "module.app.module.workload.kubernetes_deployment_v1.this", Namespace: "web", Workload: "web", Version: "1.0"},
		{Address: "module.app.module.workload.kubernetes_deployment_v1.this", Namespace: "web", Workload: "web", Version: "2.0"},
		{Address: "kubernetes_stateful_set.db", Workload: "db", Service: "data", Version: "3.0", IgnoreChanges: true},
		{Address: "docker_container.x", Workload: "x", Version: "1"},
	}
	for i := range pins {
		ref, err := image.Parse([]string{"acme/web", "busybox", "acme/db", "acme/x"}[i])
		if err != nil {
			t.Fatal(err)
		}
		pins[i].Image = ref
	}
	want := []kube.Workload{
		{Kind: "deployment_v1", Namespace: "web", Name: "web", Image: "acme/web:1.0", Beside: []string{"busybox:2.0"}},
		{Kind: "stateful_set", Namespace: "data", Name: "db", Image: "acme/db:3.0", Ignored: true},
	}
	if diff := cmp.Diff(want, workloads(pins)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
