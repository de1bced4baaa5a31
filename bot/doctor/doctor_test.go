package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/doctor"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/deploy"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { os.Exit(kube.Main(m)) }

const config = `apply: { checks: [ci/apply] }
`

// clinic is a world in which everything is right, until a test spoils it.
type clinic struct {
	*testing.T
	gh    *sandbox.GitHub
	repo  *sandbox.Repository
	slack *sandbox.Slack
	app   github.Options
	opts  doctor.Options
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{T: t}
	var err error
	c.gh, err = sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	c.must(err)
	t.Cleanup(func() { _ = c.gh.Close() })
	c.repo, err = c.gh.AddRepository("acme", "home-ops", map[string]string{"main.tf": "a = 1\n", ".github/belay.yml": config})
	c.must(err)
	c.repo.RequireChecks("lint")
	c.slack, err = sandbox.NewSlack(sandbox.SlackOptions{Report: func(err error) { t.Error(err) }})
	c.must(err)
	t.Cleanup(func() { _ = c.slack.Close() })
	c.hook(http.StatusAccepted)
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	c.must(err)
	c.must(s.Close())
	c.app = github.Options{AppID: c.gh.AppID(), URL: c.gh.URL(), Key: func() ([]byte, error) { return c.gh.PrivateKey(), nil }}
	eye := credentials.New(nil, nil)
	eye.Keep(credentials.Kept{Name: "diun_token", Read: func() (string, error) { return "the token of DIUN", nil }})
	c.opts = doctor.Options{Roles: deploy.RBAC, WebhookSecret: c.gh.Secret, DiunToken: func() string { return "the token of DIUN" },
		Notify: notify.Options{SlackAPI: c.slack.URL(), SlackChannel: "C0123456789", SlackToken: c.slack.Token},
		State:  store.Options{Dir: dir}, Ready: func(context.Context) error { return nil },
		Dispatched:  func(context.Context) (time.Time, error) { return time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), nil },
		Registries:  []string{c.serve(http.StatusUnauthorized, "")},
		Credentials: eye, Now: time.Now,
	}
	c.opts.Dispatched = func(context.Context) (time.Time, error) { return c.opts.Now().Add(-time.Minute), nil }
	return c
}

func (c *clinic) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// serve is a server that always answers the same.
func (c *clinic) serve(status int, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	c.Cleanup(s.Close)
	return s.URL
}

// hook has GitHub send a webhook that is answered with a status.
func (c *clinic) hook(status int) {
	c.gh.SetWebhook(c.serve(status, "") + "/github/webhook")
	c.gh.Ping()
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	c.must(c.gh.Flush(ctx))
}

// commit changes the configuration on the default branch.
func (c *clinic) configure(text string) {
	_, err := c.repo.Push("ana", "main", "configure", map[string]string{".github/belay.yml": text})
	c.must(err)
}

var (
	local  = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	moment = regexp.MustCompile(`\d+ \w+ \d\d:\d\d UTC`)
	number = regexp.MustCompile(`installations/\d+`)
	schema = regexp.MustCompile(`\(version \d+\)`)
	hooks  = regexp.MustCompile(`all of the \d+ webhooks`)
	tmp    = regexp.MustCompile(`/tmp/\S+/belay\.db`)
)

// said are the lines as text, without what differs from run to run.
func said(lines []doctor.Line, keep func(doctor.Line) bool) string {
	var b strings.Builder
	for _, l := range lines {
		if !keep(l) {
			continue
		}
		fmt.Fprintf(&b, "%-5s %-11s %s\n", l.State, l.Area, l.Text)
		if l.Do != "" {
			fmt.Fprintf(&b, "%17s → %s\n", "", l.Do)
		}
	}
	text := local.ReplaceAllString(b.String(), "127.0.0.1:PORT")
	text = moment.ReplaceAllString(text, "DAY")
	text = number.ReplaceAllString(text, "installations/N")
	text = hooks.ReplaceAllString(text, "all of the N webhooks")
	text = schema.ReplaceAllString(text, "(version N)")
	return tmp.ReplaceAllString(text, "STATE/belay.db")
}

// examine asks the doctor, and holds that no secret is in what it says.
func (c *clinic) examine() []doctor.Line {
	c.Helper()
	if c.app.AppID != 0 {
		var err error
		c.opts.App, err = github.New(c.app)
		c.must(err)
	}
	lines := doctor.Examine(c.Context(), c.opts)
	text := said(lines, func(doctor.Line) bool { return true })
	for _, secret := range append(c.gh.Secrets(), c.slack.Token(), "the token of DIUN", "hunter2") {
		if strings.Contains(text, secret) {
			c.Errorf("a secret is in\n%s", text)
		}
	}
	return lines
}

