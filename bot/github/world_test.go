package github_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// world is a stand-in GitHub with the repository acme/home-ops, and an App that
// talks to it by a clock that the test moves.
type world struct {
	t    *testing.T
	gh   *sandbox.GitHub
	repo *sandbox.Repository
	app  *github.App
	wire *wire
	now  *clock
	log  *bytes.Buffer
}

func newWorld(t *testing.T, opts sandbox.Options) *world {
	t.Helper()
	w := &world{t: t, wire: &wire{base: http.DefaultTransport}, now: &clock{at: time.Now().Truncate(time.Second)}, log: &bytes.Buffer{}}
	opts.Dir, opts.Validate, opts.Now = t.TempDir(), true, w.now.get
	opts.Report = func(err error) { t.Error(err) }
	var err error
	if w.gh, err = sandbox.NewGitHub(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.gh.Close() })
	if w.repo, err = w.gh.AddRepository("acme", "home-ops", map[string]string{"main.tf": "one\n"}); err != nil {
		t.Fatal(err)
	}
	w.app, err = github.New(github.Options{AppID: w.gh.AppID(), Key: func() ([]byte, error) { return w.gh.PrivateKey(), nil }, URL: w.gh.URL(), HTTP: w.wire, Now: w.now.get,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// home is acme/home-ops as the App sees it.
func (w *world) home() *github.Repository {
	w.t.Helper()
	r, err := w.app.Repository(w.t.Context(), "acme/home-ops")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// open pushes a branch and opens its pull request.
func (w *world) open(branch string) (number int, head string) {
	w.t.Helper()
	head, err := w.repo.Push("belay[bot]", branch, "upgrade", map[string]string{strings.ReplaceAll(branch, "/", "-") + ".tf": "two\n"})
	if err != nil {
		w.t.Fatal(err)
	}
	number, err = w.home().OpenPull(w.t.Context(), github.Draft{Branch: branch, Base: "main", Title: "upgrade", Body: "what changes"})
	if err != nil {
		w.t.Fatal(err)
	}
	return number, head
}

func (w *world) flush() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.gh.Flush(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// wire notes what goes over it: "GET /api/v3/app 200".
type wire struct {
	base http.RoundTripper

	mu      sync.Mutex
	lines   []string
	answers func(*http.Request) *http.Response // instead of base, where it gives one
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	answers := w.answers
	w.mu.Unlock()
	var resp *http.Response
	var err error
	if answers != nil {
		resp = answers(req)
	}
	if resp == nil {
		resp, err = w.base.RoundTrip(req)
	}
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%s %s %d", req.Method, strings.TrimPrefix(req.URL.Path, "/api/v3"), status))
	return resp, err
}

func (w *wire) answer(f func(*http.Request) *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = f
}

// take gives what went over the wire since it was asked last.
func (w *wire) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.lines
	w.lines = nil
	return out
}

// says makes an answer.
func says(req *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: req, ProtoMajor: 1, ProtoMinor: 1}
}
