package doctor

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/credential"
	"github.com/belaybot/belay/rules/policy"
)

func (d *doctor) state(ctx context.Context, say *report) {
	if d.StateProblem != "" {
		say.advised(d.StateProblem, "correct what is named there")
		return
	}
	got, err := store.Inspect(ctx, d.State)
	switch {
	case err != nil:
		say.trouble(err, "see whether the database runs and can be reached, or whether the directory of --state is readable")
	case got.Absent:
		say.note(got.Name+": there is no state yet", "nothing: belay serve makes it")
	case got.Schema > got.Known:
		say.todo(fmt.Sprintf("%s was written by a newer belay (version %d; this one knows %d)", got.Name, got.Schema, got.Known), "run that version, or a newer one")
	case got.Schema < got.Known:
		say.note(fmt.Sprintf("%s is of an older belay (version %d of %d)", got.Name, got.Schema, got.Known), "nothing: belay serve brings it up to date; keep a copy")
	default:
		say.ok("%s can be read (version %d)", got.Name, got.Schema)
	}
}

func (d *doctor) server(ctx context.Context, say *report) {
	if d.Ready == nil {
		return
	}
	if err := d.Ready(ctx); err != nil {
		say.trouble(err, "start belay serve, or correct --server (BELAY_SERVER)")
		return
	}
	say.ok("belay serve is ready")
}

// quiet is how long no dispatch may come before that is worth a word.
const quiet = 7 * 24 * time.Hour

func (d *doctor) diun(ctx context.Context, say *report) {
	if d.DiunToken == nil || d.DiunToken() == "" {
		say.unset("there is no token for DIUN: /diun refuses everybody, and dispatches come by repository_dispatch only", "set BELAY_DIUN_TOKEN_FILE, and the same in DIUN's Authorization header")
		return
	}
	say.ok("there is a token for DIUN")
	if d.Dispatched == nil {
		return
	}
	last, err := d.Dispatched(ctx)
	switch age := d.Now().Sub(last); {
	case err != nil:
		say.advised(err.Error(), "see whether belay serve runs, and whether --server (BELAY_SERVER) and BELAY_DIUN_TOKEN are its own")
	case last.IsZero():
		say.note("no dispatch has come from DIUN yet", "let DIUN's webhook notifier POST to https://HOST/diun (docs/diun.md), or try belay dispatch")
	case age > quiet:
		say.note(fmt.Sprintf("the last dispatch from DIUN came %d days ago", int(age.Hours()/24)), "see whether DIUN runs, and what its log says of the webhook notifier")
	default:
		say.ok("the last dispatch from DIUN came on %s", last.UTC().Format("2 January 15:04 MST"))
	}
}

func (d *doctor) slack(ctx context.Context, say *report) {
	switch {
	case d.NotifyProblem != "":
		say.advised(d.NotifyProblem, "correct what is named there; docs/operate.md has every setting")
	case d.Notify.SlackToken != nil:
		who, err := notify.Reach(ctx, d.Notify)
		if err != nil {
			say.advised(fmt.Sprintf("slack: %s", err), "see whether Slack can be reached from here, and BELAY_SLACK_TOKEN")
			return
		}
		say.ok("Slack knows the bot: %s, for the channel %s", who, d.Notify.SlackChannel)
	case d.Notify.SlackWebhook != nil:
		say.ok("Slack's incoming webhook is set; the first message tries it")
	default:
		say.unset("nobody is told in Slack", "set BELAY_SLACK_TOKEN and --slack-channel, if somebody is to be")
	}
}

