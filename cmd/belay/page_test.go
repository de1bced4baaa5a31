package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/server"
)

func TestPageFlags(t *testing.T) {
	const id = "Iv23liexample"
	for _, tc := range []struct {
		name             string
		flags            pageFlags
		secret, kept     string
		listen, url      string
		auth, complaints string
	}{
		{name: "nothing is said", auth: server.AuthOff},
		{name: "a client id turns signing in on", flags: pageFlags{clientID: id}, secret: "s", url: "https://belay.example.org/", auth: server.AuthGitHub},
		{name: "what /setup kept does, too", kept: id, secret: "s", url: "https://belay.example.org", auth: server.AuthGitHub},
		{name: "what /setup kept does not stop belay without an address", kept: id, secret: "s", auth: server.AuthOff},
		{name: "a client id without an address", flags: pageFlags{clientID: id}, secret: "s", complaints: "--url"},
		{name: "http on another host", flags: pageFlags{clientID: id}, secret: "s", url: "http://belay.example.org", complaints: "https"},
		{name: "http on this machine", flags: pageFlags{clientID: id}, secret: "s", url: "http://127.0.0.1:8080", auth: server.AuthGitHub},
		{name: "an address with a path", flags: pageFlags{clientID: id}, secret: "s", url: "https://example.org/belay", complaints: "--url"},
		{name: "no secret", flags: pageFlags{clientID: id}, url: "https://belay.example.org", complaints: "BELAY_GITHUB_CLIENT_SECRET"},
		{name: "github without a client id", flags: pageFlags{auth: server.AuthGitHub}, secret: "s", url: "https://belay.example.org", complaints: "--github-client-id"},
		{name: "none on loopback", flags: pageFlags{auth: server.AuthNone}, listen: "127.0.0.1:8080", auth: server.AuthNone},
		{name: "none on every address", flags: pageFlags{auth: server.AuthNone}, listen: ":8080", complaints: "loopback"},
		{name: "none on an address of the network", flags: pageFlags{auth: server.AuthNone}, listen: "192.0.2.1:8080", complaints: "loopback"},
		{name: "off in spite of a client id", flags: pageFlags{auth: server.AuthOff, clientID: id}, auth: server.AuthOff},
		{name: "a word that is none", flags: pageFlags{auth: "basic"}, complaints: "github, none, off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("BELAY_GITHUB_CLIENT_SECRET", tc.secret)
			t.Setenv("BELAY_GITHUB_CLIENT_ID", tc.kept)
			listen := tc.listen
			if listen == "" {
				listen = ":8080"
			}
			d, err := tc.flags.options(listen, tc.url, slog.New(slog.NewTextHandler(io.Discard, nil)))
			switch {
			case tc.complaints != "" && (err == nil || !strings.Contains(err.Error(), tc.complaints)):
				t.Errorf("%v, want a word of %q", err, tc.complaints)
			case tc.complaints == "" && (err != nil || d.Auth != tc.auth || strings.HasSuffix(d.Public, "/")):
				t.Errorf("%q at %q, %v; want %q", d.Auth, d.Public, err, tc.auth)
			}
		})
	}
}
