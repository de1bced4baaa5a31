package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// TestPageAsksOnce shows the list of somebody who sees many repositories.
func TestPageAsksOnce(t *testing.T) {
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth = server.AuthNone })
	for i := range 40 {
		s.put(store.Upgrade{ID: fmt.Sprintf("u%02d", i), Repository: fmt.Sprintf("acme/repo-%02d", i), Service: "web", From: "1", To: "2", State: "open"}, object{})
	}
	s.trouble = "unknown key"
	if _, body := s.get(s.as(""), "/"); strings.Count(body, "is wrong, so nothing is done") != 40 {
		t.Error("not all troubles are shown")
	}
	if s.looks != 1 {
		t.Errorf("it was asked %d times how repositories stand", s.looks)
	}
}

// TestPageSkippedOfOthers has many dispatches of other repositories come after
// the one that somebody may see.
func TestPageSkippedOfOthers(t *testing.T) {
	s := newScene(t)
	s.fill()
	now := time.Now()
	for i := range 400 {
		id := fmt.Sprintf("dx%03d", i)
		if _, _, err := s.store.AddDispatch(t.Context(), store.Dispatch{ID: id, Image: "docker.io/acme/other", Tag: "latest", Received: now}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.store.SetOutcomes(t.Context(), id, "elsewhere/secret", []store.Outcome{{Repository: "elsewhere/secret", Service: "hidden-service", Reason: "latest names no version"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		who, query string
		want       bool
	}{
		{"ana", "", true},
		{"ana", "?q=LINKWARDEN+version", true},
		{"ana", "?q=linkwarden+nothing", false},
		{"ana", "?q=%25", false}, // of LIKE
		{"ana", "?q=%FF%00linkwarden", true},
		{"bo", "?q=home-ops", true},
		{"mallory", "", false},
	} {
		code, body := s.get(s.as(tc.who), "/skipped"+tc.query)
		if has := strings.Contains(body, "docker.io/linkwarden/linkwarden"); code != 200 || has != tc.want {
			t.Errorf("%s looks at /skipped%s: HTTP %d, shown: %t, want %t", tc.who, tc.query, code, has, tc.want)
		}
		if strings.Contains(body, "hidden-service") {
			t.Errorf("%s looks at /skipped%s and sees too much", tc.who, tc.query)
		}
	}
}

// TestPageForgets has upgrades deleted and their repository renamed, and the
// state fail meanwhile.
func TestPageForgets(t *testing.T) {
	at := newClock()
	s := newScene(t, func(o *server.Options) { o.Dashboard.Auth, o.Now = server.AuthNone, at.now })
	s.fill()
	c := s.as("")
	shown := func(want int, what string, names ...string) {
		t.Helper()
		code, body := s.get(c, "/")
		if code != want {
			t.Fatalf("HTTP %d, want %d", code, want)
		}
		for _, name := range names {
			if has := strings.Contains(body, name); has != (what == "shown") {
				t.Errorf("%s is not %s", name, what)
			}
		}
	}
	shown(200, "shown", "acme/home-ops", "phpipam", "linkwarden")
	if err := s.store.Rename(t.Context(), "acme/home-ops", "bo/things"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.DB().Exec("DELETE FROM upgrades WHERE id = 'uaborted'"); err != nil {
		t.Fatal(err)
	}
	at.pass(6 * time.Minute)
	mend := s.lose("upgrades")
	shown(503, "shown")
	mend()
	shown(200, "shown", "bo/things", "linkwarden")
	shown(200, "not shown", "acme/home-ops", "phpipam")
}
