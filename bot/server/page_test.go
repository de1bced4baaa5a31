package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/reconcile"
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
	for path, want := range map[string]int{"/": 200, "/u/uopen": 200, "/r/acme/home-ops": 200, "/skipped": 200, "/u/nothing": 404, "/signin/callback": 400, "/api/upgrades/uopen": 200} {
		resp, err := ana.Get(s.web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
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
