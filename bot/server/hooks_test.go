package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// TestWebhooksThatAreRefused: nothing is woken, and nothing is remembered, so
// that the real one still counts.
func TestWebhooksThatAreRefused(t *testing.T) {
	const body = `{"action":"closed","number":7,"pull_request":{"number":7},"repository":{"full_name":"acme/home-ops","default_branch":"main"}}`
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", value) }
	}
	old := hmac.New(sha1.New, []byte(hookSecret))
	old.Write([]byte(body))
	sha1sum := hex.EncodeToString(old.Sum(nil))
	other := hmac.New(sha256.New, []byte("another secret"))
	other.Write([]byte(body))
	for _, tc := range []struct {
		name, body string
		change     func(*http.Request)
		code       int
		says       string
	}{
		{"not signed", body, func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, "no signature"},
		{"signed with nothing", body, header(""), 401, "no signature"},
		{"signed with another secret", body, header("sha256=" + hex.EncodeToString(other.Sum(nil))), 401, "does not fit"},
		{"another body than was signed", strings.Replace(body, "7", "8", 1), header(sign([]byte(body))), 401, "does not fit"},
		{"a body with one more byte", body + " ", header(sign([]byte(body))), 401, "does not fit"},
		{"signed with SHA-1, in the old header", body, func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+sha1sum)
		}, 401, "no signature"},
		{"signed with SHA-1, in the new header", body, header("sha1=" + sha1sum), 401, "no signature"},
		{"signed without the name of the method", body, header(strings.TrimPrefix(sign([]byte(body)), "sha256=")), 401, "no signature"},
		{"signed with half a sum", body, header(sign([]byte(body))[:39]), 401, "no signature"},
		{"signed with words", body, header("sha256=" + strings.Repeat("z", 64)), 401, "no signature"},
		{"no body", "", nil, 400, "cannot be read"},
		{"half a body", body[:40], nil, 400, "cannot be read"},
		{"text", "hello", nil, 400, "cannot be read"},
		{"a form, as GitHub sends where the webhook is set up so", "payload=%7B%7D", nil, 400, "cannot be read"},
		{"a list", "[]", nil, 400, "cannot be read"},
		{"a number that is a word", strings.Replace(body, `"number":7`, `"number":"seven"`, 1), nil, 400, "cannot be read"},
		{"a repository that is a word", `{"repository":"acme/home-ops"}`, nil, 400, "cannot be read"},
		{"read with GET", body, func(r *http.Request) { r.Method = http.MethodGet }, 405, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGate(t)
			g.upgrades()
			var change []func(*http.Request)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			code, said := g.post("pull_request", "guid-1", tc.body, change...)
			if code != tc.code || !strings.Contains(said, tc.says) {
				t.Errorf("HTTP %d %s, want %d %s", code, said, tc.code, tc.says)
			}
			if woken, _ := g.took(); len(woken) > 0 {
				t.Errorf("woke %v", woken)
			}
			if strings.Contains(said+g.log.String(), hookSecret) || strings.Contains(said+g.log.String(), sign([]byte(tc.body))) {
				t.Errorf("a secret in %s %s", said, g.log)
			}
			if code, _ := g.post("pull_request", "guid-1", body); code != 202 {
				t.Errorf("the real one: HTTP %d", code)
			}
			if woken, _ := g.took(); !slices.Equal(woken, []string{"web"}) {
				t.Errorf("the real one woke %v", woken)
			}
		})
	}
}

func TestWebhookWithoutASecret(t *testing.T) {
	g := newGate(t, func(o *server.Options) { o.WebhookSecret = func() string { return "" } })
	empty := hmac.New(sha256.New, nil)
	empty.Write([]byte("{}"))
	code, said := g.post("ping", "guid-1", "{}", func(r *http.Request) {
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(empty.Sum(nil)))
	})
	if code != 503 || !strings.Contains(said, "BELAY_WEBHOOK_SECRET") {
		t.Errorf("HTTP %d %s", code, said)
	}
}

// endless is a body that does not end, and counts what was read of it.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.n += len(p)
	return len(p), nil
}

