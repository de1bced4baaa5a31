package server_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

var screenshots = flag.Bool("screenshots", false, "write the pictures in docs/ from a run of belay demo")

// browserPatience is how long one thing in the browser may take on a busy machine.
const browserPatience = 90 * time.Second

// axeVersion is that of hack/setup.
const axeVersion = "4.14.1"

// chromium finds the browser, or says what to do.
func chromium(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a browser")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no chromium in PATH: hack/setup brings it on Debian")
	return ""
}

// axe is the accessibility checker's source.
func axe(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(cache, "belay", "axe", axeVersion, "axe.min.js"))
	if err != nil {
		t.Fatalf("%v: hack/setup axe brings it", err)
	}
	return string(data)
}

// browser is one tab of a real Chromium that notes what goes wrong in it.
type browser struct {
	t   testing.TB
	ctx context.Context
	own string // the only host that it may ask

	mu       sync.Mutex
	problems []string
	asked    int
}

// newBrowser opens a browser of its own, so that nobody is signed in.
func newBrowser(t testing.TB, own string, others ...string) *browser {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("font-render-hinting", "none"), chromedp.WSURLReadTimeout(browserPatience))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx, own: own}
	t.Cleanup(func() {
		cancelTab()
		cancel()
	})
	listen := func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.note(fmt.Sprintf("exception: %+v", e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				text := ""
				for _, a := range e.Args {
					text += string(a.Value) + a.Description + " "
				}
				b.note("console: " + text)
			}
		case *cdplog.EventEntryAdded:
			// A page that is not there says so by its status, which is asked for.
			if e.Entry.Level == cdplog.EntryLevelError && !strings.Contains(e.Entry.Text, "Failed to load resource: the server responded with a status of 4") {
				b.note("log: " + e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			u, err := url.Parse(e.Request.URL)
			if err == nil && !slices.Contains(append([]string{own, ""}, others...), u.Host) {
				b.note("asks elsewhere: " + e.Request.URL)
			}
			b.mu.Lock()
			b.asked++
			b.mu.Unlock()
		}
	}
	// The first use starts the browser, which lives as long as its context.
	if err := chromedp.Listen(ctx, listen); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	send(b, network.Enable, network.EnableParams{})
	send(b, cdplog.Enable, cdp.Empty{})
	return b
}

// send gives the browser a command of its protocol.
func send[P, R any](b *browser, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) note(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, problem)
}

// fine fails when something went wrong since it was asked last.
func (b *browser) fine(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("%s: %s", where, p)
	}
	b.problems = nil
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// js is the value of an expression, or of the promise that it is.
func js[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.100s: %v", expression, err)
	}
	return out
}

func (b *browser) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

// until waits for an expression to be true.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// Not Poll: it ends with the page that it is on.
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("not so: %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// sign in as somebody whom the stand-in knows, by its page.
func (b *browser) signIn(s *scene, login string) {
	b.t.Helper()
	s.gh.SignIn(login)
	defer s.gh.SignIn("")
	b.open(s.web.URL + "/signin")
	b.until("signed in", `!!document.querySelector('.who')`)
}

// view is how a page is looked at.
type view struct {
	name          string
	width, height int64
	mobile, dark  bool
}

var views = []view{{"a phone", 360, 740, true, false}, {"a phone in the dark", 360, 740, true, true}, {"a desktop", 1280, 900, false, false}, {"a desktop in the dark", 1280, 900, false, true}}

func (b *browser) look(v view) {
	b.t.Helper()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	scale := 1.0
	if v.mobile {
		scale = 2
	}
	send(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: scale, Mobile: v.mobile})
	send(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// reads holds a page against what everybody needs: it fits its width, and axe
// finds nothing.
func (b *browser) reads(where, axe string) {
	b.t.Helper()
	wide := js[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
	if wide > 0 {
		what := js[string](b, `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join('\n')`)
		b.t.Errorf("%s: %d pixels too wide:\n%s", where, wide, what)
	}
	b.do(chromedp.Evaluate[chromedp.Void](axe))
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	if n := js[int](b, `axe.run().then(r => { window.axeFound = JSON.stringify(r.violations); return r.passes.length })`); n < 10 {
		b.t.Errorf("%s: axe looked at %d rules only", where, n)
	}
	raw := js[string](b, `window.axeFound`)
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range found {
		for _, n := range v.Nodes[:min(len(v.Nodes), 3)] {
			b.t.Errorf("%s: axe %s: %s\n%s\n%s", where, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

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
