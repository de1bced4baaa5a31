package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/version"
)

// hub is a server that speaks GitHub's API as far as belay asks, and counts.
type hub struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
	seen  []http.Header
	// before may answer in the hub's place; it returns true when it has.
	before func(w http.ResponseWriter, r *http.Request) bool
}

// serve starts a hub with answers by path and query ("/repos/acme/web",
// "/repos/acme/web/releases?page=2"). Every answer carries an ETag.
func serve(t *testing.T, answers map[string]string) *hub {
	t.Helper()
	h := &hub{asked: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Del("per_page")
		key := r.URL.Path
		if len(q) > 0 {
			key += "?" + q.Encode()
		}
		h.mu.Lock()
		h.asked[key]++
		h.seen = append(h.seen, r.Header.Clone())
		h.mu.Unlock()
		if h.before != nil && h.before(w, r) {
			return
		}
		body, ok := answers[key]
		if strings.HasPrefix(r.URL.Path, "/repos/") {
			answer := body
			if !ok {
				answer = "{}"
			}
			if err := upstream.HoldsGitHub(r, answer); err != nil && (ok || strings.HasPrefix(err.Error(), "GitHub has no")) {
				t.Error(err)
			}
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"Not Found"}`)
			return
		}
		etag := fmt.Sprintf(`"%x"`, len(body))
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", etag)
		w.Header().Set("X-RateLimit-Remaining", "0") // used up by this very answer: the next one may still be allowed
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
		if _, more := answers[r.URL.Path+"?page=2"]; more && q.Get("page") == "" {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=2>; rel="next"`, h.URL, r.URL.Path))
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hub) total() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.asked {
		n += c
	}
	return n
}

// client asks the hub; sleeping is noted and not done.
func client(t *testing.T, h *hub, change func(*upstream.Options)) (*upstream.Client, *[]string) {
	t.Helper()
	said := &[]string{}
	var mu sync.Mutex
	opts := upstream.Options{CacheDir: t.TempDir(), GitHubAPI: h.URL, Wait: time.Hour,
		Notify: func(s string) { mu.Lock(); defer mu.Unlock(); *said = append(*said, s) },
		Sleep:  func(context.Context, time.Duration) error { return nil }}
	if change != nil {
		change(&opts)
	}
	c, err := upstream.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c, said
}

