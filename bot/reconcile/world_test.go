package reconcile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
	"github.com/belaybot/belay/rules/watch"
)

// world is a stand-in GitHub with one repository, and belay beside it.
type world struct {
	t       testing.TB
	gh      *sandbox.GitHub
	repo    *sandbox.Repository
	up      *outside
	dir     string // belay's state
	backups *backups
	seen    *observer     // nil: nothing watches
	url     string        // of belay's own server
	board   time.Duration // how far apart edits of the dashboard issue are; 0: there is none
	jobs    string        // directory of backups that outlive belay; "": those of backups

	now  func() time.Time // belay's clock; nil: the machine's
	life *life
}

// life is one process of belay.
type life struct {
	app    *github.App
	store  *store.Store
	engine *engine.Engine
	rec    *reconcile.Reconciler
	server *server.Server
	http   *httptest.Server
}

// outside answers what the planner asks: notes by version, SAFE unless they say otherwise.
type outside struct {
	mu       sync.Mutex
	notes    map[string]string
	released []string            // by acme/web, oldest first; none: only what is asked for
	missing  map[string]bool     // versions without an image; nil: no registry can be asked
	asked    map[string]int      // how often the registry was asked for an image
	refuses  error               // what registries and charts' repositories answer; nil: they are well
	tags     map[string][]string // that registries have, by image
	lists    int                 // how often they were asked for them
	meet     func()              // called before notes are given; nil: nothing
	wakes    func(string) error  // called before what wakes an upgrade is written; nil: nothing
}

func (o *outside) waking(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wakes == nil {
		return nil
	}
	return o.wakes(id)
}

// releases has versions come out, each with its image.
func (o *outside) releases(tags ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.released = append(o.released, tags...)
	if o.missing == nil {
		o.missing = map[string]bool{}
	}
}

func (o *outside) say(tag, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notes[tag] = text
}

func (o *outside) Repository(_ context.Context, ref image.Ref, _, _ string) (string, string, error) {
	return "acme/" + ref.Repository[strings.LastIndexByte(ref.Repository, '/')+1:], "test", nil
}

func (o *outside) ChartRepository(context.Context, pin.Chart) (string, string, error) {
	return "", "", upstream.ErrNotFound
}

func (o *outside) Notes(_ context.Context, repo string, from, to version.Tag) (upstream.Notes, error) {
	if o.meet != nil {
		o.meet()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	tags := []string{to.String()}
	if len(o.released) > 0 && repo == "acme/web" {
		tags = o.released
	}
	var all []notes.Release
	for _, tag := range tags {
		text, ok := o.notes[tag]
		if !ok {
			text = "### Fixed\n\n- a crash when the list is empty"
		}
		all = append(all, notes.Release{Tag: tag, Body: text, URL: "https://github.com/acme/web/releases"})
	}
	return upstream.Notes{From: "GitHub releases", Releases: notes.Between(all, from, to, "")}, nil
}

func (o *outside) ChartVersions(context.Context, pin.Chart) ([]upstream.ChartVersion, error) {
	return nil, upstream.ErrNotFound
}

func (o *outside) ChartImages(context.Context, pin.Chart, string) ([]upstream.ChartImage, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuses != nil {
		return nil, o.refuses
	}
	return nil, upstream.ErrNotFound
}

// refuse has registries and charts' repositories answer with an error; nil: they are well again.
func (o *outside) refuse(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuses = err
}

func (o *outside) Digest(_ context.Context, ref image.Ref, tag string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked == nil {
		o.asked = map[string]int{}
	}
	o.asked[tag]++
	if o.refuses != nil {
		return "", o.refuses
	}
	if o.missing == nil || o.missing[tag] {
		return "", fmt.Errorf("%s:%s: %w", ref.Familiar(), tag, upstream.ErrNotFound)
	}
	return "sha256:" + strings.Repeat("c", 64), nil
}

// backups plays the cluster: the state of each backup by its target.
type backups struct {
	mu    sync.Mutex
	state map[string]lifecycle.Progress
	made  map[string]int // by key
	did   []string       // what was put back, stopped and started

	refused string // why nothing can be put back
	changed int    // how often somebody else has just changed a workload that is to be started
}

func (b *backups) Backup(_ context.Context, r cluster.BackupRequest) (cluster.BackupResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[r.Key]++
	if s, ok := b.state[r.Backup.Target]; ok {
		return cluster.BackupResult{State: s, Detail: "the last lines of the log"}, nil
	}
	return cluster.BackupResult{State: lifecycle.Good, Name: r.Backup.Target + "-" + r.Key, Detail: "dump complete"}, nil
}

func (b *backups) Restore(_ context.Context, r cluster.RestoreRequest) (cluster.BackupResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, "restore "+r.Restore.Target)
	if s, ok := b.state[r.Restore.Target]; ok {
		return cluster.BackupResult{State: s, Detail: "the last lines of the log"}, nil
	}
	return cluster.BackupResult{State: lifecycle.Good, Name: r.Restore.Target + "-" + r.Key}, nil
}