// TestHugeWebhooks: no more is read than GitHub sends, and nothing at all of
// what is not signed.
func TestHugeWebhooks(t *testing.T) {
	const limit = 25 << 20
	for _, tc := range []struct {
		name      string
		signature string
		code      int
		read      int // at most
	}{
		{"not signed", "", 401, 0},
		{"signed with something", "sha256=" + strings.Repeat("a", 64), 413, limit + 1<<20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGate(t)
			body := &endless{}
			req := httptest.NewRequest(http.MethodPost, "/github/webhook", body)
			req.Header.Set("X-Hub-Signature-256", tc.signature)
			rec := httptest.NewRecorder()
			g.srv.Handler().ServeHTTP(rec, req)
			if rec.Code != tc.code || body.n > tc.read {
				t.Errorf("HTTP %d after %d bytes, want %d after %d at most", rec.Code, body.n, tc.code, tc.read)
			}
		})
	}
	t.Run("the largest that GitHub sends", func(t *testing.T) {
		g := newGate(t)
		if code, said := g.post("push", "guid-1", `{"ref":"`+strings.Repeat("x", limit-10)+`"}`); code != 202 {
			t.Errorf("HTTP %d %s", code, said)
		}
	})
}

// TestEveryExampleIsTaken sends every example that GitHub gives of the events
// that the App subscribes to, and of those that only the Action knows.
func TestEveryExampleIsTaken(t *testing.T) {
	examples, err := sandbox.WebhookExamples()
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t)
	g.upgrades()
	n := 0
	for _, event := range slices.Sorted(maps.Keys(examples)) {
		for i, body := range examples[event] {
			n++
			if code, said := g.post(event, fmt.Sprintf("%s-%d", event, i), string(body)); code != http.StatusAccepted {
				t.Errorf("%s %d: HTTP %d %s", event, i, code, said)
			}
		}
		t.Logf("%-25s %2d", event, len(examples[event]))
	}
	t.Logf("%d examples of %d events taken", n, len(examples))
	if len(examples) != 15 || n < 110 {
		t.Errorf("%d examples of %d events: some are missing", n, len(examples))
	}
}

