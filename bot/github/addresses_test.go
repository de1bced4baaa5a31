package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/github"
)

// TestAddresses gives --github-url and --github-api in the forms that people
// have, and looks where the requests go.
func TestAddresses(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for _, tc := range []struct {
		name, url, api         string
		rest, graphql, git, pr string
	}{
		{"github.com", "", "", "https://api.github.com/app", "https://api.github.com/graphql", "https://github.com/acme/web.git", "https://github.com/acme/web/pull/7"},
		{"github.com, said aloud", "https://github.com/", "", "https://api.github.com/app", "https://api.github.com/graphql", "https://github.com/acme/web.git", "https://github.com/acme/web/pull/7"},
		{"Enterprise Server", "https://github.example.org", "", "https://github.example.org/api/v3/app", "https://github.example.org/api/graphql", "https://github.example.org/acme/web.git", "https://github.example.org/acme/web/pull/7"},
		{"Enterprise Server with a slash", "https://github.example.org/", "", "https://github.example.org/api/v3/app", "https://github.example.org/api/graphql", "https://github.example.org/acme/web.git", "https://github.example.org/acme/web/pull/7"},
		{"Enterprise Server on a port", "http://github.example.org:8443", "", "http://github.example.org:8443/api/v3/app", "http://github.example.org:8443/api/graphql", "http://github.example.org:8443/acme/web.git", "http://github.example.org:8443/acme/web/pull/7"},
		{"Enterprise Cloud with data residency", "https://acme.ghe.com", "", "https://api.acme.ghe.com/app", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com/acme/web.git", "https://acme.ghe.com/acme/web/pull/7"},
		{"an API of its own", "https://github.example.org", "https://api.example.org/api/v3/", "https://api.example.org/api/v3/app", "https://api.example.org/api/graphql", "https://github.example.org/acme/web.git", "https://github.example.org/acme/web/pull/7"},
		{"a proxy before github.com", "", "http://proxy.example.org/github", "http://proxy.example.org/github/app", "http://proxy.example.org/github/graphql", "https://github.com/acme/web.git", "https://github.com/acme/web/pull/7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := &addresses{}
			app, err := github.New(github.Options{AppID: 7, URL: tc.url, API: tc.api, HTTP: asked, Key: func() ([]byte, error) { return data, nil }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := app.Slug(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := app.Repository(t.Context(), "acme/web")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = r.Pull(t.Context(), 7)
			rest := strings.TrimSuffix(tc.rest, "app")
			for _, want := range []string{tc.rest, tc.graphql, rest + "repos/acme/web/installation", rest + "app/installations/9/access_tokens"} {
				if !asked.has(want) {
					t.Errorf("nothing went to %s but to %v", want, asked.all)
				}
			}
			if r.URL() != tc.git || r.PullURL(7) != tc.pr {
				t.Errorf("git at %s, pull request at %s", r.URL(), r.PullURL(7))
			}
		})
	}
}

// TestAddressesThatAreNone are refused before anything is asked.
func TestAddressesThatAreNone(t *testing.T) {
	for _, tc := range []struct{ name, url, api, says string }{
		{"a host alone", "github.example.org", "", `--github-url "github.example.org" is not a URL`},
		{"another protocol", "ssh://git@github.example.org", "", "--github-url"},
		{"nothing but a protocol", "https://", "", "--github-url"},
		{"an API that is none", "", "api", `--github-api "api" is not a URL`},
		{"credentials in the address", "https://bo:hunter2@github.example.org", "", "holds credentials"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := github.New(github.Options{URL: tc.url, API: tc.api})
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want something about %q", err, tc.says)
			}
		})
	}
}

func TestRepositoryNames(t *testing.T) {
	app, err := github.New(github.Options{Key: func() ([]byte, error) { t.Error("GitHub was asked"); return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "acme", "/web", "acme/", "acme/web/x", "acme/web?x", "ac#me/web"} {
		if _, err := app.Repository(t.Context(), name); err == nil || !strings.Contains(err.Error(), "owner/name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// addresses answers like a GitHub that knows one installation, and remembers
// where it was asked.
type addresses struct {
	mu  sync.Mutex
	all []string
}

func (a *addresses) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, req.URL.String())
	switch {
	case strings.HasSuffix(req.URL.Path, "/installation"):
		return says(req, 200, `{"id":9}`), nil
	case strings.HasSuffix(req.URL.Path, "/access_tokens"):
		return says(req, 201, `{"token":"t","expires_at":"2099-01-01T00:00:00Z"}`), nil
	case strings.HasSuffix(req.URL.Path, "/graphql"):
		return says(req, 200, `{"data":null}`), nil
	}
	return says(req, 200, `{"slug":"belay"}`), nil
}

func (a *addresses) has(want string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.all {
		if u == want {
			return true
		}
	}
	return false
}