func tag(t *testing.T, s string) version.Tag {
	t.Helper()
	v, err := version.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ref(t *testing.T, s string) image.Ref {
	t.Helper()
	r, err := image.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const repoJSON = `{"full_name":"acme/web","html_url":"https://github.com/acme/web"}`

func releaseJSON(tag, body string) string {
	return fmt.Sprintf(`{"tag_name":%q,"name":%q,"body":%q,"html_url":"https://github.com/acme/web/releases/tag/%s","published_at":"2026-01-02T03:04:05Z"}`, tag, tag, body, tag)
}

func tags(n upstream.Notes) string {
	var out []string
	for _, r := range n.Releases {
		out = append(out, r.Tag+"="+strings.TrimSpace(r.Body))
	}
	return strings.Join(out, " ")
}

func TestNotesFromReleases(t *testing.T) {
	h := serve(t, map[string]string{
		"/repos/acme/web":                 repoJSON,
		"/repos/acme/web/releases":        `[` + releaseJSON("v1.4.0", "too new") + `,` + releaseJSON("v1.3.0", "three") + `]`,
		"/repos/acme/web/releases?page=2": `[` + releaseJSON("v1.2.0", "two") + `,` + releaseJSON("v1.1.0", "from") + `,{"tag_name":"v1.2.5","draft":true}]`,
	})
	c, _ := client(t, h, nil)
	got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.3.0"))
	if err != nil {
		t.Fatal(err)
	}
	if tags(got) != "v1.2.0=two v1.3.0=three" || got.From != "GitHub releases" || got.URL != "https://github.com/acme/web" {
		t.Errorf("got %s from %q at %q", tags(got), got.From, got.URL)
	}
}

func TestNotesFromChangelog(t *testing.T) {
	answers := map[string]string{
		"/repos/acme/web":               repoJSON,
		"/repos/acme/web/releases":      `[]`,
		"/repos/acme/web/contents/":     `[{"type":"file","name":"ChangeLog.md","path":"ChangeLog.md","sha":"abc"}]`,
		"/repos/acme/web/git/blobs/abc": "## 1.3.0\n- three\n## 1.2.0\n- two\n## 1.1.0\n- one\n",
		"/repos/acme/web/tags":          `[{"name":"v1.3.0"},{"name":"v1.2.1"},{"name":"v1.2.0"},{"name":"v1.0.0"}]`,
	}
	t.Run("where there are no releases", func(t *testing.T) {
		c, _ := client(t, serve(t, answers), nil)
		got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.3.0"))
		if err != nil || tags(got) != "1.2.0=- two 1.3.0=- three" || got.From != "ChangeLog.md" {
			t.Errorf("got %s from %q, %v", tags(got), got.From, err)
		}
		if diff := cmp.Diff([]string{"v1.2.1"}, got.Missing); diff != "" {
			t.Errorf("tags without notes (-want +got):\n%s", diff)
		}
	})
	t.Run("where a release only points to it", func(t *testing.T) {
		answers["/repos/acme/web/releases"] = `[` + releaseJSON("v1.3.0", "See the CHANGELOG.") + `,` + releaseJSON("v1.2.0", "own words\n- x") + `]`
		c, _ := client(t, serve(t, answers), nil)
		got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.3.0"))
		if err != nil || tags(got) != "v1.2.0=own words\n- x v1.3.0=- three" {
			t.Errorf("got %s, %v", tags(got), err)
		}
	})
	t.Run("none at all is an answer", func(t *testing.T) {
		c, _ := client(t, serve(t, map[string]string{"/repos/acme/web": repoJSON, "/repos/acme/web/releases": `[]`, "/repos/acme/web/contents/": `[]`}), nil)
		got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.3.0"))
		if err != nil || len(got.Releases) != 0 || got.From != "" {
			t.Errorf("got %s, %v", tags(got), err)
		}
	})
}

var full = map[string]string{"/repos/acme/web/tags": `[]`, "/repos/acme/web": repoJSON, "/repos/acme/web/releases": `[` + releaseJSON("v1.2.0", "two") + `]`}

func TestSecondLookIsFree(t *testing.T) {
	h := serve(t, full)
	dir := t.TempDir()
	look := func(offline bool) error {
		c, _ := client(t, h, func(o *upstream.Options) { o.CacheDir, o.Offline = dir, offline })
		got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0"))
		if err == nil && tags(got) != "v1.2.0=two" {
			t.Errorf("got %s", tags(got))
		}
		return err
	}
	if err := look(true); !errors.Is(err, upstream.ErrOffline) || h.total() != 0 {
		t.Fatalf("offline with an empty cache: %v after %d requests", err, h.total())
	}
	if err := look(false); err != nil {
		t.Fatal(err)
	}
	first := h.total()
	if err := look(false); err != nil {
		t.Fatal(err)
	}
	for _, head := range h.seen[first:] {
		if head.Get("If-None-Match") == "" {
			t.Error("a second look asks without a condition")
		}
	}
	before := h.total()
	if err := look(true); err != nil || h.total() != before {
		t.Errorf("offline: %v after %d more requests", err, h.total()-before)
	}
}

func TestNetworkFailuresAreErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(w http.ResponseWriter, r *http.Request) bool
		want   string
	}{
		{"a server that breaks", func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(502); return true }, "502"},
		{"a connection that breaks", func(w http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) }, "EOF"},
		{"a refused token", func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(401); return true }, "GITHUB_TOKEN"},
		{"a body that breaks off", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
			return true
		}, "broke off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := serve(t, full)
			h.before = tc.before
			c, _ := client(t, h, nil)
			got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0"))
			if err == nil || errors.Is(err, upstream.ErrNotFound) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error with %q", tags(got), err, tc.want)
			}
			if _, _, err := c.Repository(context.Background(), ref(t, "ghcr.io/acme/web"), "1.0", ""); err == nil || errors.Is(err, upstream.ErrNotFound) {
				t.Errorf("the source is said not to exist: %v", err)
			}
		})
	}
}

func TestPassingFailuresAreRetried(t *testing.T) {
	h := serve(t, full)
	failures := 3
	h.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if failures > 0 {
			failures--
			w.WriteHeader(503)
			return true
		}
		return false
	}
	c, _ := client(t, h, nil)
	if got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0")); err != nil || tags(got) != "v1.2.0=two" {
		t.Errorf("got %s, %v", tags(got), err)
	}
}

