package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// TestPageIsForThoseWhoMayRead asks for every page as everybody.
func TestPageIsForThoseWhoMayRead(t *testing.T) {
	s := newScene(t)
	s.fill()
	s.put(store.Upgrade{ID: "uother", Repository: "elsewhere/secret", Service: "hidden-service", From: "1", To: "2", State: "open"}, object{})
	people := map[string]*http.Client{"": s.as(""), "ana": s.as("ana"), "bo": s.as("bo"), "mallory": s.as("mallory")}
	for _, tc := range []struct {
		path string
		want map[string]int
		has  string // for those who see it
	}{
		{"/", map[string]int{"": 401, "ana": 200, "bo": 200, "mallory": 200}, ""},
		{"/u/uopen", map[string]int{"": 401, "ana": 200, "bo": 200, "mallory": 404}, "REDIRECT_APPEND_EXTRA_PATH"},
		{"/u/uother", map[string]int{"": 401, "ana": 404, "bo": 404, "mallory": 404}, ""},
		{"/u/nothing", map[string]int{"": 401, "ana": 404}, ""},
		{"/s/acme/home-ops/url", map[string]int{"": 401, "ana": 200, "bo": 200, "mallory": 404}, "5.0.2"},
		{"/r/acme/home-ops", map[string]int{"": 401, "ana": 200, "bo": 200, "mallory": 404}, "3 of 5 upgrades have started"},
		{"/skipped", map[string]int{"": 401, "ana": 200, "mallory": 200}, ""},
		{"/api/upgrades", map[string]int{"": 401, "ana": 200, "mallory": 200}, ""},
		{"/api/upgrades/uopen", map[string]int{"": 401, "bo": 200, "mallory": 404}, "CVE-2026-1234"},
		{"/healthz", map[string]int{"": 200}, "ok"},
	} {
		for login, want := range tc.want {
			code, body := s.get(people[login], tc.path)
			if code != want {
				t.Errorf("%s as %q: HTTP %d, want %d", tc.path, login, code, want)
			}
			if want == 200 && !strings.Contains(body, tc.has) {
				t.Errorf("%s as %q has no %q", tc.path, login, tc.has)
			}
			if strings.Contains(body, "hidden-service") || login == "mallory" && (strings.Contains(body, "linkwarden") || strings.Contains(body, "phpipam")) || want == 401 && strings.Contains(body, "linkwarden") {
				t.Errorf("%s as %q shows too much", tc.path, login)
			}
		}
	}
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// TestPageCommands gives commands on the page, as people who may and may not.
func TestPageCommands(t *testing.T) {
	s := newScene(t)
	s.fill()
	ana, bo := s.as("ana"), s.as("bo")
	_, body := s.get(ana, "/u/uopen")
	match := formToken.FindStringSubmatch(body)
	if match == nil {
		t.Fatal("ana's page has no form")
	}
	if _, body := s.get(bo, "/u/uopen"); strings.Contains(body, "<input type=\"hidden\" name=\"verb\"") {
		t.Error("bo, who may only read, has buttons")
	}
	token := match[1]
	const command = "/u/uopen/command"
	form := func(verb, args, token string) url.Values {
		return url.Values{"verb": {verb}, "args": {args}, "token": {token}, "head": {"bbbb"}}
	}
	for _, tc := range []struct {
		name string
		who  *http.Client
		path string
		form url.Values
		want int
	}{
		{"ana holds", ana, command, form("hold", "a feast\n/upgrade approve", token), 200},
		{"ana approves", ana, command, form("approve", "", token), 200},
		{"no token", ana, command, form("approve", "", ""), 403},
		{"bo with ana's token", bo, command, form("approve", "", token), 403},
		{"a verb that is none", ana, command, form("drop", "", token), 400},
		{"two verbs in one", ana, command, form("approve\n/upgrade rollback", "", token), 400},
		{"a version that is none", ana, command, form("to", "a b", token), 400},
		{"another's upgrade", ana, "/u/nothing/command", form("approve", "", token), 404},
		{"nobody", s.as(""), command, form("approve", "", token), 401},
	} {
		if code, _ := s.post(tc.who, tc.path, tc.form); code != tc.want {
			t.Errorf("%s: HTTP %d, want %d", tc.name, code, tc.want)
		}
	}
	want := []reconcile.Asked{{Login: "ana", Command: "/upgrade hold a feast /upgrade approve", Head: "bbbb", From: "page"}, {Login: "ana", Command: "/upgrade approve", Head: "bbbb", From: "page"}}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Error(diff)
	}
	// Another site's form, with all cookies and a good token.
	req, _ := http.NewRequest(http.MethodPost, s.web.URL+command, strings.NewReader(form("approve", "", token).Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.Header.Set("Origin", "https://evil.example.org")
	resp, err := ana.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %s", resp.Status)
	}
}

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
			if !c.HttpOnly && strings.Contains(c.Value, "ghu_") {
				t.Error("the cookie holds the token in clear")
			}
			c.Value = c.Value[:len(c.Value)-2] + "xx"
			ana.Jar.SetCookies(u, []*http.Cookie{c})
		}
		if code, _ := s.get(ana, "/u/uopen"); code != 401 {
			t.Errorf("HTTP %d", code)
		}
	})
	t.Run("what GitHub revokes ends, and no secret is in the log", func(t *testing.T) {
		carl := s.as("carl")
		s.gh.RevokeUser("carl")
		if code, _ := s.get(carl, "/"); code != 200 { // asked a moment ago
			t.Errorf("HTTP %d", code)
		}
		for _, secret := range s.gh.Secrets() {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("%s… is in the log", secret[:8])
			}
		}
	})
}

