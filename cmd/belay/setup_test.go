package main

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/access"
)

// TestSetupKeepsCredentialsAndGoesOn goes from no App to one whose credentials
// lie in files that nobody else can read, and with which belay can start.
func TestSetupKeepsCredentialsAndGoesOn(t *testing.T) {
	for _, name := range kept { // the setup sets them; the test puts them back
		t.Setenv("BELAY_"+name, "")
		t.Setenv("BELAY_"+name+"_FILE", "")
	}
	t.Setenv("BELAY_DATABASE", "")
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	app := &appFlags{state: filepath.Join(t.TempDir(), "state"), url: gh.URL()}
	if app.configured() {
		t.Fatal("an App is given already")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lines, log := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		set := &setupFlags{}
		ended <- set.run(ctx, app, "", "127.0.0.1:0", slog.New(slog.NewJSONHandler(log, nil)))
		_ = log.Close()
	}()
	var line struct{ Address string }
	if err := json.NewDecoder(lines).Decode(&line); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	at, err := url.Parse(line.Address)
	if err != nil || at.Query().Get("token") == "" {
		t.Fatalf("the log says to open %q", line.Address)
	}
	base := "http://" + at.Host
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(base+"/setup", url.Values{"token": {at.Query().Get("token")}, "url": {base}, "name": {"belay"}})
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	_, rest, _ := strings.Cut(string(page), gh.URL()+"/settings/apps/new?state=")
	state, _, _ := strings.Cut(rest, `"`)
	manifest, err := json.Marshal(access.NewManifest("belay", base, base+"/setup/done"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err = browser.PostForm(gh.URL()+"/settings/apps/new?state="+state, url.Values{"manifest": {string(manifest)}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	resp, err = browser.Get(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(app.where(), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	p, err := app.parts(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.github.Key()
	if err != nil || strings.TrimSpace(string(key)) != strings.TrimSpace(string(gh.PrivateKey())) || p.github.AppID != gh.AppID() || p.webhookSecret() != gh.Secret() || len(p.diunToken()) < 20 {
		t.Errorf("belay would start with other credentials (App %d): %v", p.github.AppID, err)
	}
	if err := (&setupFlags{}).first(ctx, app, "", "no address"); err != nil { // it would listen there
		t.Errorf("the setup begins anew where there is an App: %v", err)
	}
	if err := writeFiles(app.where(), map[string]string{"app-id": "7"}); err == nil {
		t.Error("credentials are overwritten")
	}
}