func (d *doctor) kuma(ctx context.Context, say *report) {
	page := ""
	monitored := false
	d.configured(func(_ string, p policy.Policy) {
		if p.Verify.Kuma.StatusPage != "" {
			page = p.Verify.Kuma.StatusPage
		}
		monitored = monitored || len(p.Verify.Kuma.Monitors) > 0
	})
	switch {
	case d.KumaProblem != "":
		say.advised(d.KumaProblem, "")
	case d.Kuma != nil:
		n, err := d.Kuma.Reach(ctx, page)
		if err != nil {
			say.advised(err.Error(), "see whether it can be reached from here, and --kuma-url (BELAY_KUMA_URL)")
			return
		}
		say.ok("Uptime Kuma answers with %d monitors", n)
	case monitored || page != "":
		say.todo("belay.yml names monitors of Uptime Kuma, and its address is not known", "give --kuma-url")
	default:
		say.unset("Uptime Kuma is not configured", "")
	}
}

func (d *doctor) prometheus(ctx context.Context, say *report) {
	asked := false
	d.configured(func(_ string, p policy.Policy) { asked = asked || len(p.Verify.Prometheus.Queries) > 0 })
	switch {
	case d.PrometheusProblem != "":
		say.advised(d.PrometheusProblem, "")
	case d.Prometheus != nil:
		if err := d.Prometheus.Reach(ctx); err != nil {
			say.advised(err.Error(), "see whether it can be reached from here, and --prometheus-url (BELAY_PROMETHEUS_URL)")
			return
		}
		say.ok("Prometheus answers")
	case asked:
		say.todo("belay.yml has queries for Prometheus, and its address is not known", "give --prometheus-url")
	default:
		say.unset("Prometheus is not configured", "")
	}
}

func (d *doctor) woodpecker(ctx context.Context, say *report) {
	var names []string
	d.configured(func(name string, p policy.Policy) {
		if w := p.Apply.Woodpecker; w != nil {
			if w.Repository != "" {
				name = w.Repository
			}
			names = append(names, name)
		}
	})
	switch {
	case d.WoodpeckerProblem != "":
		say.advised(d.WoodpeckerProblem, "")
	case d.Woodpecker != nil:
		who, err := d.Woodpecker.Reach(ctx, names...)
		if err != nil {
			say.advised(err.Error(), "see whether it can be reached from here, and --woodpecker-url (BELAY_WOODPECKER_URL)")
			return
		}
		say.ok("%s", strings.TrimSuffix("Woodpecker takes the token of "+who+", who sees "+strings.Join(names, ", "), ", who sees "))
	case len(names) > 0:
		say.todo("belay.yml asks Woodpecker whether a merge was applied, and its address is not known", "give --woodpecker-url")
	default:
		say.unset("Woodpecker is not configured: GitHub's checks say whether a merge was applied", "")
	}
}

func (d *doctor) registries(ctx context.Context, say *report) {
	for _, address := range d.Registries {
		host := address
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			host = u.Host
		}
		if err := probe.Registry(ctx, d.HTTP, address); err != nil {
			say.todo(host+": "+oneLine(err.Error()), "let belay reach it: labels and digests of images are read there")
			continue
		}
		say.ok("the registry %s answers", host)
	}
}

func (d *doctor) credentials(ctx context.Context, say *report) {
	if d.AdviserProblem != "" {
		say.advised(d.AdviserProblem, "")
	}
	if d.Credentials == nil {
		return
	}
	if err := d.Credentials.Look(ctx); err != nil {
		say.trouble(err, "")
		return
	}
	fine := 0
	for _, c := range d.Credentials.List() {
		now := d.Now()
		name := variable(c.Name)
		switch c.State(now) {
		case credential.OK:
			fine++
		case credential.Refused, credential.Expired, credential.Critical:
			say.todo(name+": "+c.Line(now), "replace it")
		case credential.Warning, credential.Never, credential.Stale:
			say.note(name+": "+c.Line(now), "")
		}
	}
	if fine > 0 {
		say.ok("%d secrets are not near their end, as far as one is known", fine)
	}
}

// variable is the environment variable of a credential. What other programs call
// theirs is understood too, and has their name.
func variable(credential string) string {
	name := strings.ToUpper(credential)
	switch name {
	case "GITHUB_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN":
		return name
	}
	return "BELAY_" + name
}
