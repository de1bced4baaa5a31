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
