package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/server"
)

// TestPageShowsCredentialsToThoseWhoMayWrite shows them by label, never by
// value, and says at the top which of them need a person.
func TestPageShowsCredentialsToThoseWhoMayWrite(t *testing.T) {
	eye := credentials.New(nil, nil)
	fixed := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	ask := func(context.Context, string) (credentials.Answer, error) { return credentials.Answer{}, nil }
	eye.Keep(credentials.Kept{Name: "adviser_key", Read: fixed("hunter2"), Ask: ask})
	eye.Keep(credentials.Kept{Name: "github_token", Read: fixed("hunter2"), Ask: ask})
	eye.Worked("github_token", time.Now().Add(20*24*time.Hour+time.Hour))
	eye.Refused("adviser_key", "api.example.org answers 401 <b>")
	s := newScene(t, func(o *server.Options) { o.Credentials = eye })
	s.fill()
	_, body := s.get(s.as("ana"), "/")
	for _, want := range []string{"<code>adviser_key</code> refused: api.example.org answers 401 &lt;b&gt;", "Credential adviser_key: refused", "<code>github_token</code> ends in 20 days", "Credential github_token: ends in 20 days"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(body, "hunter2") {
		t.Error("a secret is shown")
	}
	if _, body := s.get(s.as("bo"), "/"); strings.Contains(body, "adviser_key") || strings.Contains(body, `id="credentials"`) {
		t.Error("who may only read is shown the credentials")
	}
}
