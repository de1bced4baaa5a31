package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/cmd/internal/program"
)

// lookEvery is how often whom the credentials are for is asked: often enough
// that one is noticed as stale because of trouble and not of silence.
const lookEvery = 6 * time.Hour

// secretNames are the secrets of which an end may be configured, each without
// BELAY_. Those that somebody can be asked about are kept with their question
// where their address is known.
var secretNames = []string{"APP_KEY", "WEBHOOK_SECRET", "DIUN_TOKEN", "SLACK_TOKEN", "NOTIFY_SECRET", "KUMA_KEY"}

// keepSecret has an eye kept on BELAY_NAME. When it was made and how long it
// lives are read from BELAY_NAME_MINTED and BELAY_NAME_LIFETIME.
func keepSecret(r *credentials.Registry, name string, ask func(context.Context, string) (credentials.Answer, error)) {
	from := func(name string) func() (string, error) {
		return func() (string, error) { return program.Secret(name) }
	}
	r.Keep(credentials.Kept{Name: strings.ToLower(name), Read: from(name), Minted: from(name + "_MINTED"), Lifetime: from(name + "_LIFETIME"), Ask: ask})
}

// keepGitHubToken has an eye kept on GITHUB_TOKEN, which release notes are
// looked up with. Anybody may ask for /meta, so that a refusal speaks of the token.
func keepGitHubToken(r *credentials.Registry, api string) {
	r.Keep(credentials.Kept{Name: "github_token", Read: func() (string, error) { return os.Getenv("GITHUB_TOKEN"), nil },
		Ask: credentials.Get(nil, strings.TrimSuffix(api, "/")+"/meta", credentials.Bearer)})
}

// keepSecrets has an eye kept on what observes and on what belay itself is spoken to with.
func keepSecrets(f program.SeeFlags, r *credentials.Registry) {
	for _, name := range secretNames {
		keepSecret(r, name, nil)
	}
	if f.Prometheus != "" {
		keepSecret(r, "PROMETHEUS_TOKEN", credentials.Get(nil, strings.TrimSuffix(f.Prometheus, "/")+"/api/v1/status/buildinfo", credentials.Bearer))
	}
	if f.Woodpecker != "" {
		keepSecret(r, "WOODPECKER_TOKEN", credentials.Get(nil, strings.TrimSuffix(f.Woodpecker, "/")+"/api/user", credentials.Bearer))
	}
}

// looking asks at once and every lookEvery, until the context ends.
func looking(ctx context.Context, r *credentials.Registry) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for r.Look(ctx) == nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
