package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
)

// TestDoctorAsksForTheLastDispatchOfDIUN holds that what a scan found is not
// taken for a sign of life of DIUN's, whatever the server sends.
func TestDoctorAsksForTheLastDispatchOfDIUN(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked = req.URL.Query().Get("source")
		_ = json.NewEncoder(w).Encode(server.Status{Dispatches: []server.Dispatch{
			{Source: "scan", Received: noon}, {Source: "diun", Received: noon.Add(-48 * time.Hour)},
		}})
	}))
	defer s.Close()
	f := doctorFlags{server: remote{server: s.URL, token: "x"}}
	if last, err := f.dispatched(t.Context()); err != nil || asked != "diun" || !last.Equal(noon.Add(-48*time.Hour)) {
		t.Errorf("asked for %q, got %s, %v", asked, last, err)
	}
}
