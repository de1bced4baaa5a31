package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// TestWhatWaitsIsShown has a dispatch that could not be planned for one service,
// and looks for it in the page, in the status and in the metrics.
func TestWhatWaitsIsShown(t *testing.T) {
	at := &clock{at: time.Now().Truncate(time.Second)}
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth, o.Now = server.AuthNone, at.now })
	const reason = "the registry could not be asked: connection refused"
	since := at.now().Add(-2 * time.Hour)
	d := store.Dispatch{ID: store.DispatchID("docker.io/acme/web", "1.0.1", "", ""), Image: "docker.io/acme/web", Tag: "1.0.1", Received: since}
	if _, _, err := s.store.AddDispatch(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	stuck := func(how store.Stuck) {
		t.Helper()
		if err := s.store.SetOutcomes(t.Context(), d.ID, "acme/home-ops", []store.Outcome{{Repository: "acme/home-ops", Service: "blog", Reason: reason, At: since, Stuck: how}}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(method, path, body string) string {
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		req.Header.Set("X-Belay-Token", "token")
		rec := httptest.NewRecorder()
		s.srv.Handler().ServeHTTP(rec, req)
		return rec.Body.String()
	}
	status := func() server.Dispatch {
		t.Helper()
		var got server.Status
		if err := json.Unmarshal([]byte(ask(http.MethodGet, "/api/status", "")), &got); err != nil || len(got.Dispatches) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		return got.Dispatches[0]
	}

	stuck(store.Waits)
	if _, body := s.get(s.as(""), "/skipped"); !strings.Contains(body, "<b>waits</b> since <time") || !strings.Contains(body, reason) {
		t.Errorf("the page does not say that it waits:\n%s", body)
	}
	if got := status(); got.Done || len(got.Outcomes) != 1 || got.Outcomes[0].Stuck != "waits" || got.Outcomes[0].Reason != reason || got.Outcomes[0].Since == nil || !got.Outcomes[0].Since.Equal(since) {
		t.Errorf("the status says %+v", got)
	}
	if got := ask(http.MethodGet, "/metrics", ""); !strings.Contains(got, "belay_dispatch_unplanned_age_seconds 7200\n") {
		t.Error("the metrics do not say how long it waits")
	}

	for i := range 120 { // that came later, and led to nothing
		id := fmt.Sprintf("dx%03d", i)
		if _, _, err := s.store.AddDispatch(t.Context(), store.Dispatch{ID: id, Image: "docker.io/acme/other", Tag: "latest", Source: "diun", Received: at.now()}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.store.SetOutcomes(t.Context(), id, "acme/home-ops", []store.Outcome{{Repository: "acme/home-ops", Reason: "latest names no version"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.store.FinishDispatch(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := s.get(s.as(""), "/skipped"); strings.Count(body, reason) != 1 {
		t.Error("the page shows what waits no more, or twice")
	}
	for query, want := range map[string]int{"?limit=10": 1, "?limit=1000": 1, "?limit=10&source=diun": 0} {
		if n := strings.Count(ask(http.MethodGet, "/api/status"+query, ""), reason); n != want {
			t.Errorf("/api/status%s shows what waits %d times, want %d", query, n, want)
		}
	}
	for i := range 120 {
		if _, err := s.store.DB().ExecContext(t.Context(), "DELETE FROM dispatches WHERE id = ?", fmt.Sprintf("dx%03d", i)); err != nil {
			t.Fatal(err)
		}
	}

	stuck(store.GivenUp)
	if err := s.store.FinishDispatch(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if got := ask(http.MethodGet, "/metrics", ""); !strings.Contains(got, "belay_dispatch_unplanned_age_seconds 0\n") {
		t.Error("the metrics say that it waits still")
	}
	if got := status(); !got.Done || got.Outcomes[0].Stuck != "given up" || got.Outcomes[0].Since != nil {
		t.Errorf("the status says %+v", got)
	}
	ask(http.MethodPost, "/diun", `{"image":"acme/web","tag":"1.0.1"}`)
	if got := status(); got.Done {
		t.Error("what was given up and came again is not planned again")
	}
}
