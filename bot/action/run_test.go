package action_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/belaybot/belay/bot/action"
	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// backups plays the cluster's: a backup by its key.
type backups struct {
	reconcile.Backups // what is not played is not called

	mu    sync.Mutex
	state lifecycle.Progress
	keys  map[string]int
}

func (b *backups) Backup(_ context.Context, r cluster.BackupRequest) (cluster.BackupResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[r.Key]++
	return cluster.BackupResult{State: b.state, Name: "dbaas/backup-belay-" + r.Key, Detail: "dump complete"}, nil
}

// sight plays what watches a service, by the version that is looked at.
type sight map[string]watch.Sample

func (s sight) Look(_ context.Context, on watch.Subject) []watch.Sample {
	x := s[on.Version]
	x.At, x.Kind, x.Name = time.Now(), watch.Rollout, "deployment web/web"
	return []watch.Sample{x}
}

const backedUp = `
sources: { docker.io/acme/web: proj/web }
databases: { web: { backup: { cronjob: dbaas/backup } } }
apply: { checks: [deploy], timeout: 15m }
verify: { safe: 20s, interval: 1s, extend: 1s, settle: 1s }
dashboard: { issue: false }
`

// TestRunsShareNothingButThePullRequests: a backup that one run began is the one
// that the next run waits for, a watch goes on where it stopped, and the revert
// of a third run names the backup of the first.
func TestRunsShareNothingButThePullRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: runs that wait for real time to pass, 30 s")
	}
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	stack := "resource \"kubernetes_deployment\" \"web\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = \"acme/web:1.0.0\"\n        }\n      }\n    }\n  }\n}\n"
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{".github/belay.yml": backedUp, "stacks/web/main.tf": stack})
	if err != nil {
		t.Fatal(err)
	}
	repo.AutoChecks(map[string]string{"ci": "success"})
	up, err := gh.AddUpstream("proj", "web", map[string]string{"README.md": "web"})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Release("1.0.1", "### Fixed\n\n- a crash"); err != nil {
		t.Fatal(err)
	}
	token := repo.WorkflowToken()
	made := &backups{state: lifecycle.Running, keys: map[string]int{}}
	sees := sight{"1.0.1": {State: watch.Good, Detail: "1 of 1 pods are Ready"}, "1.0.0": {State: watch.Good, Detail: "1 of 1 pods are Ready"}}
	n := 0
	run := func(name string, payload any, limit time.Duration) action.Result {
		t.Helper()
		n++
		data, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		st, err := store.Open(t.Context(), store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		app, err := github.New(github.Options{Token: func() string { return token }, Only: "acme/home-ops", URL: gh.URL()})
		if err != nil {
			t.Fatal(err)
		}
		r := action.New(action.Options{Event: event(t, name, data), Inputs: action.Inputs{Token: token, TimeLimit: limit}, Actions: githubactions.New(), Getenv: func(string) string { return "" },
			Name: fmt.Sprint("run ", n), Dir: dir, Store: st, GitHub: app, Backups: made, Observers: []reconcile.Observer{sees},
			Upstream: func(p policy.Policy) (planner.Upstream, error) {
				return upstream.New(upstream.Options{GitHubAPI: gh.URL() + "/api/v3", Sources: p.Sources})
			}})
		out, err := r.Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	stands := func(out action.Result, want lifecycle.State) {
		t.Helper()
		if len(out.Upgrades) != 1 || out.Upgrades[0].State != string(want) {
			t.Fatalf("run %d: upgrades %+v, want %s; problems %v", n, out.Upgrades, want, out.Problems)
		}
	}

	stands(run("repository_dispatch", map[string]any{"action": "diun", "client_payload": map[string]any{"image": "acme/web", "tag": "1.0.1"}}, 4*time.Second), lifecycle.BackingUp)
	stands(run("schedule", map[string]any{}, 2*time.Second), lifecycle.BackingUp)
	if len(made.keys) != 1 {
		t.Fatalf("backups %v, want one for both runs", slices.Collect(maps.Keys(made.keys)))
	}
	made.mu.Lock()
	made.state = lifecycle.Good
	made.mu.Unlock()
	stands(run("schedule", map[string]any{}, 4*time.Second), lifecycle.Applying)
	if len(made.keys) != 1 {
		t.Errorf("backups %v, want one", slices.Collect(maps.Keys(made.keys)))
	}
	merge := repo.Pulls()[0].MergeSHA
	repo.SetStatus(merge, "deploy", "success")
	out := run("schedule", map[string]any{}, 4*time.Second)
	stands(out, lifecycle.Watching)
	if !out.TimeUp {
		t.Error("the run does not say that its time was up")
	}
	began := watchedSince(t, repo)
	stands(run("schedule", map[string]any{}, 2*time.Second), lifecycle.Watching)
	if again := watchedSince(t, repo); !again.Equal(began) {
		t.Errorf("the watch began at %v, and again at %v", began, again)
	}
	sees["1.0.1"] = watch.Sample{State: watch.Fatal, Detail: "container web is in CrashLoopBackOff", Log: "panic: no database"}
	stands(run("schedule", map[string]any{}, 4*time.Second), lifecycle.Undoing)
	revert := repo.Pulls()[1]
	if revert.State != "merged" || !strings.Contains(revert.Body, "CrashLoopBackOff") || !strings.Contains(revert.Body, "no database") {
		t.Errorf("the revert is %s:\n%s", revert.State, revert.Body)
	}
	repo.SetStatus(revert.MergeSHA, "deploy", "success")
	stands(run("schedule", map[string]any{}, 60*time.Second), lifecycle.Reverted)
	m, err := report.ParseMarker(repo.Pulls()[0].Body)
	if err != nil || m.Over != "reverted" || !strings.Contains(m.Why, "CrashLoopBackOff") {
		t.Errorf("marker %+v, %v", m, err)
	}
	if len(made.keys) != 1 {
		t.Errorf("backups %v, want one", slices.Collect(maps.Keys(made.keys)))
	}
}

// watchedSince reads from belay's comment when the watch began.
func watchedSince(t *testing.T, repo *sandbox.Repository) time.Time {
	t.Helper()
	for _, c := range repo.Pulls()[0].Comments {
		m, err := report.ParseMemory(c.Body)
		if err != nil {
			continue
		}
		var k struct {
			Record struct {
				Entered time.Time `json:"entered"`
			} `json:"record"`
		}
		if err := json.Unmarshal(m, &k); err != nil {
			t.Fatal(err)
		}
		return k.Record.Entered
	}
	t.Fatal("there is no record")
	return time.Time{}
}
