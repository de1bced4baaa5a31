package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
)

// TestPageSignIn tries the ways in which signing in can go wrong.
func TestPageSignIn(t *testing.T) {
	s := newScene(t)
	s.fill()
	stay := func(c *http.Client) *http.Client {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return c
	}
	t.Run("a forged way back is refused", func(t *testing.T) {
		if code, body := s.get(s.as(""), "/signin/callback?code=x&state=y"); code != 400 || !strings.Contains(body, "begun elsewhere") {
			t.Errorf("HTTP %d", code)
		}
	})
	t.Run("somebody who declines is told so", func(t *testing.T) {
		c := stay(s.as(""))
		resp, err := c.Get(s.web.URL + "/signin")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		to, _ := resp.Location()
		if code, body := s.get(c, "/signin/callback?error=access_denied&state="+to.Query().Get("state")); code != 403 || !strings.Contains(body, "not allowed") {
			t.Errorf("HTTP %d", code)
		}
	})
	t.Run("nobody is sent elsewhere", func(t *testing.T) {
		for _, next := range []string{"https://evil.example.org/", "//evil.example.org", `/\evil.example.org`, "javascript:alert(1)", "/u/uopen"} {
			s.gh.SignIn("ana")
			c := s.as("")
			resp, err := c.Get(s.web.URL + "/signin?next=" + url.QueryEscape(next))
			s.gh.SignIn("")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := "/"
			if strings.HasPrefix(next, "/u/") {
				want = next
			}
			if got := resp.Request.URL; got.Host != strings.TrimPrefix(s.web.URL, "http://") || got.Path != want {
				t.Errorf("next %q leads to %s", next, got)
			}
		}
	})
	t.Run("who signs out is out, here and at GitHub", func(t *testing.T) {
		ana := s.as("ana")
		u, _ := url.Parse(s.web.URL)
		kept := ana.Jar.Cookies(u)
		before := s.gh.UserTokens()
		if code, _ := s.post(ana, "/signout", nil); code != 401 {
			t.Errorf("after signing out: HTTP %d", code)
		}
		if n := s.gh.UserTokens(); n != before-1 {
			t.Errorf("%d tokens at GitHub, %d before", n, before)
		}
		ana.Jar.SetCookies(u, kept)
		if code, _ := s.get(ana, "/u/uopen"); code != 401 {
			t.Errorf("with the old cookie: HTTP %d", code)
		}
	})
	t.Run("who cannot be signed out is told so, and is out once it works again", func(t *testing.T) {
		ana := s.as("ana")
		u, _ := url.Parse(s.web.URL)
		kept, before := ana.Jar.Cookies(u), s.gh.UserTokens()
		mend := s.lose("remembered")
		if code, _ := s.post(ana, "/signout", nil); code != 503 {
			t.Errorf("signing out without a state: HTTP %d", code)
		}
		if code, _ := s.get(ana, "/"); code != 503 {
			t.Errorf("a page without a state: HTTP %d", code)
		}
		mend()
		if code, _ := s.get(ana, "/"); code != 200 || s.gh.UserTokens() != before {
			t.Errorf("after a sign-out that failed: HTTP %d, %d tokens of %d", code, s.gh.UserTokens(), before)
		}
		if code, _ := s.post(ana, "/signout", nil); code != 401 || s.gh.UserTokens() != before-1 {
			t.Errorf("signing out again: HTTP %d, %d tokens of %d", code, s.gh.UserTokens(), before)
		}
		ana.Jar.SetCookies(u, kept)
		if code, _ := s.get(ana, "/"); code != 401 {
			t.Errorf("with the old cookie: HTTP %d", code)
		}
	})
	t.Run("a changed cookie is none", func(t *testing.T) {
		ana := s.as("ana")
		u, _ := url.Parse(s.web.URL)
		for _, c := range ana.Jar.Cookies(u) {
			i := len(c.Value) / 2
			c.Value = c.Value[:i] + string(c.Value[i]^1) + c.Value[i+1:]
			ana.Jar.SetCookies(u, []*http.Cookie{c})
		}
		if code, _ := s.get(ana, "/u/uopen"); code != 401 {
			t.Errorf("HTTP %d", code)
		}
	})
	t.Run("the cookies are for the browser alone, and show nothing to it", func(t *testing.T) {
		c, seen := s.as(""), &setCookies{}
		c.Transport = seen
		s.gh.SignIn("ana")
		defer s.gh.SignIn("")
		if code, _ := s.get(c, "/signin"); code != 200 {
			t.Fatalf("HTTP %d", code)
		}
		names := map[string]bool{}
		for _, k := range seen.all {
			names[k.Name] = true
			if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" {
				t.Errorf("%s is not for the browser alone: %s", k.Name, k.Raw)
			}
			plain, err := base64.RawURLEncoding.DecodeString(k.Value)
			if err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
			for _, secret := range append(s.gh.Secrets(), "ana") {
				if strings.Contains(k.Value, secret) || strings.Contains(string(plain), secret) {
					t.Errorf("%s holds %.4s… in clear", k.Name, secret)
				}
			}
		}
		if !names["belay_session"] || !names["belay_signin"] {
			t.Errorf("the cookies were %v", names)
		}
	})
}

