// Command action-bench prints how long one run of the Action takes for a
// dispatch, from the start of the process to the open pull request: on loopback,
// with nothing from before, in a repository of 1,600 files and 5,000 commits.
//
//	go run ./hack/action-bench
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
)

const (
	services = 200
	perStack = 8
	commits  = 5000
	runs     = 7
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "action-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "belay-action")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/belay-action").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: filepath.Join(dir, "github")})
	if err != nil {
		return err
	}
	defer func() { _ = gh.Close() }()
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{"README.md": "home\n"})
	if err != nil {
		return err
	}
	if err := fill(repo); err != nil {
		return err
	}
	up, err := gh.AddUpstream("proj", "app", map[string]string{"README.md": "app\n"})
	if err != nil {
		return err
	}
	repo.AutoChecks(map[string]string{"ci": "pending"})
	var took []time.Duration
	for i := range runs {
		if err := up.Release(fmt.Sprintf("1.0.%d", i+1), "### Fixed\n\n- a crash"); err != nil {
			return err
		}
		d, err := dispatch(binary, dir, gh, repo, i)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	if n := len(repo.Pulls()); n != runs {
		return fmt.Errorf("%d pull requests, not %d", n, runs)
	}
	slices.Sort(took)
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	fmt.Printf("%d files, %d commits; the program has %d MB\n%d runs of the Action, dispatch to open pull request: fastest %v, median %v, slowest %v\n", services*perStack, commits, info.Size()>>20,
		runs, took[0].Round(time.Millisecond), took[runs/2].Round(time.Millisecond), took[runs-1].Round(time.Millisecond))
	return nil
}

// fill gives the repository its files and its history.
func fill(repo *sandbox.Repository) error {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2)) // the same every time
	for i := range commits {
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter ana <ana@users.noreply.github.com> %d +0000\ndata 5\nwork\n\n", 1_600_000_000+i*3600)
		file := func(k int) {
			name, text := fmt.Sprintf("stacks/s%03d/f%d.tf", k/perStack, k%perStack), fmt.Sprintf("locals {\n  n = %d\n}\n%s", r.Int(), strings.Repeat("# what it is for\n", 60))
			if k%perStack == 0 {
				text += fmt.Sprintf("resource \"kubernetes_deployment\" \"app\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = \"acme/app%03d:1.0.0\"\n        }\n      }\n    }\n  }\n}\n", k/perStack)
			}
			fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
		if i > 0 {
			file(r.IntN(services * perStack))
			continue
		}
		for k := range services * perStack {
			file(k)
		}
		var sources strings.Builder
		for k := range services {
			fmt.Fprintf(&sources, "  docker.io/acme/app%03d: proj/app\n", k)
		}
		config := "services: { roots: [\"stacks/*\"] }\ndispatch: { limit: { upgrades: 100, window: 6h } }\nsources:\n" + sources.String()
		fmt.Fprintf(&b, "M 100644 inline .github/belay.yml\ndata %d\n%s\n", len(config), config)
	}
	for _, args := range [][]string{{"fast-import", "--quiet", "--force"}, {"gc", "--quiet"}} {
		cmd := exec.Command("git", append([]string{"-C", repo.Dir()}, args...)...)
		cmd.Stdin = bytes.NewReader(b.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// dispatch runs the Action for one dispatch, with nothing left of the run before.
func dispatch(binary, dir string, gh *sandbox.GitHub, repo *sandbox.Repository, i int) (time.Duration, error) {
	event, err := json.Marshal(map[string]any{"action": "diun", "client_payload": map[string]any{"image": fmt.Sprintf("acme/app%03d", i), "tag": fmt.Sprintf("1.0.%d", i+1)}})
	if err != nil {
		return 0, err
	}
	path := filepath.Join(dir, "event.json")
	if err := os.WriteFile(path, event, 0o600); err != nil {
		return 0, err
	}
	cmd := exec.Command(binary, "action", "--upstream-api", gh.URL()+"/api/v3")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "RUNNER_TEMP=" + dir, "GITHUB_EVENT_NAME=repository_dispatch", "GITHUB_EVENT_PATH=" + path,
		"GITHUB_REPOSITORY=" + repo.FullName(), "GITHUB_SERVER_URL=" + gh.URL(), "GITHUB_API_URL=" + gh.URL() + "/api/v3", "GITHUB_RUN_ID=1", "INPUT_TOKEN=" + repo.WorkflowToken(), "INPUT_WAIT=0s"}
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("belay action: %w\n%s", err, out)
	}
	return time.Since(begun), nil
}
