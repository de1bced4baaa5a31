package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// quietUpstream knows every release as a bug fix, and a major one as breaking.
type quietUpstream struct{}

func (quietUpstream) Repository(context.Context, image.Ref, string, string) (string, string, error) {
	return "acme/web", "test", nil
}

func (quietUpstream) ChartRepository(context.Context, pin.Chart) (string, string, error) {
	return "", "", upstream.ErrNotFound
}

func (quietUpstream) Notes(_ context.Context, _ string, _, to version.Tag) (upstream.Notes, error) {
	body := "### Fixed\n\n- a crash when the list is empty"
	if strings.HasSuffix(to.String(), ".0.0") {
		body = "### Breaking changes\n\n- `OLD_SETTING` was removed: set `NEW_SETTING` instead"
	}
	return upstream.Notes{From: "GitHub releases", Releases: []notes.Release{{Tag: to.String(), Body: body}}}, nil
}

func (quietUpstream) ChartVersions(context.Context, pin.Chart) ([]upstream.ChartVersion, error) {
	return nil, upstream.ErrNotFound
}

func (quietUpstream) ChartImages(context.Context, pin.Chart, string) ([]upstream.ChartImage, error) {
	return nil, upstream.ErrNotFound
}

func (quietUpstream) Digest(context.Context, image.Ref, string) (string, error) {
	return "", upstream.ErrNotFound
}

// stack is a service's Terraform.
func stack(image string) string {
	return fmt.Sprintf("resource \"kubernetes_deployment\" \"app\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = %q\n        }\n      }\n    }\n  }\n}\n", image)
}

// record is a log that a test reads.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// TestServeTellsTheStoryInSlack runs belay serve's parts against a stand-in
// GitHub and a stand-in Slack: one message per upgrade, its life in the thread.
func TestServeTellsTheStoryInSlack(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer gh.Close()
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{
		".github/belay.yml":  "apply: { checks: [deploy], timeout: 15m }\nverify: { safe: 1s, caution: 1s, unknown: 1s }\n",
		"stacks/web/main.tf": stack("acme/web:1.0.0"),
		"stacks/big/main.tf": stack("acme/big:1.0.0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	repo.AutoChecks(map[string]string{"ci": "success", "deploy": "success"})
	slack, err := sandbox.NewSlack(sandbox.SlackOptions{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer slack.Close()
	log := &record{}
	run, err := parts{state: t.TempDir(), listen: "127.0.0.1:0", workers: 2, log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		github: github.Options{AppID: gh.AppID(), URL: gh.URL(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }},
		upstream: func(*github.App) func(policy.Policy) (planner.Upstream, error) {
			return func(policy.Policy) (planner.Upstream, error) { return quietUpstream{}, nil }
		},
		diunToken: func() string { return "token" }, webhookSecret: gh.Secret,
		notify: notify.Options{SlackAPI: slack.URL(), SlackChannel: sandbox.SlackChannel, SlackToken: slack.Token},
	}.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		gh.SetWebhook("")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	}()
	gh.SetWebhook(run.url() + "/github/webhook")
	for _, what := range []string{"acme/web:1.0.1", "acme/big:2.0.0"} {
		name, tag, _ := strings.Cut(what, ":")
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, run.url()+"/diun", strings.NewReader(fmt.Sprintf(`{"image":"%s","tag":"%s"}`, name, tag)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("dispatch: HTTP %d", resp.StatusCode)
		}
	}
	story := func(service string) (message string, thread []string, n int) {
		ts := ""
		for _, m := range slack.Messages() {
			if m.Thread == "" && strings.Contains(m.Shown, "*"+service+"*") {
				message, ts = m.Shown, m.TS
				n++
			} else if ts != "" && m.Thread == ts {
				thread = append(thread, m.Shown)
			}
		}
		return message, thread, n
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		web, webThread, _ := story("web")
		big, bigThread, _ := story("big")
		if strings.Contains(web, "Done: applied") && len(webThread) == 4 && strings.Contains(big, "approving review") && len(bigThread) == 1 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never told:\n%s\n%q\n\n%s\n%q\n%s", web, webThread, big, bigThread, log)
		case <-tick.C:
		}
	}
	for _, service := range []string{"web", "big"} {
		message, thread, n := story(service)
		if n != 1 {
			t.Errorf("%d messages about %s", n, service)
		}
		t.Logf("%s\n  %s", message, strings.Join(thread, "\n  "))
	}
	if strings.Contains(log.String(), slack.Token()) {
		t.Error("the token is in the log")
	}
}
