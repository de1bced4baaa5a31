package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/cmd/internal/program"
)

// pageFlags say who may look at the page.
type pageFlags struct{ auth, clientID string }

func (f *pageFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.auth, "dashboard-auth", "", "who sees the page: github (people sign in), none (whoever reaches it, on loopback only), or off; github when --github-client-id is set")
	c.Flags().StringVar(&f.clientID, "github-client-id", os.Getenv("BELAY_GITHUB_CLIENT_ID"), "client `id` of the App, for signing in [$BELAY_GITHUB_CLIENT_ID]")
	_ = c.RegisterFlagCompletionFunc("dashboard-auth", cobra.FixedCompletions([]string{server.AuthGitHub, server.AuthNone, server.AuthOff}, cobra.ShellCompDirectiveNoFileComp))
}

// options are what the page works with, as far as flags and the environment
// say it. public is where people reach belay: --url.
func (f *pageFlags) options(listen, public string, log *slog.Logger) (server.Dashboard, error) {
	d := server.Dashboard{Auth: f.auth, Public: strings.TrimSuffix(public, "/"), ClientID: f.clientID, ClientSecret: program.Rotating("GITHUB_CLIENT_SECRET")}
	if d.ClientID == "" { // kept by /setup
		d.ClientID, _ = program.Secret("GITHUB_CLIENT_ID")
	}
	if d.Auth == "" {
		d.Auth = server.AuthOff
		switch {
		case d.ClientID == "":
		case d.Public == "" && f.clientID == "":
			log.Warn("the page is off: say with --url where people reach belay, so that they can sign in")
		default:
			d.Auth = server.AuthGitHub
		}
	}
	switch d.Auth {
	case server.AuthOff:
		return d, nil
	case server.AuthNone:
		if !server.Loopback(listen) {
			return d, fmt.Errorf("--dashboard-auth none shows everything to whoever reaches --listen %s: listen on loopback (127.0.0.1:8080), or let people sign in with --dashboard-auth github", listen)
		}
		return d, nil
	case server.AuthGitHub:
	default:
		return d, fmt.Errorf("--dashboard-auth %q: choose one of github, none, off", f.auth)
	}
	if d.ClientID == "" {
		return d, errors.New("--github-client-id is missing: the App's client id, as its settings on GitHub show it (or BELAY_GITHUB_CLIENT_ID)")
	}
	if d.ClientSecret() == "" {
		return d, errors.New("the App's client secret is missing: make one in its settings on GitHub, and set BELAY_GITHUB_CLIENT_SECRET_FILE or BELAY_GITHUB_CLIENT_SECRET")
	}
	u, err := url.Parse(d.Public)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !server.Loopback(withPort(u.Host))) {
		return d, fmt.Errorf("--url %q: give the address under which people reach belay, such as https://belay.example.org; without https only on this machine itself", public)
	}
	return d, nil
}

func withPort(host string) string {
	if strings.Contains(host, ":") && !strings.HasSuffix(host, "]") {
		return host
	}
	return host + ":80"
}
