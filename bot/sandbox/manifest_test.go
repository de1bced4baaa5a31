package sandbox_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/access"
)

// agree has a person create an App from belay's manifest, and returns where
// GitHub sends the person then.
func agree(t *testing.T, address string, m access.Manifest) *url.URL {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(address, url.Values{"manifest": {string(text)}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("HTTP %d: %v", resp.StatusCode, err)
	}
	return to
}

// created creates an App by the manifest flow, as belay's setup does.
func created(t *testing.T, gh *sandbox.GitHub) {
	t.Helper()
	m := access.NewManifest("belay-acme", "https://belay.example.org", "https://belay.example.org/setup/done")
	to := agree(t, gh.URL()+"/organizations/acme/settings/apps/new?state=xyz", m)
	if to.Query().Get("state") != "xyz" || to.Path != "/setup/done" {
		t.Errorf("GitHub leads to %s", to)
	}
	opts := github.Options{URL: gh.URL()}
	got, err := github.Convert(t.Context(), opts, to.Query().Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != gh.AppID() || got.Key != string(gh.PrivateKey()) || got.WebhookSecret != gh.Secret() {
		t.Errorf("other credentials than the stand-in's: %d", got.ID)
	}
	if _, err := github.Convert(t.Context(), opts, to.Query().Get("code")); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("the code is good twice: %v", err)
	}
	self, _, err := app(t, gh).Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lacking, more, deaf := access.Lacking(self.Permissions), access.Needless(self.Permissions), access.Unheard(self.Events); len(lacking)+len(more)+len(deaf) > 0 {
		t.Errorf("the App made from the manifest lacks %v, may %v too much, and does not hear of %v", lacking, more, deaf)
	}
	hook, err := app(t, gh).Hook(t.Context())
	if err != nil || hook.URL != "https://belay.example.org/github/webhook" {
		t.Errorf("webhooks go to %q, %v", hook.URL, err)
	}
}
