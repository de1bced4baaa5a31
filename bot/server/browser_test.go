package server_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// pages are all pages, by what they are.
var pages = []struct{ name, path string }{
	{"the list", "/"}, {"a filtered list", "/?group=done&q=link"}, {"nothing found", "/?q=nothing+at+all"}, {"one that was verified", "/u/uverified"}, {"one that waits for a person", "/u/uopen"},
	{"one whose backup failed", "/u/uaborted"}, {"one that was undone", "/u/ureverted"}, {"one that is watched", "/u/uwatching"}, {"one in the queue", "/u/uqueued"},
	{"a service's history", "/s/acme/home-ops/linkwarden"}, {"a repository", "/r/acme/home-ops"}, {"what was skipped", "/skipped"}, {"nothing there", "/u/nobody"},
}

// TestBrowserEveryPage looks at every page in every way.
func TestBrowserEveryPage(t *testing.T) {
	chromium(t)
	source := axe(t)
	s := newScene(t)
	s.fill()
	s.trouble = ".github/belay.yml:3:5: unknown key \"databses\": did you mean \"databases\"?"
	b := newBrowser(t, s.web.Listener.Addr().String(), strings.TrimPrefix(s.gh.URL(), "http://"))
	for _, v := range views {
		b.look(v)
		b.open(s.web.URL + "/")
		b.reads("the door on "+v.name, source)
		b.signIn(s, "ana")
		for _, p := range pages {
			b.open(s.web.URL + p.path)
			b.reads(p.name+" on "+v.name, source)
			b.fine(p.name + " on " + v.name)
		}
		b.do(chromedp.Click(chromedp.CSS(".me button")))
		b.until("signed out", `!document.querySelector('.who')`)
	}
}

// TestBrowserLive sees a change without a reload, keeps what the person was at,
// and goes on after the stream was cut.
func TestBrowserLive(t *testing.T) {
	chromium(t)
	s := newScene(t)
	s.fill()
	b := newBrowser(t, s.web.Listener.Addr().String(), strings.TrimPrefix(s.gh.URL(), "http://"))
	b.signIn(s, "ana")
	b.until("the list is there", `document.querySelectorAll('.item').length === 6`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('input[type=search]').focus(); window.stays = 1`))
	move := func(id, state string) {
		t.Helper()
		u, err := s.store.Upgrade(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		u.State, u.Final = state, state == "verified"
		if _, err := s.store.SaveUpgrade(t.Context(), u, store.Event{At: time.Now(), Who: "belay", What: state}); err != nil {
			t.Fatal(err)
		}
	}
	move("uwatching", "verified")
	b.until("the change is seen", `[...document.querySelectorAll('.item')].some(e => e.textContent.includes('immich') && e.textContent.includes('verified'))`)
	kept := js[bool](b, `window.stays === 1 && document.activeElement.type === 'search'`)
	if !kept {
		t.Error("the page was loaded anew, or the field lost its place")
	}
	b.open(s.web.URL + "/u/uopen")
	b.until("there", `document.querySelector('h1').textContent.includes('url')`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('details.act').open = true; window.stays = 2`))
	move("uaborted", "open") // another's: this page need not know
	move("uopen", "applying")
	b.until("the change of the upgrade is seen", `document.querySelector('.hero .pill').textContent.includes('applying')`)
	b.fine("live")
	s.web.CloseClientConnections() // a proxy that restarts
	move("uopen", "watching")
	b.until("the change after the stream was cut is seen", `document.querySelector('.hero .pill').textContent.includes('watching')`)
	kept = js[bool](b, `window.stays === 2`)
	if !kept {
		t.Error("the page was loaded anew")
	}
}

// focused is what has the focus.
type focused struct {
	Here, Seen bool
	HTML       string
}

