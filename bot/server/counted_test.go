package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/plan"
)

// bulk takes what it is told to take, and then fails.
type bulk struct{ taken []store.Taken }

func (b *bulk) TakeBulk(context.Context, store.Dispatch, bool) (store.Taken, error) {
	if len(b.taken) == 0 {
		return store.Taken{}, errors.New("disk full")
	}
	got := b.taken[0]
	b.taken = b.taken[1:]
	return got, nil
}
func (*bulk) LimitRun(context.Context, string, int) error { return nil }
func (*bulk) Preview(context.Context, plan.Dispatch) ([]reconcile.Previewed, error) {
	return nil, nil
}

// TestDispatchesAreCounted sends dispatches by all ways, and reads how many came.
func TestDispatchesAreCounted(t *testing.T) {
	g := newGate(t, func(o *server.Options) {
		o.Bulk = &bulk{taken: []store.Taken{{ID: "d1", New: true}, {ID: "d2"}, {ID: "d3", Again: true}}}
	})
	send := func(method, path, token, body string) {
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		req.Header.Set("X-Belay-Token", token)
		g.srv.Handler().ServeHTTP(httptest.NewRecorder(), req)
	}
	const one = `{"image":"acme/web","tag":"1.0.1"}`
	send(http.MethodPost, "/diun", "token", one)
	send(http.MethodPost, "/diun", "token", one)
	send(http.MethodPost, "/diun", "guessed", one)
	send(http.MethodGet, "/diun", "", "")
	hook := func(guid, payload string) {
		g.post("repository_dispatch", guid, `{"action":"diun","client_payload":`+payload+`,"repository":{"full_name":"acme/home-ops"}}`)
	}
	hook("1", one)
	hook("2", one)
	hook("3", `{"image":"acme/web"}`)
	mend := g.lose("dispatches")
	hook("4", one)
	mend()
	send(http.MethodPost, "/api/bulk", "token", `{"dispatches":[`+one+`,`+one+`,`+one+`,`+one+`]}`)
	rec := httptest.NewRecorder()
	g.srv.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var got []string
	for line := range strings.Lines(rec.Body.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "belay_dispatches_total"); ok && !strings.HasSuffix(rest, " 0") {
			got = append(got, rest)
		}
	}
	want := []string{`{code="200",source="bulk"} 1`, `{code="200",source="diun"} 1`, `{code="200",source="repository_dispatch"} 1`, `{code="202",source="bulk"} 2`, `{code="202",source="diun"} 1`,
		`{code="202",source="repository_dispatch"} 1`, `{code="400",source="repository_dispatch"} 1`, `{code="401",source="diun"} 1`, `{code="405",source="diun"} 1`, `{code="503",source="bulk"} 1`, `{code="503",source="repository_dispatch"} 1`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
