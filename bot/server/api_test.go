package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// TestAnUpgradeHasOneForm asks for the same upgrades wherever they are in JSON.
func TestAnUpgradeHasOneForm(t *testing.T) {
	s := newScene(t, func(o *server.Options) { o.Bulk = &bulk{} })
	s.fill()
	s.put(store.Upgrade{ID: "ubroken", Service: "broken", From: "1", To: "2", State: "open"}, object{"risk": 7})
	if err := s.store.SetOutcomes(t.Context(), "d1", "acme/home-ops", []store.Outcome{{Repository: "acme/home-ops", Service: "url", Upgrade: "uopen"}, {Repository: "acme/home-ops", Service: "phpipam", Upgrade: "uaborted"},
		{Repository: "acme/home-ops", Service: "paperless-ngx", Upgrade: "ureverted"}, {Repository: "acme/home-ops", Service: "broken", Upgrade: "ubroken"}}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, into any) {
		t.Helper()
		req, err := http.NewRequest(method, s.web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, data)
		}
	}
	type list struct {
		Upgrades []object `json:"upgrades"`
	}
	byID := func(l list) map[string]object {
		out := map[string]object{}
		for _, u := range l.Upgrades {
			id, _ := u["id"].(string)
			out[id] = u
		}
		return out
	}
	var status, standing, page list
	ask(http.MethodGet, "/api/status", "", &status)
	ask(http.MethodPost, "/api/dispatches", `{"ids": ["d1"]}`, &standing)
	ask(http.MethodGet, "/api/upgrades", "", &page)
	want := byID(status)
	for _, id := range []string{"uopen", "uaborted", "ureverted"} {
		var one struct {
			Upgrade object   `json:"upgrade"`
			Shown   object   `json:"shown"`
			Trail   []object `json:"trail"`
		}
		ask(http.MethodGet, "/api/upgrades/"+id, "", &one)
		for name, got := range map[string]object{"/api/dispatches": byID(standing)[id], "/api/upgrades": byID(page)[id], "/api/upgrades/" + id: one.Upgrade} {
			if diff := cmp.Diff(want[id], got); diff != "" || len(got) == 0 {
				t.Errorf("%s: %s has another form than /api/status (-want +got):\n%s", id, name, diff)
			}
		}
		if one.Shown["waits"] != want[id]["waits"] || len(one.Trail) == 0 || one.Trail[0]["upgrade"] != id || one.Trail[0]["what"] != "open pull request" {
			t.Errorf("%s: shown %v, trail %v", id, one.Shown["waits"], one.Trail)
		}
	}
	if got := want["ureverted"]["failure"]; got != "container paperless-ngx was killed for want of memory (OOMKilled)" {
		t.Errorf("it failed because %q", got)
	}
	if l, _ := want["uopen"]["ladder"].(object); l["place"] != 2.0 {
		t.Errorf("its ladder is %v", l)
	}
	if broken := byID(standing)["ubroken"]; broken["service"] != "broken" || broken["to"] != "2" {
		t.Errorf("a record that cannot be read shows %v", broken)
	}
}