// TestBrowserKeyboard goes from the list to a command with keys alone.
func TestBrowserKeyboard(t *testing.T) {
	chromium(t)
	s := newScene(t)
	s.fill()
	b := newBrowser(t, s.web.Listener.Addr().String(), strings.TrimPrefix(s.gh.URL(), "http://"))
	b.signIn(s, "ana")
	// tab goes on until what has the focus matches, and sees that it is visible.
	tab := func(what, match string) {
		t.Helper()
		for range 60 {
			b.do(chromedp.KeyEvent(kb.Tab))
			at := js[focused](b, fmt.Sprintf(`(() => { const e = document.activeElement, s = getComputedStyle(e); return {Here: e.matches(%q), Seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0, HTML: e.outerHTML.slice(0, 100)} })()`, match))
			if !at.Seen {
				t.Errorf("%s: the focus is not to be seen on %s", what, at.HTML)
			}
			if at.Here {
				return
			}
		}
		t.Fatalf("%s is not reached with the tab key", what)
	}
	tab("the way past the menu", ".skip")
	b.do(chromedp.KeyEvent(kb.Enter))
	tab("the upgrade that waits", `.item a[href="/u/uopen"]`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("its page", `location.pathname === '/u/uopen' && document.readyState === 'complete'`)
	tab("the button", ".act summary")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("it is asked once more", `document.querySelector('details.act').open`)
	tab("the answer", "details.act[open] form button")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("back on the page", `location.hash === '#act' && document.readyState === 'complete'`)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != 1 || s.asked[0].Command != "/upgrade approve" || s.asked[0].Login != "ana" || s.asked[0].Head != strings.Repeat("b", 40) {
		t.Errorf("asked: %+v", s.asked)
	}
	b.fine("by keyboard")
}

// TestBrowserWithoutScripts filters, opens and commands with scripts turned off.
func TestBrowserWithoutScripts(t *testing.T) {
	chromium(t)
	s := newScene(t)
	s.fill()
	b := newBrowser(t, s.web.Listener.Addr().String(), strings.TrimPrefix(s.gh.URL(), "http://"))
	send(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	s.gh.SignIn("ana")
	b.open(s.web.URL + "/signin")
	see := func(what, text string) {
		t.Helper()
		body, err := chromedp.Run(b.ctx, chromedp.OuterHTML(chromedp.CSS("main")))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(body, text) {
			t.Fatalf("%s: no %q in\n%s", what, text, body)
		}
	}
	see("the list", "2 upgrades need you")
	b.do(chromedp.SendKeys(chromedp.CSS(".filters input[type=search]"), "5.0.2"+kb.Enter))
	b.do(chromedp.WaitReady(chromedp.CSS(".clear")))
	see("filtered", "5.0.2")
	b.do(chromedp.Click(chromedp.CSS(`.item a[href="/u/uopen"]`)), chromedp.WaitReady(chromedp.CSS("details.act")))
	see("the upgrade", "REDIRECT_APPEND_EXTRA_PATH")
	b.do(chromedp.Click(chromedp.CSS("details.act summary")), chromedp.Click(chromedp.CSS("details.act[open] form button")), chromedp.WaitReady(chromedp.CSS("#act")))
	deadline, cancel := context.WithTimeout(t.Context(), browserPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		n := len(s.asked)
		s.mu.Unlock()
		if n == 1 {
			break
		}
		select {
		case <-deadline.Done():
			t.Fatal("the command did not arrive")
		case <-tick.C:
		}
	}
	b.fine("without scripts")
}

// TestBrowserHostileText has scripts in every text that others write, and a
// browser that would run them.
func TestBrowserHostileText(t *testing.T) {
	chromium(t)
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth = server.AuthNone })
	const evil = `<script>window.got=1</script><img src=x onerror="window.got=1"><svg onload="window.got=1">" onfocus="window.got=1" autofocus x="'` + `' onmouseover='window.got=1`
	s.put(store.Upgrade{ID: "uevil", Service: evil, Lane: evil, From: evil, To: evil, State: "reverting", Pull: 1},
		object{"risk": evil, "waits": evil, "reasons": []string{evil}, "held": object{"login": evil, "reason": evil}, "failure": object{"why": evil, "log": evil}, "steps": []string{evil, "b"},
			"evidence": []any{object{"version": evil, "text": evil, "url": "javascript:window.got=1"}}, "backup": object{"state": "bad", "detail": evil, "config": object{"Kind": "cronjob", "Target": evil}},
			"traces": []any{object{"state": evil, "trace": object{"at": []int{0}, "things": []any{object{"kind": "http", "name": evil, "marks": "b", "note": evil}}}}}},
		store.Event{Who: evil, What: evil, Why: evil})
	b := newBrowser(t, s.web.Listener.Addr().String())
	for _, path := range []string{"/", "/u/uevil", "/?q=" + url.QueryEscape(evil), "/s/acme/home-ops/" + url.PathEscape(evil)} {
		b.open(s.web.URL + path)
		b.until("whole", `document.readyState === 'complete'`)
		got := js[bool](b, `!!window.got`)
		link := js[bool](b, `[...document.querySelectorAll('[href^=javascript], [src=x]')].length > 0`)
		if got || link {
			t.Errorf("%s: a script of somebody else's ran: %t, or could: %t", path, got, link)
		}
		b.fine(path)
	}
}
