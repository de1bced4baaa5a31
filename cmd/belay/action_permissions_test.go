package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// permissionsOf are the permissions with which an example workflow acts: its
// job's, or those that it asks an App's token for.
func permissionsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Jobs map[string]struct {
			Permissions map[string]string `yaml:"permissions"`
			Steps       []struct {
				With map[string]string `yaml:"with"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err := yaml.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, job := range w.Jobs {
		asked := maps.Clone(job.Permissions)
		for _, s := range job.Steps {
			for name, level := range s.With {
				if key, ok := strings.CutPrefix(name, "permission-"); ok {
					if len(job.Permissions) > 0 {
						t.Errorf("%s: permissions for two tokens", file)
					}
					if asked == nil {
						asked = map[string]string{}
					}
					asked[key] = level
				}
			}
		}
		for key, level := range asked {
			out[strings.ReplaceAll(key, "-", "_")] = level
		}
	}
	return out
}

// TestExamplesHaveTheLeastPermissions: an example's permissions are what its runs
// ask GitHub for, no less and no more.
func TestExamplesHaveTheLeastPermissions(t *testing.T) {
	short := map[string]string{"time-limit": "5s"}
	upgrades := func(w *workflows) []ran {
		all := []ran{w.dispatch("acme/web", "1.0.1", nil), w.comment(1, "ana", "/upgrade status", nil)}
		w.green(w.pull(1).Head)
		all = append(all, w.schedule(short))
		if p := w.pull(1); p.State != "merged" {
			t.Errorf("it is %s", p.State)
		}
		w.green(w.pull(1).MergeSHA)
		return append(all, w.schedule(short), w.comment(1, "ana", "/upgrade rollback", short), w.dispatch("acme/data", "2.0.1", short))
	}
	risk := func(w *workflows) []ran {
		n := w.propose("renovate[bot]", "topic", false, map[string]string{"stacks/web/main.tf": stackOf("acme/web:3.0.0")})
		out := []ran{w.opened("pull_request", n, nil)}
		if c, ok := checkOf(w.pull(n), "belay/risk"); !ok {
			t.Errorf("the check is not there: %+v", c)
		}
		return out
	}
	column := map[string]int{"belay.yml": 1, "schedule.yml": 1, "risk.yml": 2}
	for file, runs := range map[string]func(*workflows) []ran{"belay.yml": upgrades, "schedule.yml": upgrades, "risk.yml": risk} {
		t.Run(file, func(t *testing.T) {
			given := permissionsOf(t, file)
			w := newWorkflows(t, nil)
			w.token = w.repo.LimitedToken(given)
			for i, r := range runs(w) {
				if r.code != 0 || strings.Contains(r.logs+r.summary, "not accessible") || strings.Contains(r.summary, "was not written") {
					t.Errorf("run %d ended with %d\n%s\n%s", i+1, r.code, r.logs, r.summary)
				}
			}
			if used := w.gh.Used(w.token); !maps.Equal(used, given) {
				t.Errorf("it is given %v and uses %v", given, used)
			}
			if doc := documented(t, column[file]); !maps.Equal(doc, given) {
				t.Errorf("it is given %v, and docs/action.md says %v", given, doc)
			}
		})
	}
	examples, err := filepath.Glob("../../docs/examples/*.yml")
	if err != nil || len(examples) != len(column) {
		t.Errorf("%d examples, of which %d are looked at: %v", len(examples), len(column), err)
	}
}

// documented are the permissions in a column of docs/action.md.
func documented(t *testing.T, column int) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../docs/action.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(data), "| | to upgrade | to judge alone |\n")
	if !ok {
		t.Fatal("docs/action.md has no table of permissions")
	}
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z-]+) \| ([a-z]*)[^|]*\| ([a-z]*)[^|]*\|$`).FindAllStringSubmatch(table, -1) {
		if level := m[1+column]; level != "" {
			out[strings.ReplaceAll(m[1], "-", "_")] = level
		}
	}
	return out
}