func (b *backups) CheckRestore(_ context.Context, r cluster.RestoreRequest) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused, nil
}

func (b *backups) Scale(_ context.Context, _ string, w watch.Workload, down bool) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, map[bool]string{true: "down ", false: "up "}[down]+w.Namespace+"/"+w.Name)
	if !down && b.changed > 0 {
		b.changed--
		return false, nil
	}
	return true, nil
}

func (b *backups) refuse(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = why
}

func (b *backups) set(target string, s lifecycle.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state[target] = s
}

// observer plays the cluster after an apply: what a version of an image is like.
type observer struct {
	now     func() time.Time // nil: the machine's clock
	mu      sync.Mutex
	samples map[string]watch.Sample // by image:version
	wakes   map[string]func()       // by service
}

func (o *observer) Look(_ context.Context, s watch.Subject) []watch.Sample {
	o.mu.Lock()
	defer o.mu.Unlock()
	x, ok := o.samples[s.Images[0]+":"+s.Version]
	if !ok {
		x = watch.Sample{State: watch.Good, Detail: "1 of 1 pods are Ready"}
	}
	x.At = time.Now()
	if o.now != nil {
		x.At = o.now()
	}
	x.Kind, x.Name = watch.Rollout, "deployment "+s.Service+"/"+s.Service
	return []watch.Sample{x}
}

func (o *observer) Follow(s watch.Subject, wake func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wakes[s.Service] = wake
}

func (o *observer) Unfollow(_, service string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.wakes, service)
}

// becomes says what a version is like from now on; whoever follows it is told.
func (o *observer) becomes(version string, x watch.Sample) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.samples[version] = x
	for _, wake := range o.wakes {
		wake()
	}
}

// observed has something watch the services of a world.
func (w *world) observed() *observer {
	w.t.Helper()
	w.stop()
	w.seen = &observer{samples: map[string]watch.Sample{}, wakes: map[string]func(){}}
	w.start()
	return w.seen
}

const config = `
databases:
  data: { backup: { cronjob: dbaas/backup } }
apply: { checks: [deploy], timeout: 15m }
verify: { safe: 10ms, caution: 10ms, unknown: 10ms, interval: 1s, extend: 1s, settle: 1s }
dispatch: { limit: { upgrades: 50, window: 6h } }
`

// stack is a service's Terraform.
func stack(image string) string {
	return fmt.Sprintf("resource \"kubernetes_deployment\" \"app\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = %q # pinned\n        }\n      }\n    }\n  }\n}\n", image)
}

// newWorld makes a repository of some services; belay is started.
func newWorld(t testing.TB, files map[string]string) *world {
	t.Helper()
	all := map[string]string{".github/belay.yml": config,
		"stacks/web/main.tf": stack("acme/web:1.0.0"), "stacks/data/main.tf": stack("acme/data:2.0.0"), "stacks/blog/main.tf": stack("acme/blog:3.0.0"),
		"stacks/wiki/main.tf": stack("acme/wiki:4.0.0"), "README.md": "# home-ops\n"}
	for k, v := range files {
		all[k] = v
	}
	return newWorldOf(t, true, func(gh *sandbox.GitHub) (*sandbox.Repository, error) {
		return gh.AddRepository("acme", "home-ops", all)
	})
}

// newWorldOf makes the repository as it is told; validate holds what is asked
// and answered against GitHub's descriptions.
func newWorldOf(t testing.TB, validate bool, add func(*sandbox.GitHub) (*sandbox.Repository, error)) *world {
	t.Helper()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: validate, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	repo, err := add(gh)
	if err != nil {
		t.Fatal(err)
	}
	repo.AutoChecks(map[string]string{"ci": "success", "deploy": "success"})
	w := &world{t: t, gh: gh, repo: repo, up: &outside{notes: map[string]string{}}, dir: t.TempDir(), backups: &backups{state: map[string]lifecycle.Progress{}, made: map[string]int{}}}
	w.start()
	t.Cleanup(w.stop)
	return w
}

