package main

import (
	"context"
	"database/sql"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox/registry"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/plan"
)

// standIn is belay's door with a state behind it, and a planner that knows three
// images: acme/web is opened and verified, acme/blog waits for the limit, and no
// other is used.
type standIn struct {
	store *store.Store
	now   time.Time
}

func (s *standIn) Wake(context.Context, string) error                { return nil }
func (s *standIn) DispatchTx(context.Context, *sql.Tx, string) error { return nil }
func (s *standIn) LimitRun(_ context.Context, _ string, _ int) error { return nil }
func (s *standIn) Preview(_ context.Context, d plan.Dispatch) ([]reconcile.Previewed, error) {
	switch name := d.Image.Familiar(); name {
	case "acme/web":
		return []reconcile.Previewed{{Repository: "acme/home-ops", Service: "web", From: "1.0.0", To: d.Tag, Risk: "safe"}}, nil
	case "acme/blog":
		return []reconcile.Previewed{{Repository: "acme/home-ops", Service: "blog", From: "3.0.0", To: d.Tag, Risk: "caution"}}, nil
	default:
		return []reconcile.Previewed{{Repository: "acme/home-ops", Reason: "image " + name + " is not used in this repository"}}, nil
	}
}

func (s *standIn) TakeBulk(ctx context.Context, d store.Dispatch, again bool) (store.Taken, error) {
	got, err := s.store.TakeDispatch(ctx, d, again, func(context.Context, *sql.Tx, string) error { return nil })
	if got.Again { // and to nothing again
		return got, s.store.FinishDispatch(ctx, got.ID)
	}
	if err != nil || !got.New {
		return got, err
	}
	s.now = s.now.Add(time.Second)
	u := store.Upgrade{Repository: "acme/home-ops", Lane: d.Image, To: d.Tag, Created: s.now}
	o := store.Outcome{Repository: "acme/home-ops", At: s.now}
	switch strings.TrimPrefix(d.Image, "docker.io/") {
	case "acme/web":
		u.ID, u.Service, u.From, u.State, u.Final, u.Pull = "uweb"+d.Tag, "web", "1.0.0", "verified", true, 7
	case "acme/blog":
		u.ID, u.Service, u.From, u.State, u.Data = "ublog"+d.Tag, "blog", "3.0.0", "queued", []byte(`{"waits":"waits for the rate limit: until Mon 2 Mar 18:00 UTC"}`)
	default:
		o.Reason = "image " + strings.TrimPrefix(d.Image, "docker.io/") + " is not used in this repository"
	}
	if o.Service, o.Upgrade = u.Service, u.ID; u.ID != "" {
		if _, _, err := s.store.CreateUpgrade(ctx, u); err != nil {
			return got, err
		}
	}
	if err := s.store.SetOutcomes(ctx, got.ID, "acme/home-ops", []store.Outcome{o}); err != nil {
		return got, err
	}
	return got, s.store.FinishDispatch(ctx, got.ID)
}

// newStandIn starts the door; it is at the URL until end is called.
func newStandIn(dir string) (url string, end func(), err error) {
	st, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		return "", nil, err
	}
	s := &standIn{store: st, now: time.Now()}
	srv := httptest.NewServer(server.New(server.Options{Store: st, Queue: s, Bulk: s, DiunToken: func() string { return "token" }, WebhookSecret: func() string { return "" }}).Handler())
	return srv.URL, func() { srv.Close(); _ = st.Close() }, nil
}

// stands starts what a script speaks to: "stands belay" sets $BELAY_SERVER and
// its token, "stands registry acme/web 1.0.0 1.1.0" sets $REGISTRY.
func stands(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: stands belay | registry NAME TAG…")
	case args[0] == "belay":
		url, end, err := newStandIn(ts.MkAbs("state"))
		ts.Check(err)
		ts.Defer(end)
		ts.Setenv("BELAY_SERVER", url)
		ts.Setenv("BELAY_DIUN_TOKEN", "token")
	case args[0] == "registry" && len(args) > 1:
		r := registry.New(registry.Options{})
		ts.Defer(r.Close)
		r.Push(args[1], args[2:]...)
		ts.Setenv("REGISTRY", r.Host())
	default:
		ts.Fatalf("nothing stands in for %q", args[0])
	}
}

func TestBulkProgress(t *testing.T) {
	var plain, terminal strings.Builder
	for _, p := range []*progress{{out: &plain}, {out: &terminal, redraw: true}} {
		for i := range 40 {
			p.bar("sending", i+1, 40)
		}
		p.clear()
	}
	if got := plain.String(); strings.Count(got, "\n") != 10 || !strings.HasSuffix(got, "sending: 40 of 40\n") {
		t.Errorf("elsewhere:\n%s", got)
	}
	if got := terminal.String(); strings.Contains(got, "\n") || !strings.Contains(got, "sending [##########----------] 20 of 40") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("on a terminal:\n%q", got)
	}
}

func TestBulkAsks(t *testing.T) {
	for in, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		var out strings.Builder
		if got := agreed(strings.NewReader(in), &out, "Send 2 dispatches?"); got != want || out.String() != "Send 2 dispatches? [y/N] " {
			t.Errorf("%q: %v, %q", in, got, out.String())
		}
	}
}