func TestRateLimits(t *testing.T) {
	limit := func(header ...string) func(http.ResponseWriter, *http.Request) bool {
		once := true
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if !once {
				return false
			}
			once = false
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"message":"You have exceeded a secondary rate limit."}`)
			return true
		}
	}
	soon, late := fmt.Sprint(time.Now().Add(10*time.Minute).Unix()), fmt.Sprint(time.Now().Add(2*time.Hour).Unix())
	for _, tc := range []struct {
		name   string
		before func(http.ResponseWriter, *http.Request) bool
		waits  bool
	}{
		{"the primary limit is waited for", limit("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", soon), true},
		{"the secondary limit is waited for", limit("Retry-After", "30"), true},
		{"a Retry-After that is a date is waited for", limit("Retry-After", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat)), true},
		{"the secondary limit without a header is known by its message", limit(), true},
		{"a limit beyond the wait is an error", limit("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", late), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := serve(t, full)
			h.before = tc.before
			c, said := client(t, h, nil)
			got, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0"))
			var limited *upstream.RateLimited
			if tc.waits {
				if err != nil || tags(got) != "v1.2.0=two" || len(*said) != 1 || !strings.Contains((*said)[0], "waiting until") {
					t.Errorf("got %s, %v, said %q", tags(got), err, *said)
				}
			} else if !errors.As(err, &limited) || limited.Until.Before(time.Now()) {
				t.Errorf("got %v, want RateLimited", err)
			}
		})
	}
}

func TestTokenStaysWithItsHost(t *testing.T) {
	const secret = "ghp_secret"
	other := serve(t, nil)
	h := serve(t, full)
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/repos/acme/moved" {
			http.Redirect(w, r, other.URL+"/repos/acme/web", http.StatusMovedPermanently)
			return true
		}
		return false
	}
	c, _ := client(t, h, func(o *upstream.Options) { o.GitHubToken = secret })
	if _, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Notes(context.Background(), "acme/moved", tag(t, "1.1.0"), tag(t, "1.2.0"))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
	for _, head := range h.seen {
		if head.Get("Authorization") != "Bearer "+secret {
			t.Errorf("the API is asked with %q", head.Get("Authorization"))
		}
	}
	if len(other.seen) == 0 {
		t.Fatal("the redirect was not followed")
	}
	for _, head := range other.seen {
		if head.Get("Authorization") != "" {
			t.Error("the token went to another host")
		}
	}
}

// labelled pushes an image with a source label to a registry.
func labelled(t *testing.T, host, label string) {
	t.Helper()
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"org.opencontainers.image.source": label}})
	if err != nil {
		t.Fatal(err)
	}
	target, err := name.ParseReference(host + "/acme/web:1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(target, img); err != nil {
		t.Fatal(err)
	}
}

func TestRepository(t *testing.T) {
	reg := httptest.NewServer(registry.New())
	defer reg.Close()
	host := strings.TrimPrefix(reg.URL, "http://")
	labelled(t, host, "https://github.com/acme/from-label")
	for _, tc := range []struct {
		name, image, link string
		change            func(*upstream.Options)
		repos             []string
		want, how         string
	}{
		{"configuration wins", host + "/acme/web", "", func(o *upstream.Options) { o.Sources = map[string]string{host + "/acme/web": "acme/chosen"} }, nil, "acme/chosen", "configured"},
		{"the image's label", host + "/acme/web", "", nil, nil, "acme/from-label", "label"},
		{"DIUN's link", "registry.invalid/acme/web", "https://github.com/acme/linked/pkgs/container/web", nil, nil, "acme/linked", "DIUN"},
		{"the built-in table", "registry.invalid/acme/web", "https://hub.docker.com/r/acme/web", func(o *upstream.Options) { o.Builtin = map[string]string{"registry.invalid/acme/web": "acme/known"} }, nil, "acme/known", "built in"},
		{"the name", "ghcr.io/acme/web", "", offlineRegistries, []string{"acme/web"}, "acme/web", "name"},
		{"the name without -server", "ghcr.io/acme/web-server", "", offlineRegistries, []string{"acme/web"}, "acme/web", "name"},
		{"linuxserver's images", "lscr.io/linuxserver/prowlarr", "", offlineRegistries, []string{"linuxserver/docker-prowlarr"}, "linuxserver/docker-prowlarr", "name"},
		{"an official image has none", "nginx", "", offlineRegistries, []string{"library/nginx"}, "", ""},
		{"nothing leads anywhere", "ghcr.io/acme/other", "", offlineRegistries, nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := map[string]string{}
			for _, r := range tc.repos {
				answers["/repos/"+r] = repoJSON
			}
			c, _ := client(t, serve(t, answers), tc.change)
			got, how, err := c.Repository(context.Background(), ref(t, tc.image), "1.0", tc.link)
			if tc.want == "" {
				if !errors.Is(err, upstream.ErrNotFound) {
					t.Errorf("got %q, %v; want ErrNotFound", got, err)
				}
				return
			}
			if err != nil || got != tc.want || !strings.Contains(how, tc.how) {
				t.Errorf("got %q (%s), %v; want %q (%s)", got, how, err, tc.want, tc.how)
			}
		})
	}
}

// offlineRegistries lets only loopback be reached, so that no test asks a real registry.
func offlineRegistries(o *upstream.Options) { o.HTTP = loopback{} }

type loopback struct{}

func (loopback) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() != "127.0.0.1" {
		return nil, errors.New("no network in tests")
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestDigest(t *testing.T) {
	reg := httptest.NewServer(registry.New())
	defer reg.Close()
	host := strings.TrimPrefix(reg.URL, "http://")
	labelled(t, host, "x")
	c, _ := client(t, serve(t, nil), nil)
	got, err := c.Digest(context.Background(), ref(t, host+"/acme/web"), "1.0")
	if err != nil || !image.ValidDigest(got) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := c.Digest(context.Background(), ref(t, host+"/acme/web"), "9.9"); !errors.Is(err, upstream.ErrNotFound) {
		t.Errorf("a tag that is not there: %v", err)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	h := serve(t, full)
	c, _ := client(t, h, nil)
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			_, err := c.Notes(context.Background(), "acme/web", tag(t, "1.1.0"), tag(t, "1.2.0"))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, api := range []string{"gopher", "://", "/path"} {
		if _, err := upstream.New(upstream.Options{GitHubAPI: api}); err == nil {
			t.Errorf("%q accepted", api)
		}
	}
}
