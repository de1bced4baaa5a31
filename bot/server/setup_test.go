package server_test

import (
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
)

// newcomer is a person with a browser, before a belay that is not set up.
type newcomer struct {
	*testing.T
	gh    *sandbox.GitHub
	setup *server.Setup
	url   string
	now   time.Time
	saved []github.Created
	fail  error
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{T: t, now: time.Now()}
	var err error
	n.gh, err = sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.gh.Close() })
	n.setup = server.NewSetup(server.SetupOptions{GitHub: github.Options{URL: n.gh.URL()}, Token: "t0ken", Now: func() time.Time { return n.now }, Log: slog.New(slog.DiscardHandler),
		Save: func(_ context.Context, c github.Created) (string, error) {
			if n.fail != nil {
				return "", n.fail
			}
			n.saved = append(n.saved, c)
			return "the directory belay-state/credentials", nil
		}})
	s := httptest.NewServer(n.setup.Handler())
	t.Cleanup(s.Close)
	n.url = s.URL
	return n
}

// read takes an answer's status and text.
func (n *newcomer) read(resp *http.Response, err error) (int, string) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (n *newcomer) get(path string) (int, string) {
	n.Helper()
	return n.read(http.Get(n.url + path))
}

func (n *newcomer) post(form url.Values) (int, string) {
	n.Helper()
	return n.read(http.PostForm(n.url+"/setup", form))
}

var (
	action   = regexp.MustCompile(`action="(http[^"]+)"`)
	manifest = regexp.MustCompile(`name="manifest" value="([^"]*)"`)
)

// agree posts the manifest to GitHub as the page's form does, and returns where
// GitHub sends the browser.
func (n *newcomer) agree(page string) *url.URL {
	n.Helper()
	to, text := action.FindStringSubmatch(page), manifest.FindStringSubmatch(page)
	if to == nil || text == nil {
		n.Fatalf("the page has no form for GitHub:\n%s", page)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(html.UnescapeString(to[1]), url.Values{"manifest": {html.UnescapeString(text[1])}})
	if err != nil {
		n.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		n.Fatalf("GitHub answers %d", resp.StatusCode)
	}
	return back
}

func form(changes ...string) url.Values {
	v := url.Values{"token": {"t0ken"}, "url": {"https://belay.example.org"}, "name": {"belay-acme"}}
	for i := 0; i+1 < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
	}
	return v
}

func TestSetupFromNothingToTheCredentials(t *testing.T) {
	for _, organization := range []string{"", "acme"} {
		n := newNewcomer(t)
		if code, page := n.get("/setup"); code != http.StatusOK || !strings.Contains(page, "Token from belay's log") {
			t.Errorf("without a token: %d\n%s", code, page)
		}
		if _, page := n.get("/setup"); !strings.Contains(page, `<form method="post" action="/setup">`) || strings.Contains(page, `method="get"`) {
			t.Errorf("the token that is typed goes into the address:\n%s", page)
		}
		if code, page := n.post(url.Values{"token": {"t0ken"}}); code != http.StatusOK || !strings.Contains(page, "Pull requests: read and write") {
			t.Errorf("with the token typed: %d\n%s", code, page)
		}
		code, page := n.get("/setup?token=t0ken")
		if code != http.StatusOK || !strings.Contains(page, "Pull requests: read and write") || !strings.Contains(page, "repository_dispatch") {
			t.Errorf("with the token: %d\n%s", code, page)
		}
		code, page = n.post(form("organization", organization))
		if code != http.StatusOK || organization != "" != strings.Contains(page, "/organizations/acme/settings/apps/new") {
			t.Fatalf("%d\n%s", code, page)
		}
		back := n.agree(page)
		if back.Host != "belay.example.org" || back.Path != "/setup/done" {
			t.Errorf("GitHub sends the person to %s", back)
		}
		code, page = n.get(back.RequestURI())
		if code != http.StatusOK {
			t.Fatalf("%d\n%s", code, page)
		}
		for _, want := range []string{"/apps/belay/installations/new", "DIUN_NOTIF_WEBHOOK_ENDPOINT=https://belay.example.org/diun", "belay doctor", "belay-state/credentials"} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the last page\n%s", want, page)
			}
		}
		for _, secret := range []string{"PRIVATE KEY", n.gh.Secret()} {
			if strings.Contains(page, secret) {
				t.Error("a secret is on the page")
			}
		}
		<-n.setup.Done()
		if len(n.saved) != 1 || n.saved[0].Key != string(n.gh.PrivateKey()) || n.saved[0].WebhookSecret != n.gh.Secret() {
			t.Error("other credentials are kept than GitHub's")
		}
		if code, _ := n.get(back.RequestURI()); code != http.StatusForbidden {
			t.Errorf("the way back is good twice: %d", code)
		}
		for name, again := range map[string]func() (int, string){
			"the address of the log": func() (int, string) { return n.get("/setup?token=t0ken") },
			"no token":               func() (int, string) { return n.get("/setup") },
			"the token typed":        func() (int, string) { return n.post(url.Values{"token": {"t0ken"}}) },
			"the form":               func() (int, string) { return n.post(form()) },
		} {
			if code, page := again(); code != http.StatusGone || !strings.Contains(page, "has its GitHub App already") || strings.Contains(page, "Begin again") {
				t.Errorf("afterwards, %s: HTTP %d\n%s", name, code, page)
			}
		}
	}
}