// living is what one process of belay needs.
type living struct {
	dir, github, keyFile, secret string
	key                          []byte
	up                           *outside
	board                        time.Duration
	database                     string        // "": SQLite in dir
	timeout                      time.Duration // of a look; 0: belay's own
	backups                      reconcile.Backups
	observers                    []reconcile.Observer
	now                          func() time.Time
}

// begin starts belay; it listens, and works on what there is.
func begin(ctx context.Context, with living) (*life, error) {
	st, err := store.Open(ctx, store.Options{Dir: with.dir, Database: with.database, Postgres: pool.Open, Now: with.now})
	if err != nil {
		return nil, err
	}
	out := io.Discard
	if os.Getenv("BELAY_TEST_LOG") != "" {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	key := func() ([]byte, error) {
		if with.keyFile != "" {
			return os.ReadFile(with.keyFile)
		}
		return with.key, nil
	}
	l := &life{store: st}
	if l.app, err = github.New(github.Options{AppID: 1042, Key: key, URL: with.github, Log: log}); err != nil {
		return nil, err
	}
	l.rec = reconcile.New(reconcile.Options{Store: st, GitHub: l.app, Mirrors: filepath.Join(with.dir, "mirrors"), Backups: with.backups, Observers: with.observers, Log: log, Now: with.now,
		Upstream: func(policy.Policy) (planner.Upstream, error) { return with.up, nil },
		Wake:     func(ctx context.Context, id string) error { return l.engine.Wake(ctx, id) },
		WakeTx: func(ctx context.Context, tx *sql.Tx, id string) error {
			return errors.Join(l.engine.WakeTx(ctx, tx, id), with.up.waking(id))
		},
		Enqueue: func(ctx context.Context, tx *sql.Tx, id string) error { return l.engine.DispatchTx(ctx, tx, id) },
		Board: func(ctx context.Context, repository string, now bool) error {
			return l.engine.Board(ctx, repository, now)
		}})
	work := engine.Options{Store: st, Log: log, Timeout: with.timeout, Poll: 200 * time.Millisecond, Backoff: func(int) time.Duration { return 20 * time.Millisecond }, Reconcile: l.rec.Reconcile, Dispatch: l.rec.Dispatch}
	if with.now != nil {
		work.Reconcile = inRealTime(with.now, l.rec.Reconcile)
	}
	if with.board > 0 {
		work.Board, work.BoardEvery = l.rec.Board, with.board
	}
	if l.engine, err = engine.New(ctx, work); err != nil {
		return nil, err
	}
	l.server = server.New(server.Options{Store: st, Queue: l.engine, DiunToken: func() string { return "token" }, WebhookSecret: func() string { return with.secret }, Freezer: l.rec, Bulk: l.rec, Forget: l.app.Forget, Board: l.rec, Event: l.rec.Event, Log: log})
	l.http = httptest.NewServer(l.server.Handler())
	return l, l.engine.Start(ctx)
}

func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	with := living{dir: w.dir, github: w.gh.URL(), key: w.gh.PrivateKey(), secret: w.gh.Secret(), up: w.up, backups: w.backups, now: w.now, board: w.board}
	if w.seen != nil {
		with.observers = []reconcile.Observer{w.seen}
	}
	start := begin
	if w.jobs != "" {
		start = func(ctx context.Context, with living) (*life, error) { return beginWithJobs(ctx, with, w.jobs) }
	}
	l, err := start(ctx, with)
	if err != nil {
		w.t.Fatal(err)
	}
	w.url = l.http.URL
	w.gh.SetWebhook(l.http.URL + "/github/webhook")
	if _, err := l.server.Replay(ctx, l.app); err != nil {
		w.t.Fatal(err)
	}
	w.life = l
}

func (w *world) stop() {
	if w.life == nil {
		return
	}
	w.gh.SetWebhook("")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := w.life.engine.Stop(ctx); err != nil {
		w.t.Error(err)
	}
	w.life.http.Close()
	_ = w.life.store.Close()
	w.life = nil
}