// TestPageEscapes puts scripts into everything that others may name.
func TestPageEscapes(t *testing.T) {
	s := newScene(t)
	const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`<b>`"
	rec := object{"risk": evil, "waits": evil, "gates": []string{evil}, "reasons": []string{evil}, "security": []string{evil}, "blockers": []string{evil}, "head": evil, "health": evil, "updates": []string{evil},
		"steps": []string{evil, "2"}, "held": object{"login": evil, "reason": evil}, "answers": []any{object{"login": evil, "command": evil, "text": evil}},
		"evidence": []any{object{"version": evil, "text": evil, "url": "javascript:alert(3)", "uses": []any{object{"Identifier": evil, "At": []any{object{"Path": evil, "Line": 1}}}}}},
		"backup":   object{"state": "bad", "name": evil, "detail": evil, "config": object{"Kind": evil, "Target": evil}}, "failure": object{"why": evil, "log": evil, "again": evil, "last": evil},
		"merge": object{"sha": evil, "by": evil}, "offer": object{"path": evil, "before": evil, "after": evil, "why": evil}, "undo": object{"clashes": []string{evil}, "pull": 3},
		"traces": []any{object{"state": evil, "trace": object{"at": []int{0}, "things": []any{object{"kind": evil, "name": evil, "marks": "g", "note": evil}}}}}, "asked": []any{object{"login": evil, "command": evil}}}
	s.put(store.Upgrade{ID: "uevil", Service: evil, Lane: evil, From: evil, To: evil, State: "open", Pull: 1}, rec, store.Event{Who: evil, What: evil, Why: evil}, store.Event{Who: evil, What: "command", Why: evil, Data: map[string]string{"from": evil}})
	if _, _, err := s.store.AddDispatch(t.Context(), store.Dispatch{ID: "d1", Image: evil, Tag: evil}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.store.SetOutcomes(t.Context(), "d1", "acme/home-ops", []store.Outcome{{Repository: "acme/home-ops", Service: evil, Reason: evil, Path: evil}}); err != nil {
		t.Fatal(err)
	}
	s.trouble = evil
	ana := s.as("ana")
	for _, path := range []string{"/", "/?q=" + url.QueryEscape(evil), "/?repository=" + url.QueryEscape(evil), "/u/uevil", "/s/acme/home-ops/" + url.PathEscape(evil), "/r/acme/home-ops", "/skipped", "/skipped?q=" + url.QueryEscape(evil)} {
		code, body := s.get(ana, path)
		if code != 200 {
			t.Errorf("%s: HTTP %d", path, code)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", `"javascript:`, "<b>`", `="<`} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
	}
}

// TestPageLadder shows a step among the others of its ladder.
func TestPageLadder(t *testing.T) {
	s := newScene(t)
	s.fill()
	s.put(store.Upgrade{ID: "ustep1", Service: "url", From: "4.3.4", To: "4.4.0", State: "verified", Pull: 9, Ladder: "ustep1", Place: 1}, object{"risk": "caution"})
	s.put(store.Upgrade{ID: "ustood", Service: "wiki", From: "1.0", To: "2.0", State: "unverified", Pull: 8, Ladder: "ustood", Place: 1},
		object{"ladder": object{"id": "ustood", "from": "1.0", "rungs": []string{"2.0", "3.0"}, "place": 1, "stopped": "the ladder stands at step 1 of 2: nobody could see how 2.0 fares; `/upgrade step` goes on"}, "merge": object{"sha": "a"}})
	ana := s.as("ana")
	_, list := s.get(ana, "/")
	_, step := s.get(ana, "/u/uopen")
	_, stood := s.get(ana, "/u/ustood")
	for _, tc := range []struct{ name, page, want string }{
		{"the list names the step", list, "step 2/3"},
		{"the step before is there, done", step, `<li class="s-done"><span class="dot" aria-hidden="true"></span><a href="/u/ustep1">4.4.0</a><span class="hide">: verified</span>`},
		{"this one is here", step, `<li class="s-here" aria-current="step">`},
		{"the next is ahead", step, `<li class="s-ahead"><span class="dot" aria-hidden="true"></span>5.1.0<span class="hide">: ahead</span>`},
		{"what is left out has its reason", step, "5.0.0: the registry has no image"},
		{"all steps can be agreed to", step, `<input type="hidden" name="args" value="all">`},
		{"a ladder that stands says why", stood, "The ladder stands at step 1 of 2: nobody could see how 2.0 fares; <code>/upgrade step</code> goes on"},
		{"and can go on", stood, "Next step"},
	} {
		if !strings.Contains(tc.page, tc.want) {
			t.Errorf("%s: no %q", tc.name, tc.want)
		}
	}
}

// TestPageHeaders holds what keeps the page to itself.
func TestPageHeaders(t *testing.T) {
	s := newScene(t)
	s.fill()
	ana := s.as("ana")
	for _, path := range []string{"/", "/u/uopen", "/nothing-here"} {
		resp, err := ana.Get(s.web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if path == "/nothing-here" {
			continue
		}
		for name, want := range map[string]string{"Content-Security-Policy": "script-src 'self'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "private"} {
			if got := resp.Header.Get(name); !strings.Contains(got, want) || strings.Contains(got, "unsafe") {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	first, err := ana.Get(s.web.URL + "/u/uverified")
	if err != nil {
		t.Fatal(err)
	}
	first.Body.Close()
	req, _ := http.NewRequest(http.MethodGet, s.web.URL+"/u/uverified", nil)
	req.Header.Set("If-None-Match", first.Header.Get("ETag"))
	again, err := ana.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %s", again.Status)
	}
}

// TestPageFilters narrows the list down.
func TestPageFilters(t *testing.T) {
	s := newScene(t)
	s.fill()
	ana := s.as("ana")
	all := []string{"linkwarden", "url", "phpipam", "paperless-ngx", "immich", "dawarich"}
	for query, want := range map[string][]string{
		"":                              all,
		"?group=needs-you":              {"url", "phpipam"},
		"?group=in-flight":              {"immich"},
		"?group=waiting":                {"dawarich"},
		"?group=done":                   {"linkwarden", "paperless-ngx"},
		"?risk=caution":                 {"url"},
		"?q=2.20":                       {"paperless-ngx"},
		"?q=OOMKilled+paperless":        {"paperless-ngx"},
		"?service=immich":               {"immich"},
		"?repository=ACME/home-ops":     all,
		"?repository=acme/elsewhere":    nil,
		"?q=nobody+has+this&group=done": nil,
		"?page=7":                       nil,
	} {
		_, body := s.get(ana, "/"+query)
		for _, name := range all {
			has := strings.Contains(body, `<span class="name">`+name+"</span>")
			if should := strings.Contains(" "+strings.Join(want, " ")+" ", " "+name+" "); has != should {
				t.Errorf("%q: %s shown: %t, want %t", query, name, has, should)
			}
		}
	}
	if _, body := s.get(ana, "/"); !strings.Contains(body, "<h1>2 upgrades need you, 1 of them failed</h1>") || !strings.Contains(body, "In the last 24 hours: 1 verified, 1 reverted.") {
		t.Error("the overview says something else")
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

// TestPageAsksOnce shows the list of somebody who sees many repositories.
func TestPageAsksOnce(t *testing.T) {
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth = server.AuthNone })
	for i := range 40 {
		s.put(store.Upgrade{ID: fmt.Sprintf("u%02d", i), Repository: fmt.Sprintf("acme/repo-%02d", i), Service: "web", From: "1", To: "2", State: "open"}, object{})
	}
	s.trouble = "unknown key"
	if _, body := s.get(s.as(""), "/"); strings.Count(body, "is wrong, so nothing is done") != 40 {
		t.Error("not all troubles are shown")
	}
	if s.looks != 1 {
		t.Errorf("it was asked %d times how repositories stand", s.looks)
	}
}

// TestPageSkippedOfOthers has many dispatches of other repositories come after
// the one that somebody may see.
func TestPageSkippedOfOthers(t *testing.T) {
	s := newScene(t)
	s.fill()
	now := time.Now()
	for i := range 400 {
		id := fmt.Sprintf("dx%03d", i)
		if _, _, err := s.store.AddDispatch(t.Context(), store.Dispatch{ID: id, Image: "docker.io/acme/other", Tag: "latest", Received: now}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.store.SetOutcomes(t.Context(), id, "elsewhere/secret", []store.Outcome{{Repository: "elsewhere/secret", Service: "hidden-service", Reason: "latest names no version"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		who, query string
		want       bool
	}{
		{"ana", "", true},
		{"ana", "?q=LINKWARDEN+version", true},
		{"ana", "?q=linkwarden+nothing", false},
		{"ana", "?q=%25", false}, // of LIKE
		{"ana", "?q=%FF%00linkwarden", true},
		{"bo", "?q=home-ops", true},
		{"mallory", "", false},
	} {
		code, body := s.get(s.as(tc.who), "/skipped"+tc.query)
		if has := strings.Contains(body, "docker.io/linkwarden/linkwarden"); code != 200 || has != tc.want {
			t.Errorf("%s looks at /skipped%s: HTTP %d, shown: %t, want %t", tc.who, tc.query, code, has, tc.want)
		}
		if strings.Contains(body, "hidden-service") {
			t.Errorf("%s looks at /skipped%s and sees too much", tc.who, tc.query)
		}
	}
}

// TestPageForgets has upgrades deleted and their repository renamed, and the
// state fail meanwhile.
func TestPageForgets(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	s := newScene(t, func(o *server.Options) {
		o.Dashboard.Auth = server.AuthNone
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
	})
	s.fill()
	c := s.as("")
	shown := func(want int, what string, names ...string) {
		t.Helper()
		code, body := s.get(c, "/")
		if code != want {
			t.Fatalf("HTTP %d, want %d", code, want)
		}
		for _, name := range names {
			if has := strings.Contains(body, name); has != (what == "shown") {
				t.Errorf("%s is not %s", name, what)
			}
		}
	}
	shown(200, "shown", "acme/home-ops", "phpipam", "linkwarden")
	if err := s.store.Rename(t.Context(), "acme/home-ops", "bo/things"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.DB().Exec("DELETE FROM upgrades WHERE id = 'uaborted'"); err != nil {
		t.Fatal(err)
	}
	pass(6 * time.Minute)
	mend := s.lose("upgrades")
	shown(503, "shown")
	mend()
	shown(200, "shown", "bo/things", "linkwarden")
	shown(200, "not shown", "acme/home-ops", "phpipam")
}
