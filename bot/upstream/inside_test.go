package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	blank "github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/version"
)

const secret = "ghp_notToBeSeen"

// world is an upstream on loopback: its answers by path, and what was asked.
type world struct {
	*httptest.Server
	mux      *http.ServeMux
	requests atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{mux: http.NewServeMux()}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		rec := httptest.NewRecorder()
		w.mux.ServeHTTP(rec, r)
		if strings.HasPrefix(r.URL.Path, "/repos/") && rec.Code == http.StatusOK {
			if err := HoldsGitHub(r, rec.Body.String()); err != nil {
				t.Error(err)
			}
		}
		maps.Copy(rw.Header(), rec.Header())
		rw.WriteHeader(rec.Code)
		fmt.Fprint(rw, rec.Body)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *world) says(pattern, body string) {
	w.mux.HandleFunc(pattern, func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, body) })
}

// client asks the world with a clock that moves only by sleeping.
func (w *world) client(t *testing.T, change func(*Options)) *Client {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	opts := Options{GitHubAPI: w.URL, GitHubToken: secret,
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(d)
			return ctx.Err()
		}}
	if change != nil {
		change(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tag(t *testing.T, s string) version.Tag {
	t.Helper()
	v, err := version.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const acmeApp = `{"full_name":"acme/app","html_url":"https://github.com/acme/app"}`

// withReleases gives acme/app two pages of releases.
func (w *world) withReleases() {
	w.says("/repos/acme/app", acmeApp)
	w.mux.HandleFunc("/repos/acme/app/releases", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"page`+r.URL.Query().Get("page")+`"` {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		rw.Header().Set("ETag", `"page`+r.URL.Query().Get("page")+`"`)
		if r.URL.Query().Get("page") == "2" {
			fmt.Fprint(rw, `[{"tag_name":"v1.1.0","body":"- one"},{"tag_name":"v1.0.0","body":"- zero"}]`)
			return
		}
		rw.Header().Set("Link", fmt.Sprintf(`<%s/repos/acme/app/releases?page=2>; rel="next"`, w.URL))
		fmt.Fprint(rw, `[{"tag_name":"v1.3.0","body":"- draft","draft":true},{"tag_name":"v1.2.0","body":"- two"}]`)
	})
}

func tags(n Notes) []string {
	var out []string
	for _, r := range n.Releases {
		out = append(out, r.Tag+" "+strings.TrimSpace(r.Body))
	}
	return out
}

func TestNotesReadsEveryPageAndThenTheCache(t *testing.T) {
	w := newWorld(t)
	w.withReleases()
	dir := t.TempDir()
	from, to := tag(t, "v1.0.0"), tag(t, "v1.3.0")
	want := []string{"v1.1.0 - one", "v1.2.0 - two"}
	for _, run := range []string{"first", "revalidated", "offline"} {
		before := w.requests.Load()
		c := w.client(t, func(o *Options) { o.CacheDir = dir; o.Offline = run == "offline" })
		got, err := c.Notes(t.Context(), "acme/app", from, to)
		if err != nil {
			t.Fatalf("%s: %v", run, err)
		}
		if diff := cmp.Diff(want, tags(got)); diff != "" {
			t.Errorf("%s: -want +got\n%s", run, diff)
		}
		if asked := w.requests.Load() - before; run == "offline" && asked != 0 {
			t.Errorf("offline asked %d times", asked)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the token", path)
		}
		return errors.Join(err, os.WriteFile(path, []byte("{"), 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.client(t, func(o *Options) { o.CacheDir = dir }).Notes(t.Context(), "acme/app", from, to); err != nil || len(got.Releases) != 2 {
		t.Errorf("a corrupted cache is a miss: %v, %v", tags(got), err)
	}
	_, err = w.client(t, func(o *Options) { o.CacheDir = t.TempDir(); o.Offline = true }).Notes(t.Context(), "acme/app", from, to)
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "/repos/acme/app") || strings.Contains(err.Error(), secret) {
		t.Errorf("offline without a cache: %v", err)
	}
}

func TestNotesFollowsARenamedRepositoryOfflineToo(t *testing.T) {
	w := newWorld(t)
	w.withReleases()
	w.mux.Handle("/repos/old/name", http.RedirectHandler("/repositories/7", http.StatusMovedPermanently))
	w.says("/repositories/7", acmeApp)
	dir := t.TempDir()
	for _, offline := range []bool{false, true} {
		c := w.client(t, func(o *Options) { o.CacheDir = dir; o.Offline = offline })
		got, err := c.Notes(t.Context(), "old/name", tag(t, "v1.0.0"), tag(t, "v1.2.0"))
		if err != nil || got.Repository != "acme/app" || len(got.Releases) != 2 {
			t.Errorf("offline %v: %+v, %v", offline, got, err)
		}
	}
}

func TestOnGitHub(t *testing.T) {
	c, err := New(Options{GitHubAPI: "https://ghe.example.org/api/v3"})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"https://github.com/acme/app":              "acme/app",
		"https://github.com/acme/app.git":          "acme/app",
		"git+https://github.com/acme/.github":      "acme/.github",
		"https://github.com/acme/app/tree/main/x":  "acme/app",
		"https://ghe.example.org/acme/app":         "acme/app",
		"https://github.com/acme/..":               "",
		"https://github.com/acme/...git":           "",
		"https://github.com/acme/app%3Fper_page=1": "",
		"https://github.com/../user":               "",
		"https://github.com/acme":                  "",
		"https://github.com.example.org/acme/app":  "",
		"https://codeberg.org/acme/app":            "",
		"":                                         "",
	} {
		got, ok := c.onGitHub(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, ok, want)
		}
	}
}

func TestRegistry(t *testing.T) {
	srv := httptest.NewServer(registry.New())
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	cfg, err := blank.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Config.Labels = map[string]string{sourceLabel: "https://github.com/acme/app"}
	img, err := mutate.ConfigFile(blank.Image, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dst, err := name.NewTag(host + "/acme/thing:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(dst, img); err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := image.Parse(host + "/acme/thing:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	dir := t.TempDir()
	c := w.client(t, func(o *Options) { o.CacheDir = dir })
	if got, err := c.Digest(t.Context(), ref, "1.0.0"); err != nil || got != want.String() {
		t.Errorf("digest %s, %v, want %s", got, err, want)
	}
	if _, err := c.Digest(t.Context(), ref, "9.9.9"); err == nil {
		t.Error("a tag that is not there has a digest")
	}
	chart := pin.Chart{Repository: "oci://" + host + "/acme", Name: "thing"}
	for _, offline := range []bool{false, true} {
		c := w.client(t, func(o *Options) { o.CacheDir = dir; o.Offline = offline })
		if repo, how, err := c.Repository(t.Context(), ref, "1.0.0", ""); repo != "acme/app" {
			t.Errorf("offline %v: %q, %q, %v", offline, repo, how, err)
		}
		if got, err := c.ChartVersions(t.Context(), chart); err != nil || len(got) != 1 || got[0].Version != "1.0.0" {
			t.Errorf("offline %v: %v, %v", offline, got, err)
		}
	}
}
