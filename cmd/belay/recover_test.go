package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/pin"
)

// TestRecoverLeavesTheWorkToServe: recover has no observers and no cluster, so
// whatever it looked at would end there and then.
func TestRecoverLeavesTheWorkToServe(t *testing.T) {
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	stack := func(tag string) map[string]string {
		return map[string]string{"stacks/web/main.tf": fmt.Sprintf("resource \"docker_container\" \"web\" {\n  name  = \"web\"\n  image = \"acme/web:%s\"\n}\n", tag)}
	}
	repo, err := gh.AddRepository("acme", "home-ops", stack("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Push("belay[bot]", "belay/web/1.0.1", "upgrade", stack("1.0.1")); err != nil {
		t.Fatal(err)
	}
	app, err := github.New(github.Options{AppID: gh.AppID(), URL: gh.URL(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Repository(t.Context(), "acme/home-ops")
	if err != nil {
		t.Fatal(err)
	}
	m := report.Marker{Format: 1, Service: "web", Directory: "stacks/web", Images: []string{"acme/web"}, From: "1.0.0", To: "1.0.1", Branch: "belay/web/1.0.1",
		Moves: []pin.Move{{Path: "stacks/web/main.tf", Line: 3, Name: "acme/web", Role: pin.RoleTag, Old: "1.0.0", New: "1.0.1"}}}
	n, err := r.OpenPull(t.Context(), github.Draft{Branch: m.Branch, Base: "main", Title: "upgrade", Body: "An upgrade.\n\n" + m.String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.MergeAs(n, "ana"); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(key, gh.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BELAY_APP_KEY_FILE", key)
	before := repo.Pulls()[0]
	dir := t.TempDir()
	for _, want := range []string{"acme/home-ops: 1 taken up, 0 left out as before\nacme/home-ops#1: web 1.0.0 → 1.0.1 was merged and not watched to its end: it is watched anew.", "acme/home-ops: 0 taken up, 0 left out as before\n"} {
		c := newRecover()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetArgs([]string{"--app-id", fmt.Sprint(gh.AppID()), "--github-url", gh.URL(), "--state", dir})
		if err := c.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%v: %q, want %q", err, out.String(), want)
		}
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.Upgrades(t.Context(), store.Filter{})
	if err != nil || len(list) != 1 || list[0].State != "applying" || list[0].Version != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if after := repo.Pulls()[0]; after.Body != before.Body || len(after.Comments) > 0 || len(after.CheckRuns) > 0 {
		t.Errorf("recover spoke: %+v", after)
	}
}