// spoiled are the failure modes, each with what it says.
var spoiled = []struct {
	name  string
	spoil func(c *clinic)
}{
	{"no App is configured", func(c *clinic) {
		c.app.AppID, c.opts.AppProblem = 0, "--app-id is missing: the App's number, as GitHub's settings of the App show it (or BELAY_APP_ID)"
	}},
	{"the private key is no key", func(c *clinic) { c.app.Key = func() ([]byte, error) { return []byte("hunter2"), nil } }},
	{"the App's number is another's", func(c *clinic) { c.app.AppID = 7 }},
	{"GitHub is out of reach", func(c *clinic) { c.app.URL = "http://127.0.0.1:1" }},
	{"the clock is behind", func(c *clinic) { c.app.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) } }},
	{"the clock is so far ahead that GitHub refuses", func(c *clinic) {
		c.app.Now = func() time.Time { return time.Date(2030, 1, 1, 1, 0, 0, 0, time.UTC) }
		c.gh.Inject(func(int, *http.Request) *sandbox.Fault {
			return &sandbox.Fault{Status: 401, Header: http.Header{"Date": {"Tue, 01 Jan 2030 00:00:00 GMT"}, "Content-Type": {"application/json"}},
				Body: `{"message": "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"}`}
		})
	}},
	{"a permission is missing", func(c *clinic) { c.gh.SetPermission("checks", "") }},
	{"a permission is too weak", func(c *clinic) { c.gh.SetPermission("contents", "read") }},
	{"more permissions than needed", func(c *clinic) { c.gh.SetPermission("workflows", "write") }},
	{"events are missing", func(c *clinic) { c.gh.SetEvents("push", "pull_request") }},
	{"new permissions were not accepted yet", func(c *clinic) {
		c.gh.SetPermission("statuses", "")
		c.gh.KeepAccepted("acme")
		c.gh.SetPermission("statuses", "read")
	}},
	{"the App is installed nowhere", func(c *clinic) { c.gh.Uninstall("acme") }},
	{"the installation is suspended", func(c *clinic) { c.gh.Suspend("acme", true) }},
	{"the installation has no repositories", func(c *clinic) { c.repo.SetInstalled(false) }},
	{"squash merges are not allowed", func(c *clinic) { c.repo.SetSquash(false) }},
	{"a ruleset allows other merges only", func(c *clinic) { c.repo.RuleMethods("merge", "rebase") }},
	{"a ruleset asks for a merge queue", func(c *clinic) { c.repo.RuleQueue() }},
	{"no checks are required", func(c *clinic) { c.repo.RequireChecks() }},
	{"the repository is archived", func(c *clinic) { c.repo.SetArchived(true) }},
	{"the configuration is wrong", func(c *clinic) { c.configure("stepz: every\n") }},
	{"the configuration does not say what applies", func(c *clinic) { c.configure("steps: every\n") }},
	{"there is no webhook secret", func(c *clinic) { c.opts.WebhookSecret = func() string { return "" } }},
	{"GitHub's webhook secret is another", func(c *clinic) { c.hook(http.StatusUnauthorized) }},
	{"nothing answers at the webhook's address", func(c *clinic) { c.hook(http.StatusBadGateway) }},
	{"a webhook failed earlier", func(c *clinic) { c.hook(http.StatusBadGateway); c.hook(http.StatusAccepted) }},
	{"the webhook's path is wrong", func(c *clinic) { c.gh.SetWebhook("https://belay.example.org/") }},
	{"there was a cluster and there is none", func(c *clinic) {
		c.opts.ClusterProblem = "no cluster to be found: stat /etc/kube: no such file or directory"
	}},
	{"a service's name is misspelt", func(c *clinic) {
		c.configure(config + "databases: { home-op: { backup: { none: it keeps no state } } }\n")
	}},
	{"a backup is configured and no cluster", func(c *clinic) {
		c.configure("databases: { links: { backup: { cronjob: dbaas/dump } } }\napply: { checks: [a] }\n")
	}},
	{"there is no state yet", func(c *clinic) { c.opts.State.Dir = c.TempDir() }},
	{"the database is out of reach", func(c *clinic) {
		c.opts.State = store.Options{Database: "postgres://belay:hunter2@127.0.0.1:1/belay", Postgres: pool.Open}
	}},
	{"belay does not run", func(c *clinic) {
		c.opts.Ready = func(context.Context) error { return errors.New("belay serve does not answer: connection refused") }
	}},
	{"there is no token for DIUN", func(c *clinic) { c.opts.DiunToken = func() string { return "" } }},
	{"no dispatch has come yet", func(c *clinic) {
		c.opts.Dispatched = func(context.Context) (time.Time, error) { return time.Time{}, nil }
	}},
	{"DIUN has been quiet for long", func(c *clinic) {
		c.opts.Dispatched = func(context.Context) (time.Time, error) { return time.Now().Add(-20*24*time.Hour - time.Hour), nil }
	}},
	{"Slack does not take the token", func(c *clinic) { c.opts.Notify.SlackToken = func() string { return "xoxb-hunter2" } }},
	{"Slack is half configured", func(c *clinic) { c.opts.NotifyProblem = "--slack-channel is missing: the id of the channel" }},
	{"Uptime Kuma refuses the key", func(c *clinic) { c.kuma(c.serve(http.StatusUnauthorized, "")) }},
	{"Uptime Kuma answers", func(c *clinic) {
		c.kuma(c.serve(http.StatusOK, "# TYPE monitor_status gauge\nmonitor_status{monitor_name=\"links\",monitor_type=\"http\"} 1\n"))
	}},
	{"monitors are named and no Uptime Kuma", func(c *clinic) {
		c.configure("verify: { kuma: { monitors: { links: Links } } }\napply: { checks: [a] }\n")
	}},
	{"Prometheus is out of reach", func(c *clinic) {
		var err error
		c.opts.Prometheus, err = probe.NewPrometheus(probe.PrometheusOptions{URL: "http://127.0.0.1:1"})
		c.must(err)
	}},
	{"Prometheus answers", func(c *clinic) {
		var err error
		c.opts.Prometheus, err = probe.NewPrometheus(probe.PrometheusOptions{URL: c.serve(http.StatusOK, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}`)})
		c.must(err)
	}},
	{"Woodpecker refuses the token", func(c *clinic) { c.woodpecker(c.serve(http.StatusUnauthorized, "")) }},
	{"Woodpecker answers", func(c *clinic) { c.woodpecker(c.serve(http.StatusOK, `{"id": 3, "login": "ana"}`)) }},
	{"Woodpecker is named and its address is not", func(c *clinic) {
		c.configure("apply: { checks: [apply], woodpecker: { repository: acme/home-ops } }\n")
	}},
	{"a registry is out of reach", func(c *clinic) { c.opts.Registries = []string{"http://127.0.0.1:1"} }},
	{"a secret has ended", func(c *clinic) {
		c.opts.Credentials.Keep(credentials.Kept{Name: "woodpecker_token", Read: func() (string, error) { return "hunter2", nil },
			Ask: func(context.Context, string) (credentials.Answer, error) {
				return credentials.Answer{}, fmt.Errorf("ci.example.org answers 401: %w", credentials.ErrRefused)
			}})
	}},
	{"the adviser's key, by the name of others, has ended", func(c *clinic) {
		c.opts.Credentials.Keep(credentials.Kept{Name: "anthropic_api_key", Read: func() (string, error) { return "hunter2", nil },
			Ask: func(context.Context, string) (credentials.Answer, error) {
				return credentials.Answer{}, fmt.Errorf("the adviser answers 401: %w", credentials.ErrRefused)
			}})
	}},
	{"Woodpecker says what applies, by all of its workflows", func(c *clinic) {
		c.configure("apply: { woodpecker: { repository: acme/home-ops } }\n")
	}},
	{"something does not answer in time", func(c *clinic) {
		c.opts.Patience = 500 * time.Millisecond
		c.opts.Ready = func(ctx context.Context) error { <-c.Context().Done(); return nil } // heeds nobody's time-out
	}},
}

func (c *clinic) kuma(address string) {
	var err error
	c.opts.Kuma, err = probe.NewKuma(probe.KumaOptions{URL: address, Key: func() string { return "hunter2" }})
	c.must(err)
}

func (c *clinic) woodpecker(address string) {
	var err error
	c.opts.Woodpecker, err = probe.NewWoodpecker(probe.WoodpeckerOptions{URL: address, Token: func() string { return "hunter2" }})
	c.must(err)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestDoctorGolden states what is said when all is well, and for every failure
// mode what is said that was not said before.
func TestDoctorGolden(t *testing.T) {
	well := newClinic(t).examine()
	if !doctor.Healthy(well) {
		t.Error("all is well, and there is something to do")
	}
	usual := map[string]bool{}
	for _, l := range well {
		usual[said([]doctor.Line{l}, func(doctor.Line) bool { return true })] = true
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "## all is well\n%s", said(well, func(doctor.Line) bool { return true }))
	for _, tc := range spoiled {
		t.Run(tc.name, func(t *testing.T) {
			c := newClinic(t)
			tc.spoil(c)
			text := said(c.examine(), func(l doctor.Line) bool {
				return !usual[said([]doctor.Line{l}, func(doctor.Line) bool { return true })]
			})
			if text == "" {
				t.Error("nothing is said of it")
			}
			fmt.Fprintf(&b, "\n## %s\n%s", tc.name, text)
		})
	}
	golden(t, "doctor.golden", b.Bytes())
}
