package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/metrics"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/bot/traces"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/policy"
)

// parts are what a running App is put together from.
type parts struct {
	state, database string
	listen          string
	github          github.Options
	upstream        func(*github.App) func(policy.Policy) (planner.Upstream, error)
	adviser         func(advise.Memory) (*advise.Adviser, error) // nil: there is none
	observe         program.Observing
	counts          *metrics.Metrics // nil: made when it starts
	diunToken       func() string
	webhookSecret   func() string
	credentials     *credentials.Registry // nil: none are kept an eye on
	notify          notify.Options        // State, Now and Log are filled in
	page            server.Dashboard      // GitHub, People and Life are filled in
	workers         int
	idle            bool // the state is read and written, and nothing else is done
	log             *slog.Logger
}

// process is a running App.
type process struct {
	store    *store.Store
	app      *github.App
	rec      *reconcile.Reconciler
	engine   *engine.Engine
	server   *server.Server
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
	close    func() // of what observes; nil: nothing
	looked   func() // ends looking at the credentials, and waits for it; nil: nobody looks
}

// start opens the state, listens and takes up work, unless p is idle.
func (p parts) start(ctx context.Context) (*process, error) {
	out := &process{log: p.log, close: p.observe.Close}
	var err error
	if out.store, err = store.Open(ctx, store.Options{Dir: p.state, Database: p.database, Postgres: pool.Open}); err != nil {
		return nil, err
	}
	if err := out.wire(ctx, p); err != nil {
		_ = out.store.Close()
		return nil, err
	}
	if p.idle {
		return out, nil
	}
	go func() {
		if err := out.http.Serve(out.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			out.log.Error("the server ended", "why", err)
		}
	}()
	if p.credentials != nil {
		out.look(ctx, p.credentials)
	}
	return out, nil
}

// look has an eye kept on the credentials until the process ends.
func (out *process) look(ctx context.Context, r *credentials.Registry) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		looking(ctx, r)
	}()
	out.looked = func() {
		cancel()
		<-done
	}
}

// scanLook is how often it is looked whether a repository's scan is due.
const scanLook = time.Minute

