package journey_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// world is a stand-in GitHub, a control plane and one belay that works between
// them. Each journey has its own repository and namespaces in it.
type world struct {
	gh       *sandbox.GitHub
	plane    *kube.ControlPlane
	client   *kubernetes.Clientset
	upstream *releases
	site     *site
	watched  *watched
	store    *store.Store
	crds     sync.Once // of volume snapshots

	mu        sync.Mutex
	pipelines map[string]*pipeline            // by repository
	opened    map[string]map[string]time.Time // pull requests: when GitHub told of them, by repository and branch
	rows      []row
}

// newWorld starts everything; it ends with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{plane: kube.ForTest(t), upstream: newReleases(), pipelines: map[string]*pipeline{}, opened: map[string]map[string]time.Time{}}
	w.client = kubernetes.NewForConfigOrDie(w.plane.Config())
	// What belay and GitHub say to each other is held against GitHub's
	// descriptions in bot/reconcile; here it would cost more than all the rest.
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir()})
	must(t, err)
	w.gh = gh
	t.Cleanup(func() { _ = gh.Close() })
	w.site = newSite(t)
	w.serve(t)
	return w
}

// serve starts belay with its real parts.
func (w *world) serve(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	out := io.Discard
	if os.Getenv("BELAY_TEST_LOG") != "" {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	must(t, err)
	w.store = st
	app, err := github.New(github.Options{AppID: w.gh.AppID(), Key: func() ([]byte, error) { return w.gh.PrivateKey(), nil }, URL: w.gh.URL(), Log: log})
	must(t, err)
	backups, err := cluster.New(cluster.Options{Config: w.plane.Config(), Log: log})
	must(t, err)
	rollouts, err := cluster.NewRollouts(cluster.RolloutOptions{Config: w.plane.Config(), Log: log})
	must(t, err)
	w.watched = &watched{Rollouts: rollouts, looks: map[string][]time.Time{}}
	var queue *engine.Engine
	rec := reconcile.New(reconcile.Options{Store: st, GitHub: app, Mirrors: filepath.Join(dir, "mirrors"), Backups: backups, Log: log,
		Observers: []reconcile.Observer{w.watched, w.site.observer()},
		Upstream:  func(policy.Policy) (planner.Upstream, error) { return w.upstream, nil },
		Wake:      func(ctx context.Context, id string) error { return queue.Wake(ctx, id) },
		WakeTx:    func(ctx context.Context, tx *sql.Tx, id string) error { return queue.WakeTx(ctx, tx, id) }})
	queue, err = engine.New(t.Context(), engine.Options{Store: st, Log: log, Reconcile: rec.Reconcile, Dispatch: rec.Dispatch})
	must(t, err)
	belay := server.New(server.Options{Store: st, Queue: queue, DiunToken: func() string { return "token" }, WebhookSecret: w.gh.Secret, Forget: app.Forget, Log: log})
	hooks := httptest.NewServer(w.overhear(belay.Handler()))
	must(t, queue.Start(t.Context()))
	w.gh.SetWebhook(hooks.URL + "/github/webhook")
	t.Cleanup(func() {
		w.gh.SetWebhook("")
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := queue.Stop(ctx); err != nil {
			t.Error(err)
		}
		hooks.Close()
		rollouts.Close()
		_ = st.Close()
	})
}

// overhear takes from the webhooks on their way to belay what CI and the
// figures need.
func (w *world) overhear(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		var told struct {
			Action, Ref, After string
			Repository         struct {
				FullName string `json:"full_name"`
			}
			PullRequest struct{ Head struct{ Ref string } } `json:"pull_request"`
		}
		if err := json.Unmarshal(body, &told); err == nil {
			switch event := r.Header.Get("X-GitHub-Event"); {
			case event == "push" && told.Ref == "refs/heads/main":
				if p := w.pipeline(told.Repository.FullName); p != nil {
					p.commits <- told.After
				}
			case event == "pull_request" && told.Action == "opened":
				w.note(told.Repository.FullName, told.PullRequest.Head.Ref)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(rw, r)
	})
}

func (w *world) pipeline(repository string) *pipeline {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pipelines[repository]
}

func (w *world) note(repository, branch string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened[repository] == nil {
		w.opened[repository] = map[string]time.Time{}
	}
	w.opened[repository][branch] = time.Now()
}

// watched are the real roll-outs, with the times at which belay looked.
type watched struct {
	*cluster.Rollouts
	mu    sync.Mutex
	looks map[string][]time.Time // by repository and service
}

func (o *watched) Look(ctx context.Context, s watch.Subject) []watch.Sample {
	out := o.Rollouts.Look(ctx, s)
	o.mu.Lock()
	defer o.mu.Unlock()
	key := s.Repository + " " + s.Service
	o.looks[key] = append(o.looks[key], time.Now())
	return out
}

// after is how long after a moment the first look at a service was over.
func (o *watched) after(repository, service string, at time.Time) (time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, look := range o.looks[repository+" "+service] {
		if look.After(at) {
			return look.Sub(at), true
		}
	}
	return 0, false
}

// site is the one web server that plays every service behind its ingress.
type site struct {
	server *httptest.Server
	mu     sync.Mutex
	codes  map[string]func() int // by host; 200 for the others
}

func newSite(t *testing.T) *site {
	s := &site{codes: map[string]func() int{}}
	s.server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.codes[r.Host]
		s.mu.Unlock()
		code := http.StatusOK
		if answer != nil {
			code = answer()
		}
		if code == http.StatusFound {
			rw.Header().Set("Location", "https://login.example.org/")
		}
		rw.WriteHeader(code)
	}))
	t.Cleanup(s.server.Close)
	return s
}

// answers has a host answer with a code from now on.
func (s *site) answers(host string, code int) { s.plays(host, func() int { return code }) }

// plays has a host answer with what code returns.
func (s *site) plays(host string, code func() int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[host] = code
}

// observer is belay's own, which reaches every host at this server.
func (s *site) observer() *probe.HTTP {
	roots := x509.NewCertPool()
	roots.AddCert(s.server.Certificate())
	address := strings.TrimPrefix(s.server.URL, "https://")
	return probe.NewHTTP(probe.HTTPOptions{Roots: roots, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
