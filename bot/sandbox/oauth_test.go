package sandbox_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// signIn goes through GitHub's page as a browser does, and returns the way back.
func signIn(t *testing.T, address string) url.Values {
	t.Helper()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("GitHub answers %s, to %q", resp.Status, resp.Header.Get("Location"))
	}
	return back.Query()
}

// browsers has people sign in and out, and asks what they may see.
func browsers(t *testing.T, gh *sandbox.GitHub, a *github.App) {
	t.Helper()
	ctx := t.Context()
	s := github.SignIn{ClientID: gh.ClientID(), Secret: gh.ClientSecret, Callback: "https://belay.example.org/signin/callback"}
	gh.SetCallback(s.Callback)
	gh.SignIn("bo")
	defer gh.SignIn("")
	verifier := oauth2.GenerateVerifier()
	back := signIn(t, a.SignInURL(s, "state-1", verifier))
	if back.Get("state") != "state-1" {
		t.Errorf("the state comes back as %q", back.Get("state"))
	}
	if _, err := a.Exchange(ctx, s, back.Get("code"), oauth2.GenerateVerifier()); !errors.Is(err, github.ErrSignIn) {
		t.Errorf("another's verifier: %v", err)
	}
	back = signIn(t, a.SignInURL(s, "state-2", verifier))
	token, err := a.Exchange(ctx, s, back.Get("code"), verifier)
	if err != nil || token.Until.IsZero() {
		t.Fatalf("%v, until %s", err, token.Until)
	}
	if _, err := a.Exchange(ctx, s, back.Get("code"), verifier); !errors.Is(err, github.ErrSignIn) || strings.Contains(err.Error(), back.Get("code")) {
		t.Errorf("the same code again: %v", err)
	}
	if login, err := a.Whose(ctx, token.Secret); err != nil || login != "bo" {
		t.Errorf("it is %q, %v", login, err)
	}
	reach, err := a.Reach(ctx, token.Secret)
	if err != nil || len(reach) == 0 {
		t.Errorf("bo reaches %v, %v", reach, err)
	}
	for name, may := range reach {
		if may {
			t.Errorf("bo may write to %s", name)
		}
	}
	for range 2 { // twice is once
		if err := a.Revoke(ctx, s, token.Secret); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Whose(ctx, token.Secret); !errors.Is(err, github.ErrSignIn) {
		t.Errorf("after signing out: %v", err)
	}
}

func TestSignIn(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{})
	repo.SetPermission("mallory", "none")
	a := app(t, gh)
	browsers(t, gh, a)
	s := github.SignIn{ClientID: gh.ClientID(), Secret: gh.ClientSecret, Callback: "https://belay.example.org/signin/callback"}
	token := func(login string) string {
		t.Helper()
		gh.SignIn(login)
		verifier := oauth2.GenerateVerifier()
		got, err := a.Exchange(t.Context(), s, signIn(t, a.SignInURL(s, "x", verifier)).Get("code"), verifier)
		if err != nil {
			t.Fatal(err)
		}
		return got.Secret
	}
	if reach, err := a.Reach(t.Context(), token("ana")); err != nil || !reach[repo.FullName()] {
		t.Errorf("ana reaches %v, %v", reach, err)
	}
	if reach, err := a.Reach(t.Context(), token("mallory")); err != nil || len(reach) != 0 {
		t.Errorf("mallory reaches %v, %v", reach, err)
	}
	gone := token("ana")
	gh.RevokeUser("ana")
	if _, err := a.Reach(t.Context(), gone); !errors.Is(err, github.ErrSignIn) {
		t.Errorf("a revoked token: %v", err)
	}
	wrong := s
	wrong.Secret = func() string { return "wrong" }
	if _, err := a.Exchange(t.Context(), wrong, "code", "verifier"); err == nil || !strings.Contains(err.Error(), "incorrect_client_credentials") {
		t.Errorf("a wrong secret: %v", err)
	}
}
