package scan_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox/registry"
	"github.com/belaybot/belay/bot/scan"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
)

var ctx = context.Background()

func newRegistry(t testing.TB, opts registry.Options) *registry.Registry {
	t.Helper()
	r := registry.New(opts)
	t.Cleanup(r.Close)
	return r
}

// clock waits without waiting: a sleep moves it.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.slept = c.now.Add(d), append(c.slept, d)
	return nil
}

func client(t testing.TB, change ...func(*upstream.Options)) *upstream.Client {
	t.Helper()
	opts := upstream.Options{CacheDir: t.TempDir(), Wait: time.Minute}
	for _, f := range change {
		f(&opts)
	}
	c, err := upstream.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pinned is a pin of an image: "127.0.0.1:5000/acme/web:1.2.0".
func pinned(t testing.TB, service, name string, change ...func(*pin.Pin)) pin.Pin {
	t.Helper()
	ref, err := image.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	n := pin.Pin{Kind: pin.KindImage, Service: service, Directory: "stacks/" + service, Image: ref, Version: ref.Tag,
		Span: pin.Span{Path: "stacks/" + service + "/main.tf", Line: 1}}
	for _, f := range change {
		f(&n)
	}
	return n
}

// look gives a line for each row: "web 1.2.0 → 1.3.0".
func look(t testing.TB, pins []pin.Pin, from scan.Registries) ([]scan.Row, string) {
	t.Helper()
	rows, err := scan.Look(ctx, pins, policy.Default(), from, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		switch {
		case r.Err != nil:
			out = append(out, fmt.Sprintf("%s %s unreached: %v", r.Pin.Service, r.Pin.Version, r.Err))
		case r.To != "":
			out = append(out, fmt.Sprintf("%s %s → %s", r.Pin.Service, r.Pin.Version, r.To))
		default:
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s stays %s", r.Pin.Service, r.Pin.Version, r.Why)))
		}
	}
	return rows, strings.Join(out, "\n")
}

func TestBulkLookAsksEachImageOnce(t *testing.T) {
	for _, token := range []bool{false, true} {
		t.Run(map[bool]string{false: "open to all", true: "with tokens for strangers"}[token], func(t *testing.T) {
			r := newRegistry(t, registry.Options{Page: 3, Token: token})
			r.Push("acme/web", "1.2.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "latest", "1.3.0-alpine")
			r.Push("acme/blog", "3.0.0")
			host := r.Host() + "/"
			rows, got := look(t, []pin.Pin{
				pinned(t, "blog", host+"acme/blog:3.0.0"),
				pinned(t, "web", host+"acme/web:1.2.0"),
				pinned(t, "web-small", host+"acme/web:1.2.0-alpine"),
				pinned(t, "web-old", host+"acme/web:1.2.0", func(n *pin.Pin) { n.IncludeTags = []string{`^1\.9\.`} }),
				pinned(t, "hand", host+"acme/hand:1.0.0", func(n *pin.Pin) { n.Reason = pin.OptedOut }),
				pinned(t, "db", host+"acme/postgres:16.1"),
			}, client(t))
			want := strings.Join([]string{
				"blog 3.0.0 stays",
				`db 16.1 stays image matches skip pattern "*postgres*" (dispatch.skip)`,
				"hand 1.0.0 stays ignored by comment",
				"web 1.2.0 → 1.10.0",
				"web-old 1.2.0 → 1.9.0",
				"web-small 1.2.0-alpine → 1.3.0-alpine",
			}, "\n")
			if got != want {
				t.Errorf("found\n%s\nwant\n%s", got, want)
			}
			// Six tags of web are two pages.
			if greeted, web, blog := r.Count("GET /v2/ "), r.Count("/acme/web/tags/list"), r.Count("/acme/blog/tags/list"); web != 2 || blog != 1 || greeted > 1 {
				t.Errorf("asked %d times for web, %d for blog, greeted %d times:\n%s", web, blog, greeted, strings.Join(r.Asked(), "\n"))
			}
			if n := r.Count("hand") + r.Count("postgres"); n != 0 {
				t.Errorf("asked %d times about what nobody needs to know", n)
			}
			var dispatches []string
			for _, d := range scan.Dispatches(rows) {
				dispatches = append(dispatches, strings.TrimPrefix(d.Image.Familiar(), host)+":"+d.Tag)
			}
			if got := strings.Join(dispatches, " "); got != "acme/web:1.3.0-alpine acme/web:1.9.0 acme/web:1.10.0" {
				t.Errorf("dispatches %s", got)
			}
		})
	}
}

func TestBulkLookObeysRetryAfter(t *testing.T) {
	r := newRegistry(t, registry.Options{})
	r.Push("acme/web", "1.0.0", "1.1.0")
	r.Busy(1, 20)
	c := &clock{now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	patient := client(t, func(o *upstream.Options) { o.Now, o.Sleep = c.Now, c.Sleep })
	if _, got := look(t, []pin.Pin{pinned(t, "web", r.Host()+"/acme/web:1.0.0")}, patient); got != "web 1.0.0 → 1.1.0" {
		t.Error(got)
	}
	// A registry on loopback is greeted by https as well, which is tried again a little later.
	if !slices.Contains(c.slept, 20*time.Second) {
		t.Errorf("waited %v", c.slept)
	}
	t.Run("and all others leave the registry alone, too", func(t *testing.T) {
		r.Busy(1000, 3600)
		before := len(r.Asked())
		var pins []pin.Pin
		for i := range 20 {
			r.Push(fmt.Sprintf("acme/app%d", i), "1.0.0", "1.1.0")
			pins = append(pins, pinned(t, fmt.Sprint("app", i), fmt.Sprintf("%s/acme/app%d:1.0.0", r.Host(), i)))
		}
		rows, got := look(t, pins, patient)
		asked := len(r.Asked()) - before
		limited := 0
		for _, row := range rows {
			var l *upstream.RateLimited
			if errors.As(row.Err, &l) {
				limited++
			}
		}
		// Those under way when it said so are all that may come: eight at once.
		if limited < len(pins) || asked > 8 {
			t.Errorf("%d of %d are told of the limit, after %d requests:\n%s", limited, len(pins), asked, got)
		}
	})
}

func TestBulkLookNamesWhoIsOutOfReach(t *testing.T) {
	r := newRegistry(t, registry.Options{})
	r.Push("acme/private", "1.0.0")
	r.Push("acme/broken", "1.0.0")
	r.Break("acme/private", http.StatusUnauthorized)
	r.Break("acme/broken", http.StatusBadRequest)
	_, got := look(t, []pin.Pin{
		pinned(t, "gone", r.Host()+"/acme/gone:1.0.0"), pinned(t, "private", r.Host()+"/acme/private:1.0.0"),
		pinned(t, "broken", r.Host()+"/acme/broken:1.0.0"), pinned(t, "down", "127.0.0.1:1/acme/down:1.0.0"),
	}, client(t, func(o *upstream.Options) { o.Sleep = func(context.Context, time.Duration) error { return nil } }))
	for i, want := range []string{"answers 400", "connection refused", "not found upstream", "keeps it from strangers (HTTP 401)"} {
		if line := strings.Split(got, "\n")[i]; !strings.Contains(line, "unreached") || !strings.Contains(line, want) {
			t.Errorf("%q does not say %q", line, want)
		}
	}
	t.Run("offline, what was seen last counts, and nothing is guessed", func(t *testing.T) {
		r.Push("acme/web", "1.0.0", "1.1.0")
		dir := t.TempDir()
		web := pinned(t, "web", r.Host()+"/acme/web:1.0.0")
		_, _ = look(t, []pin.Pin{web}, client(t, func(o *upstream.Options) { o.CacheDir = dir }))
		before := len(r.Asked())
		_, got := look(t, []pin.Pin{web, pinned(t, "zoo", r.Host()+"/acme/zoo:1.0.0")}, client(t, func(o *upstream.Options) { o.CacheDir, o.Offline = dir, true }))
		if !strings.HasPrefix(got, "web 1.0.0 → 1.1.0\nzoo 1.0.0 unreached") || len(r.Asked()) != before {
			t.Errorf("%s, %d requests", got, len(r.Asked())-before)
		}
	})
}

func TestBulkLookCharts(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		fmt.Fprint(w, "apiVersion: v1\nentries:\n  authentik:\n    - version: 2026.3.0\n    - version: 2026.4.0-rc1\n    - version: 2026.5.0\n      deprecated: true\n    - version: 2026.2.2\n")
	}))
	defer srv.Close()
	chart := func(service, version string) pin.Pin {
		return pin.Pin{Kind: pin.KindChart, Service: service, Chart: pin.Chart{Name: "authentik", Repository: srv.URL}, Version: version}
	}
	rows, got := look(t, []pin.Pin{chart("auth", "2026.2.2"), chart("auth2", "2026.3.0")}, client(t))
	if got != "auth 2026.2.2 → 2026.3.0\nauth2 2026.3.0 stays" || asked != 1 {
		t.Errorf("%s after %d requests", got, asked)
	}
	if d := scan.Dispatches(rows); len(d) != 1 || d[0].Chart.Name != "authentik" || d[0].Tag != "2026.3.0" {
		t.Errorf("%+v", d)
	}
}