func (out *process) wire(ctx context.Context, p parts) error {
	var err error
	counts := p.counts
	if counts == nil {
		counts = metrics.New(program.ModuleVersion())
	}
	if p.github.HTTP == nil {
		p.github.HTTP = http.DefaultTransport
	}
	p.github.HTTP = traces.Transport(counts.GitHub(p.github.HTTP))
	if out.app, err = github.New(p.github); err != nil {
		return program.Usage(err)
	}
	var ask planner.Adviser
	counted := []prometheus.Collector{counts}
	if p.adviser != nil {
		a, err := p.adviser(out.store)
		if err != nil {
			return err
		}
		ask, counted = a, append(counted, a)
		if a.On() {
			out.log.Info("the adviser is on: release notes and the names of settings are sent to it", "docs", "docs/adviser.md")
		}
	}
	out.rec = reconcile.New(reconcile.Options{Adviser: ask, Store: out.store, GitHub: out.app, Upstream: p.upstream(out.app), Mirrors: filepath.Join(p.state, "mirrors"), Meter: counts,
		Backups: p.observe.Backups, Observers: p.observe.Observers, CI: p.observe.CI, Log: p.log, Wake: func(ctx context.Context, id string) error { return out.engine.Wake(ctx, id) },
		WakeTx:  func(ctx context.Context, tx *sql.Tx, id string) error { return out.engine.WakeTx(ctx, tx, id) },
		Enqueue: func(ctx context.Context, tx *sql.Tx, id string) error { return out.engine.DispatchTx(ctx, tx, id) },
		Notify:  func(ctx context.Context, id string) error { return out.engine.Notify(ctx, id) },
		Board: func(ctx context.Context, repository string, now bool) error {
			return out.engine.Board(ctx, repository, now)
		}})
	replay := func(ctx context.Context) error {
		n, err := out.server.Replay(ctx, out.app)
		if n > 0 {
			out.log.Info("webhooks that were missed have been taken", "number", n)
		}
		return err
	}
	work := engine.Options{Store: out.store, Workers: p.workers, Log: p.log, Reconcile: counts.Reconcile(traces.Look(out.rec.Reconcile)),
		Dispatch: traces.Work("dispatch", "belay.dispatch", out.rec.Dispatch), Board: traces.Work("dashboard issue", "belay.repository", out.rec.Board),
		Periodic: []engine.Periodic{
			{Name: "boards", Every: time.Hour, Run: out.rec.Boards},
			{Name: "deliveries", Every: 10 * time.Minute, Run: replay},
			{Name: "scan", Every: scanLook, Run: out.rec.Scan},
			{Name: "prune", Every: 24 * time.Hour, Run: func(ctx context.Context) error { return out.store.Prune(ctx, time.Now()) }},
		}}
	p.notify.Count = counts.Told
	if err := out.wireNotify(ctx, p, &work); err != nil {
		return err
	}
	if out.engine, err = engine.New(ctx, work); err != nil || p.idle {
		return err
	}
	if out.listener, err = net.Listen("tcp", p.listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	page := p.page
	page.People, page.Life = out.app, out.rec
	if page.GitHub = p.github.URL; page.GitHub == "" {
		page.GitHub = "https://github.com"
	}
	if page.Public == "" {
		page.Public = out.url()
	}
	out.server = server.New(server.Options{Store: out.store, Queue: out.engine, DiunToken: p.diunToken, WebhookSecret: p.webhookSecret, Freezer: out.rec, Bulk: out.rec, Scans: out.rec.Scans, Board: out.rec, Event: out.rec.Event, Forget: out.app.Forget, Credentials: p.credentials, Metrics: counted,
		Depths: out.depths, Kinds: metrics.Kinds, Dashboard: page, Log: p.log})
	out.http = &http.Server{Handler: out.server.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	out.http.RegisterOnShutdown(out.server.Hush)
	if err := out.engine.Start(context.WithoutCancel(ctx)); err != nil {
		_ = out.listener.Close()
		return err
	}
	return nil
}

// depths says how full the queue is.
func (out *process) depths(ctx context.Context) ([]server.Depth, error) {
	list, err := out.engine.Depths(ctx)
	var to []server.Depth
	for _, d := range list {
		to = append(to, server.Depth(d))
	}
	return to, err
}

// wireNotify has people told, where a place for it is configured.
func (out *process) wireNotify(ctx context.Context, p parts, work *engine.Options) error {
	opts := p.notify
	opts.State, opts.GitHub, opts.Shared, opts.Log = out.store, p.github.URL, out.store.Shared(), p.log
	n, err := notify.New(ctx, opts)
	if err != nil || n == nil {
		return err
	}
	work.Notify = traces.Work("tell", "belay.upgrade", n.Tell)
	work.Periodic = append(work.Periodic, engine.Periodic{Name: "tell", Every: 10 * time.Minute, Run: func(ctx context.Context) error {
		return n.CatchUp(ctx, out.engine.Notify)
	}})
	return nil
}

// url is where the process listens.
func (out *process) url() string { return addressOf(out.listener) }

// addressOf is what somebody on this machine opens to reach a listener: one that
// listens everywhere is at localhost, too.
func addressOf(l net.Listener) string {
	at, ok := l.Addr().(*net.TCPAddr)
	if ok && at.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", at.Port)
	}
	return "http://" + l.Addr().String()
}

// grace is how long a process that is told to end may go on with what it is at.
const grace = 25 * time.Second

// stop takes no more requests, ends what is under way, and closes the state.
func (out *process) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var err error
	if out.http != nil { // else there is no work to end
		err = errors.Join(out.http.Shutdown(ctx), out.engine.Stop(ctx))
	}
	if out.looked != nil {
		out.looked()
	}
	if out.close != nil {
		out.close()
	}
	return errors.Join(err, out.store.Close())
}