// setCookies notes the cookies that are set.
type setCookies struct{ all []*http.Cookie }

func (s *setCookies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		for _, c := range resp.Cookies() {
			if c.Value != "" && strings.HasPrefix(c.Name, "belay_") {
				s.all = append(s.all, c)
			}
		}
	}
	return resp, err
}

// TestPageSignInEndsAtGitHub has somebody take the App out of their settings.
func TestPageSignInEndsAtGitHub(t *testing.T) {
	c := newClock()
	s := newScene(t, func(o *server.Options) { o.Now = c.now })
	s.fill()
	s.repo.SetPermission("carl", "read")
	carl := s.as("carl")
	secrets := s.gh.Secrets()
	s.gh.RevokeUser("carl")
	for _, step := range []struct {
		name string
		pass time.Duration
		want int
	}{
		{"GitHub was asked a moment ago", time.Minute, 200},
		{"it is asked again", 3 * time.Minute, 401},
		{"and the session is over", 0, 401},
	} {
		c.pass(step.pass)
		code, body := s.get(carl, "/u/uopen")
		if code != step.want || strings.Contains(body, "REDIRECT_APPEND_EXTRA_PATH") != (step.want == 200) {
			t.Errorf("%s: HTTP %d, want %d", step.name, code, step.want)
		}
		if step.pass > time.Minute && !strings.Contains(body, "GitHub has ended your sign-in") {
			t.Errorf("%s: nobody says why", step.name)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "signed in") {
		t.Error("the log does not say who signed in")
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(s.log.String(), secret) {
			t.Errorf("%.4s… is in the log", secret)
		}
	}
}

// TestPageWithoutSignIn is what --dashboard-auth none and off show.
func TestPageWithoutSignIn(t *testing.T) {
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth = server.AuthNone })
	s.fill()
	c := s.as("")
	if code, body := s.get(c, "/u/uopen"); code != 200 || strings.Contains(body, "<form method=\"post\"") {
		t.Errorf("none: HTTP %d, or it has forms", code)
	}
	if code, _ := s.post(c, "/u/uopen/command", url.Values{"verb": {"approve"}}); code != 403 || len(s.asked) != 0 {
		t.Errorf("none: a command: HTTP %d, %v", code, s.asked)
	}
	req, _ := http.NewRequest(http.MethodGet, s.web.URL+"/", nil)
	req.Host = "rebound.example.org"
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("none, by another name: %s", resp.Status)
	}
	off := newScene(t, func(o *server.Options) { o.Dashboard.Auth = server.AuthOff })
	if code, body := off.get(off.as(""), "/"); code != 404 || !strings.Contains(body, "not set up") {
		t.Errorf("off: HTTP %d", code)
	}
	// Somebody who signed in before the page was switched off.
	var was server.Dashboard
	on := newScene(t, func(o *server.Options) { was = o.Dashboard })
	off = newScene(t, func(o *server.Options) {
		o.Dashboard.Auth, o.Dashboard.People, o.Dashboard.ClientSecret = server.AuthOff, was.People, was.ClientSecret
	})
	off.fill()
	ana := on.as("ana")
	here, _ := url.Parse(on.web.URL)
	there, _ := url.Parse(off.web.URL)
	ana.Jar.SetCookies(there, ana.Jar.Cookies(here))
	for path, want := range map[string]int{"/": 404, "/u/uopen": 404, "/live": 404, "/api/upgrades": 401, "/api/upgrades/uopen": 401} {
		if code, body := off.get(ana, path); code != want || strings.Contains(body, "phpipam") {
			t.Errorf("off, signed in before: %s: HTTP %d, want %d", path, code, want)
		}
	}
	script, _ := http.NewRequest(http.MethodGet, off.web.URL+"/api/upgrades", nil)
	script.Header.Set("Authorization", "Bearer token")
	if resp, err = c.Do(script); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("off, with the token: %s", resp.Status)
	}
	for address, want := range map[string]bool{"127.0.0.1:8080": true, "[::1]:0": true, "localhost:80": true, ":8080": false, "0.0.0.0:80": false, "192.0.2.1:80": false, "example.org:80": false} {
		if server.Loopback(address) != want {
			t.Errorf("Loopback(%q) is not %t", address, want)
		}
	}
}