func TestSetupIsForWhoHasTheTokenAlone(t *testing.T) {
	n := newNewcomer(t)
	for _, tc := range []struct {
		name string
		code int
		do   func() (int, string)
	}{
		{"another token", http.StatusForbidden, func() (int, string) { return n.get("/setup?token=guessed") }},
		{"another token typed", http.StatusForbidden, func() (int, string) { return n.post(url.Values{"token": {"guessed"}}) }},
		{"a form without the token", http.StatusForbidden, func() (int, string) { return n.post(form("token", "")) }},
		{"a form with another", http.StatusForbidden, func() (int, string) { return n.post(form("token", "guessed")) }},
		{"a way back that nobody began", http.StatusForbidden, func() (int, string) { return n.get("/setup/done?code=x&state=y") }},
		{"a way back without a state", http.StatusForbidden, func() (int, string) { return n.get("/setup/done?code=x") }},
		{"an address with credentials", http.StatusUnprocessableEntity, func() (int, string) { return n.post(form("url", "https://a:b@belay.example.org")) }},
		{"no address", http.StatusUnprocessableEntity, func() (int, string) { return n.post(form("url", "javascript:alert(1)")) }},
		{"an organisation that is a path", http.StatusUnprocessableEntity, func() (int, string) { return n.post(form("organization", "../x")) }},
		{"a name that is too long", http.StatusUnprocessableEntity, func() (int, string) { return n.post(form("name", strings.Repeat("x", 35))) }},
		{"a dispatch meanwhile", http.StatusServiceUnavailable, func() (int, string) {
			return n.read(http.Post(n.url+"/diun", "application/json", strings.NewReader("{}")))
		}},
		{"alive", http.StatusOK, func() (int, string) { return n.get("/healthz") }},
		{"ready for traffic", http.StatusOK, func() (int, string) { return n.get("/readyz") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, page := tc.do()
			if code != tc.code {
				t.Errorf("HTTP %d, want %d", code, tc.code)
			}
			if strings.Contains(page, `name="manifest"`) || strings.Contains(page, "t0ken") && code == http.StatusForbidden {
				t.Errorf("a stranger sees\n%s", page)
			}
		})
	}
	if len(n.saved) > 0 {
		t.Error("a stranger has set belay up")
	}
}

func TestSetupCanBeBegunAgain(t *testing.T) {
	n := newNewcomer(t)
	_, page := n.post(form())
	back := n.agree(page)
	n.now = n.now.Add(61 * time.Minute)
	if code, _ := n.get(back.RequestURI()); code != http.StatusForbidden {
		t.Errorf("after an hour: HTTP %d", code)
	}
	_, page = n.post(form())
	back = n.agree(page)
	q := back.Query()
	q.Set("code", "of-somebody-else")
	if code, page := n.get("/setup/done?" + q.Encode()); code != http.StatusBadGateway || !strings.Contains(page, "begin again") {
		t.Errorf("a wrong code: HTTP %d\n%s", code, page)
	}
	n.fail = errors.New("disk full")
	_, page = n.post(form())
	if code, page := n.get(n.agree(page).RequestURI()); code != http.StatusInternalServerError || !strings.Contains(page, "Delete it on GitHub") {
		t.Errorf("the credentials could not be kept: HTTP %d\n%s", code, page)
	}
	n.fail = nil
	_, page = n.post(form())
	if code, _ := n.get(n.agree(page).RequestURI()); code != http.StatusOK {
		t.Errorf("once more: HTTP %d", code)
	}
	<-n.setup.Done()
}
