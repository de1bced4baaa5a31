package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

const tokens = "POST /app/installations/{installation_id}/access_tokens"

// TestTokensAreSharedAndRenewed counts the tokens that five requests need.
func TestTokensAreSharedAndRenewed(t *testing.T) {
	for _, tc := range []struct {
		name string
		life time.Duration
		want int
	}{
		{"a token that lives an hour serves all", time.Hour, 1},
		{"a token that would end within the minute is renewed before it ends", 50 * time.Second, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{TokenLife: tc.life})
			for range 5 {
				if _, err := w.home().DefaultBranch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := w.gh.Calls()[tokens]; n != tc.want {
				t.Errorf("%d tokens, want %d", n, tc.want)
			}
			for _, line := range w.wire.take() {
				if strings.HasSuffix(line, " 401") {
					t.Errorf("a token had ended: %s", line)
				}
			}
		})
	}
}

// TestOneTokenForManyAtOnce: a token is asked for once, however many wait for it.
func TestOneTokenForManyAtOnce(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := w.app.Repository(t.Context(), "acme/home-ops")
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := r.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.gh.Calls()[tokens]; n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// TestSeveralInstallations has one server work for two owners with three repositories.
func TestSeveralInstallations(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for _, name := range []string{"acme/infra", "bo/things"} {
		owner, repo, _ := strings.Cut(name, "/")
		if _, err := w.gh.AddRepository(owner, repo, map[string]string{"a": name}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.app.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"acme/home-ops", "acme/infra", "bo/things"}, got); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for _, name := range append(got, "ACME/Infra") {
		r, err := w.app.Repository(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		token, err := r.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen[token] = true
		if _, err := r.DefaultBranch(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d tokens for two installations", len(seen))
	}
	w.gh.Suspend("bo", true)
	if got, err := w.app.Installed(t.Context()); err != nil || len(got) != 2 || slices.Contains(got, "bo/things") {
		t.Errorf("while one is suspended: %v, %v", got, err)
	}
}

// TestInstalledPages: an owner may have more repositories than fit on a page.
func TestInstalledPages(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred repositories take some seconds to make: left out by -short")
	}
	w := newWorld(t, sandbox.Options{})
	for i := range 100 {
		if _, err := w.gh.AddRepository("acme", "r"+strings.Repeat("x", i), map[string]string{"a": "b"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.app.Installed(t.Context())
	if err != nil || len(got) != 101 {
		t.Errorf("%d repositories, %v", len(got), err)
	}
}

// TestAccessLostAndFound takes the App's access away in every way that GitHub
// has. Each is ErrNoAccess, and over when GitHub gives the access back.
func TestAccessLostAndFound(t *testing.T) {
	for _, tc := range []struct {
		name      string
		away      func(w *world)
		back      func(w *world)
		forgotten bool // before the next try, as a webhook says
	}{
		{"suspended", func(w *world) { w.gh.Suspend("acme", true) }, func(w *world) { w.gh.Suspend("acme", false) }, false},
		{"suspended, and a webhook says so", func(w *world) { w.gh.Suspend("acme", true) }, func(w *world) { w.gh.Suspend("acme", false) }, true},
		{"uninstalled", func(w *world) { w.gh.Uninstall("acme") }, func(w *world) { w.gh.Install("acme") }, false},
		{"uninstalled, and a webhook says so", func(w *world) { w.gh.Uninstall("acme") }, func(w *world) { w.gh.Install("acme") }, true},
		{"left out of the installation, and a webhook says so", func(w *world) { w.repo.SetInstalled(false) }, func(w *world) { w.repo.SetInstalled(true) }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			ask := func() error {
				r, err := w.app.Repository(t.Context(), "acme/home-ops")
				if err != nil {
					return err
				}
				_, err = r.DefaultBranch(t.Context())
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			tc.away(w)
			if tc.forgotten {
				w.app.Forget("acme/home-ops")
			}
			for range 2 {
				if err := ask(); !errors.Is(err, github.ErrNoAccess) || !strings.Contains(err.Error(), "acme/home-ops") {
					t.Fatalf("while it is away: %v", err)
				}
			}
			tc.back(w)
			if err := ask(); err != nil {
				t.Errorf("after it came back: %v", err)
			}
		})
	}
}

// TestTokenRevoked: a token that GitHub no longer takes costs one refusal.
func TestTokenRevoked(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	if _, err := w.home().DefaultBranch(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.gh.ExpireTokens()
	if _, err := w.home().DefaultBranch(t.Context()); !errors.Is(err, github.ErrNoAccess) {
		t.Errorf("got %v, want ErrNoAccess", err)
	}
	if _, err := w.home().DefaultBranch(t.Context()); err != nil {
		t.Errorf("the next time: %v", err)
	}
}

// TestKeyChanges: the key is asked for anew, so that it may be changed while
// belay runs.
func TestKeyChanges(t *testing.T) {
	w := newWorld(t, sandbox.Options{TokenLife: 50 * time.Second}) // every request asks for a token
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	wrong := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)})
	key, failed := w.gh.PrivateKey(), error(nil)
	app, err := github.New(github.Options{AppID: w.gh.AppID(), Key: func() ([]byte, error) { return key, failed }, URL: w.gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Repository(t.Context(), "acme/home-ops")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		key    []byte
		failed error
		says   string
	}{
		{"the right key", w.gh.PrivateKey(), nil, ""},
		{"a key that GitHub does not know", wrong, nil, "no access"},
		{"a file that is no key", []byte("hello"), nil, "PEM file that GitHub made"},
		{"a file that is gone", nil, errors.New("open app.pem: no such file"), "app.pem"},
		{"the right key again", w.gh.PrivateKey(), nil, ""},
	} {
		key, failed = tc.key, tc.failed
		_, err := r.Token(t.Context())
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.says)
		}
	}
}