// TestWebhooksWake says which upgrades each event has looked at again.
func TestWebhooksWake(t *testing.T) {
	const repo = `"repository":{"full_name":"acme/home-ops","default_branch":"main"}`
	for _, tc := range []struct {
		name, event, body string
		want              []string
	}{
		{"a pull request", "pull_request", `{"action":"closed","number":7,` + repo + `}`, []string{"web"}},
		{"a pull request with the same number elsewhere", "pull_request", `{"action":"closed","number":7,"repository":{"full_name":"bo/things"}}`, []string{"things"}},
		{"a pull request that is none of belay's", "pull_request", `{"action":"closed","number":70,` + repo + `}`, nil},
		{"a repository that belay does not know", "pull_request", `{"action":"closed","number":7,"repository":{"full_name":"eve/x"}}`, nil},
		{"a review", "pull_request_review", `{"action":"submitted","pull_request":{"number":8},` + repo + `}`, []string{"wiki"}},
		{"a comment", "issue_comment", `{"action":"created","issue":{"number":8,"pull_request":{"url":"x"}},` + repo + `}`, []string{"wiki"}},
		{"a comment that was edited", "issue_comment", `{"action":"edited","issue":{"number":8,"pull_request":{"url":"x"}},` + repo + `}`, nil},
		{"a comment on an issue", "issue_comment", `{"action":"created","issue":{"number":8},` + repo + `}`, nil},
		{"a check run of a head", "check_run", `{"action":"completed","check_run":{"head_sha":"` + headA + `"},` + repo + `}`, []string{"web"}},
		{"a check suite of a head", "check_suite", `{"action":"completed","check_suite":{"head_sha":"` + headB + `"},` + repo + `}`, []string{"wiki"}},
		{"a status of a head", "status", `{"sha":"` + headB + `","state":"success",` + repo + `}`, []string{"wiki"}},
		{"a status of a commit that is none of belay's", "status", `{"sha":"` + strings.Repeat("c", 40) + `",` + repo + `}`, nil},
		{"a status of half a commit", "status", `{"sha":"aaaa",` + repo + `}`, nil},
		{"a status without a commit", "status", `{` + repo + `}`, nil},
		{"a push to the default branch", "push", `{"ref":"refs/heads/main",` + repo + `}`, []string{"web", "wiki"}},
		{"a push to another branch", "push", `{"ref":"refs/heads/topic",` + repo + `}`, nil},
		{"a tag named like the default branch", "push", `{"ref":"refs/tags/main",` + repo + `}`, nil},
		{"a repository that was archived", "repository", `{"action":"archived",` + repo + `}`, []string{"web", "wiki"}},
		{"an installation that was suspended", "installation", `{"action":"suspend"}`, []string{"things", "web", "wiki"}},
		{"repositories that were added", "installation_repositories", `{"action":"added","repositories_added":[{"full_name":"acme/home-ops"}]}`, []string{"things", "web", "wiki"}},
		{"a ping", "ping", `{"zen":"Keep it logically awesome.","hook_id":1}`, nil},
		{"an event that belay does not know", "sponsorship", `{"action":"created",` + repo + `}`, nil},
		{"an event without a name", "", `{"action":"closed","number":7,` + repo + `}`, nil},
		{"an event with nothing in it", "pull_request", `{}`, nil},
		{"nulls everywhere", "issue_comment", `{"action":null,"issue":null,"repository":null,"installation":null}`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGate(t)
			g.upgrades()
			if code, said := g.post(tc.event, "guid-1", tc.body); code != http.StatusAccepted {
				t.Errorf("HTTP %d %s", code, said)
			}
			woken, _ := g.took()
			if diff := cmp.Diff(tc.want, woken); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReplayedWebhooks sends the same twice.
func TestACommitThatCIRunsInPlaceOfAMergeWakes(t *testing.T) {
	for state, want := range map[string][]string{"applying": {"merged"}, "undoing": {"merged"}, "watching": nil} {
		g := newGate(t)
		g.upgrades()
		if _, _, err := g.store.CreateUpgrade(t.Context(), store.Upgrade{ID: "merged", Repository: "acme/home-ops", Service: "links", Lane: "links", State: state, Pull: 10, Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		body := `{"sha":"` + strings.Repeat("c", 40) + `","state":"success","repository":{"full_name":"acme/home-ops","default_branch":"main"}}`
		if code, said := g.post("status", "guid-1", body); code != http.StatusAccepted {
			t.Errorf("HTTP %d %s", code, said)
		}
		woken, _ := g.took()
		if diff := cmp.Diff(want, woken); diff != "" {
			t.Errorf("%s: woken (-want +got):\n%s", state, diff)
		}
	}
}

func TestReplayedWebhooks(t *testing.T) {
	const closed = `{"action":"closed","number":7,"repository":{"full_name":"acme/home-ops","default_branch":"main"}}`
	const renamed = `{"action":"renamed","changes":{"repository":{"name":{"from":"home-ops"}}},"repository":{"full_name":"acme/home"}}`
	const back = `{"action":"renamed","changes":{"repository":{"name":{"from":"home"}}},"repository":{"full_name":"acme/home-ops"}}`
	g := newGate(t)
	g.upgrades()
	for _, step := range []struct {
		name, event, guid, body string
		woken                   []string
		repository              string // of web, afterwards
	}{
		{"the first time", "pull_request", "one", closed, []string{"web"}, "acme/home-ops"},
		{"the same delivery again", "pull_request", "one", closed, nil, "acme/home-ops"},
		{"the same delivery with another body", "pull_request", "one", strings.Replace(closed, "closed", "opened", 1), nil, "acme/home-ops"},
		{"the same body as another delivery makes belay look again", "pull_request", "two", closed, []string{"web"}, "acme/home-ops"},
		{"renamed", "repository", "three", renamed, []string{"web", "wiki"}, "acme/home"},
		{"renamed back", "repository", "four", back, []string{"web", "wiki"}, "acme/home-ops"},
		{"the old renaming again", "repository", "three", renamed, nil, "acme/home-ops"},
		{"the old renaming under another id", "repository", "five", renamed, nil, "acme/home-ops"},
		{"without an id", "pull_request", "", closed, []string{"web"}, "acme/home-ops"},
		{"without an id again", "pull_request", "", closed, []string{"web"}, "acme/home-ops"},
	} {
		if code, said := g.post(step.event, step.guid, step.body); code != http.StatusAccepted {
			t.Errorf("%s: HTTP %d %s", step.name, code, said)
		}
		woken, _ := g.took()
		if diff := cmp.Diff(step.woken, woken); diff != "" {
			t.Errorf("%s: woken (-want +got):\n%s", step.name, diff)
		}
		if u, err := g.store.Upgrade(t.Context(), "web"); err != nil || u.Repository != step.repository {
			t.Errorf("%s: web is in %s, %v", step.name, u.Repository, err)
		}
	}
}

// TestWebhookThatCouldNotBeTaken is not remembered: GitHub's log has it, and it
// counts when it is sent again.
func TestWebhookThatCouldNotBeTaken(t *testing.T) {
	const body = `{"action":"closed","number":7,"repository":{"full_name":"acme/home-ops"}}`
	g := newGate(t)
	g.upgrades()
	g.broken = errors.New("the queue is away")
	if code, said := g.post("pull_request", "one", body); code != http.StatusServiceUnavailable || !strings.Contains(said, "send it again") || strings.Contains(said, "queue") {
		t.Errorf("HTTP %d %s", code, said)
	}
	g.broken = nil
	if code, _ := g.post("pull_request", "one", body); code != http.StatusAccepted {
		t.Errorf("again: HTTP %d", code)
	}
	if woken, _ := g.took(); !slices.Equal(woken, []string{"web"}) {
		t.Errorf("woke %v", woken)
	}
}

// TestRepositoryDispatch takes a dispatch in the three forms of SPEC section 3.
func TestRepositoryDispatch(t *testing.T) {
	const full = `{"diun_version":"4.31.0","hostname":"node-1","status":"new","provider":"kubernetes","image":"docker.io/vaultwarden/server:1.35.8","hub_link":"","mime_type":"","digest":"","created":"2026-03-26T12:23:56Z","platform":"linux/amd64"}`
	for _, tc := range []struct {
		name, action, payload string
		event                 string // that belay listens to; "" is diun
		want                  string // image and tag
		warns                 string
	}{
		{"DIUN's own form", "diun", full, "", "docker.io/vaultwarden/server 1.35.8", ""},
		{"the flattened form", "diun", `{"diun_entry_status":"new","diun_entry_image":"vaultwarden/server","diun_entry_imagetag":"1.35.8","diun_entry_provider":"kubernetes"}`, "", "docker.io/vaultwarden/server 1.35.8", ""},
		{"the minimal form", "diun", `{"image":"vaultwarden/server","tag":"1.35.8"}`, "", "docker.io/vaultwarden/server 1.35.8", ""},
		{"another event type", "deploy", `{"image":"vaultwarden/server","tag":"1.35.8"}`, "", "", "left alone"},
		{"DIUN's event type where another one is configured", "diun", `{"image":"vaultwarden/server","tag":"1.35.8"}`, "deploy", "", "left alone"},
		{"another event type that is configured", "deploy", `{"image":"vaultwarden/server","tag":"1.35.8"}`, "deploy", "docker.io/vaultwarden/server 1.35.8", ""},
		{"no tag", "diun", `{"image":"vaultwarden/server"}`, "", "", "tag"},
		{"no payload", "diun", `null`, "", "", "refused"},
		{"a payload that is text", "diun", `"vaultwarden/server:1.35.8"`, "", "", "refused"},
		{"an image that would break out", "diun", `{"image":"vaultwarden/server;rm","tag":"1.35.8"}`, "", "", "refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGate(t, func(o *server.Options) {
				if tc.event != "" {
					o.Event = func(_ context.Context, repository string) (string, error) {
						if repository != "acme/home-ops" {
							t.Errorf("asked of %q", repository)
						}
						return tc.event, nil
					}
				}
			})
			body := fmt.Sprintf(`{"action":%q,"branch":"main","client_payload":%s,"repository":{"full_name":"acme/home-ops"}}`, tc.action, tc.payload)
			for _, guid := range []string{"one", "one", "two"} { // sent again, and said again
				if code, said := g.post("repository_dispatch", guid, body); code != http.StatusAccepted {
					t.Errorf("HTTP %d %s", code, said)
				}
			}
			list, err := g.store.Dispatches(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range list {
				got = append(got, d.Image+" "+d.Tag)
				if d.Source != "repository_dispatch" || d.Repository != "acme/home-ops" {
					t.Errorf("%+v", d)
				}
			}
			want := []string(nil)
			if tc.want != "" {
				want = []string{tc.want}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(g.dispatched) != len(want) {
				t.Errorf("%d planned; stored (-want +got):\n%s", len(g.dispatched), diff)
			}
			if !strings.Contains(g.log.String(), tc.warns) {
				t.Errorf("the log says %q, want something about %q", g.log, tc.warns)
			}
		})
	}
}

// FuzzWebhook: whatever is signed is taken or refused; it breaks nothing.
func FuzzWebhook(f *testing.F) {
	examples, err := sandbox.WebhookExamples()
	if err != nil {
		f.Fatal(err)
	}
	for event, list := range examples {
		f.Add(event, []byte(list[0]))
	}
	g := newGate(f, func(o *server.Options) { o.Log = slog.New(slog.DiscardHandler) })
	for _, u := range []string{"web", "wiki"} {
		if _, _, err := g.store.CreateUpgrade(context.Background(), store.Upgrade{ID: u, Repository: "acme/home-ops", Service: u, Lane: u, State: "open", Pull: len(u), Data: []byte(`{"head":"` + headA + `"}`)}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "/github/webhook", bytes.NewReader(body))
		req.Header["X-Github-Event"] = []string{event}
		req.Header.Set("X-Hub-Signature-256", sign(body))
		rec := httptest.NewRecorder()
		g.srv.Handler().ServeHTTP(rec, req)
		valid := json.Valid(body)
		if rec.Code != http.StatusAccepted && rec.Code != http.StatusBadRequest || rec.Code == http.StatusAccepted && !valid {
			t.Errorf("%q: HTTP %d %s", body, rec.Code, rec.Body)
		}
	})
}