func TestBulkLookEndsWithItsContext(t *testing.T) {
	r := newRegistry(t, registry.Options{Latency: time.Minute})
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	rows, err := scan.Look(stopped, []pin.Pin{pinned(t, "web", r.Host()+"/acme/web:1.0.0")}, policy.Default(), client(t), scan.Options{})
	if !errors.Is(err, context.Canceled) || rows[0].Err == nil || rows[0].To != "" {
		t.Errorf("%+v, %v", rows, err)
	}
}

// BenchmarkOutdated looks up 400 images at a registry that takes 100 ms for each
// answer: SPEC asks for less than 30 s.
func BenchmarkOutdated(b *testing.B) {
	for _, row := range []struct {
		name string
		opts registry.Options
	}{
		{"open to all, a page each", registry.Options{Latency: 100 * time.Millisecond}},
		{"with tokens, three pages each", registry.Options{Latency: 100 * time.Millisecond, Token: true, Page: 100}},
	} {
		b.Run(row.name, func(b *testing.B) { outdated(b, newRegistry(b, row.opts)) })
	}
}

func outdated(b *testing.B, r *registry.Registry) {
	var pins []pin.Pin
	for i := range 400 {
		name := fmt.Sprintf("acme/app%d", i)
		for patch := range 250 {
			r.Push(name, fmt.Sprintf("1.%d.%d", patch/20, patch%20))
		}
		pins = append(pins, pinned(b, fmt.Sprint("app", i), r.Host()+"/"+name+":1.3.0"))
	}
	for b.Loop() {
		before, lists := len(r.Asked()), r.Count("tags/list")
		begun := time.Now()
		rows, err := scan.Look(ctx, pins, policy.Default(), client(b), scan.Options{})
		if err != nil || slices.ContainsFunc(rows, func(r scan.Row) bool { return r.To != "1.12.9" }) {
			b.Fatalf("%v, %+v", err, rows[0])
		}
		if took := time.Since(begun); took > 30*time.Second {
			b.Errorf("took %s", took)
		}
		b.ReportMetric(float64(len(r.Asked())-before), "requests/op")
		b.ReportMetric(float64(r.Count("tags/list")-lists)/float64(len(pins)), "lists/image")
		b.ReportMetric(time.Since(begun).Seconds(), "s/400images")
	}
}