// dispatch sends what DIUN sends.
func (w *world) dispatch(image, tag string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"diun_version":"4.28.0","hostname":"home","status":"new","provider":"kubernetes","image":"docker.io/%s:%s","hub_link":"","mime_type":"","digest":"","created":"2026-01-02T03:04:05Z","platform":"linux/amd64"}`, image, tag)
	req, err := http.NewRequest(http.MethodPost, w.url+"/diun", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusOK {
		w.t.Fatalf("dispatch: HTTP %d", resp.StatusCode)
	}
}

// redispatch sends the same tag with another digest, which is another
// dispatch, and waits until it has been planned.
func (w *world) redispatch(image, tag string) {
	w.t.Helper()
	id, _, err := w.life.store.AddDispatch(context.Background(), store.Dispatch{Image: "docker.io/" + image, Tag: tag, Digest: "sha256:" + strings.Repeat("a", 64), Status: "new", Source: "cli"}, w.life.engine.DispatchTx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the dispatch is planned", func() bool {
		d, err := w.life.store.Dispatch(context.Background(), id)
		return err == nil && d.Done
	})
}

// eventually waits for a condition, by looking again whenever the state may have moved.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	w.poll(50*time.Millisecond, what, f)
}

// soon is eventually where the time is measured.
func (w *world) soon(what string, f func() bool) {
	w.t.Helper()
	w.poll(2*time.Millisecond, what, f)
}

func (w *world) poll(every time.Duration, what string, f func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("never: %s\n%s", what, w.story())
		case <-tick.C:
		}
	}
}

// upgrade is the newest upgrade of a service.
func (w *world) upgrade(service string) store.Upgrade {
	list, err := w.life.store.Upgrades(context.Background(), store.Filter{Service: service, Limit: 1})
	if err != nil || len(list) == 0 {
		return store.Upgrade{}
	}
	return list[0]
}

// waits waits until a service's upgrade is in a state, for a reason.
func (w *world) waits(service string, state lifecycle.State, why string) store.Upgrade {
	w.t.Helper()
	var u store.Upgrade
	w.eventually(fmt.Sprintf("%s is %s %q", service, state, why), func() bool {
		u = w.upgrade(service)
		return u.State == string(state) && strings.Contains(string(u.Data), why)
	})
	return u
}

// pull is a service's newest pull request that upgrades it.
func (w *world) pull(service string) sandbox.Pull { return last(w.pullsOf(service, "")) }

// revert is a service's newest pull request that undoes an upgrade.
func (w *world) revert(service string) sandbox.Pull { return last(w.pullsOf(service, "revert-")) }

// pulls counts a service's pull requests that upgrade it.
func (w *world) pulls(service string) int { return len(w.pullsOf(service, "")) }

func (w *world) pullsOf(service, prefix string) []sandbox.Pull {
	var out []sandbox.Pull
	for _, p := range w.repo.Pulls() {
		version, ok := strings.CutPrefix(p.Branch, "belay/"+service+"/")
		if ok && strings.HasPrefix(version, prefix) && (prefix != "" || !strings.HasPrefix(version, "revert-") && !strings.HasPrefix(version, "fix-")) {
			out = append(out, p)
		}
	}
	return out
}

func last(list []sandbox.Pull) sandbox.Pull {
	if len(list) == 0 {
		return sandbox.Pull{}
	}
	return list[len(list)-1]
}

func (w *world) image(service string) string {
	s, err := w.repo.File("main", "stacks/"+service+"/main.tf")
	if err != nil {
		w.t.Fatal(err)
	}
	_, s, _ = strings.Cut(s, `image = "`)
	s, _, _ = strings.Cut(s, `"`)
	return s
}

// story tells what happened, for a test that fails.
func (w *world) story() string {
	var b strings.Builder
	ctx := context.Background()
	if w.life == nil {
		return "belay does not run"
	}
	list, err := w.life.store.Upgrades(ctx, store.Filter{Limit: 50})
	if err != nil {
		return err.Error()
	}
	for _, u := range list {
		fmt.Fprintf(&b, "%s %s → %s: %s #%d\n  %s\n", u.Service, u.From, u.To, u.State, u.Pull, u.Data)
		events, err := w.life.store.Events(ctx, u.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err.Error()
		}
		for _, e := range events {
			fmt.Fprintf(&b, "  %s %s: %s %v\n", e.Who, e.What, e.Why, e.Data)
		}
	}
	dispatches, _ := w.life.store.Dispatches(ctx, 50)
	for _, d := range dispatches {
		fmt.Fprintf(&b, "dispatch %s:%s done=%v %+v\n", d.Image, d.Tag, d.Done, d.Outcomes)
	}
	return b.String()
}

// quiet is a service's upgrade once all looks at it have come to their end.
func (w *world) quiet(service string) (u store.Upgrade) {
	w.t.Helper()
	w.eventually(service+" is not looked at", func() bool {
		var n int
		err := w.life.store.DB().QueryRow("SELECT COUNT(*) FROM river_job WHERE state IN ('available', 'running', 'retryable') AND kind = 'reconcile'").Scan(&n)
		return err == nil && n == 0
	})
	return w.upgrade(service)
}
