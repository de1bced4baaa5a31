package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/doctor"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/deploy"
)

type doctorFlags struct {
	app        appFlags
	tell       program.TellFlags
	see        program.SeeFlags
	ask        program.AdviserFlags
	server     remote
	registries []string
	json       bool
	patience   time.Duration
}

func newDoctor() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything live, and say what to do",
		Long: `Doctor looks at everything that belay serve works with, by the same flags and
variables: the App with its permissions and webhooks, the repositories and
their configuration, the cluster and belay's rights in it, backups, Slack and
whatever else is configured. It changes nothing. Each line is right (ok), worth
knowing (note), not configured (unset), or to be done (todo).

Exit status: 0, 1 when something has to be done, 2 for bad use.`,
		Example: `  BELAY_APP_ID=1042 BELAY_APP_KEY_FILE=app.pem belay doctor
  belay doctor --json | jq '.lines[] | select(.state == "todo")'
  kubectl exec -n belay statefulset/belay -- belay doctor`,
		Args: program.NoArgs,
		RunE: f.run,
	}
	f.app.flags(c)
	f.tell.Flags(c)
	f.see.Flags(c)
	f.ask.Flags(c)
	f.server.flags(c)
	c.Flags().StringSliceVar(&f.registries, "registry", []string{"https://ghcr.io", "https://registry-1.docker.io"}, "`URL`s of container registries to look at; \"\" for none")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().DurationVar(&f.patience, "timeout", 20*time.Second, "how long one answer may take")
	return c
}

func (f *doctorFlags) run(c *cobra.Command, _ []string) error {
	lines := doctor.Examine(c.Context(), f.options())
	err := c.Context().Err()
	if err != nil {
		return err
	}
	if f.json {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(map[string]any{"healthy": doctor.Healthy(lines), "lines": lines})
	} else {
		err = doctorText(c.OutOrStdout(), lines)
	}
	if err == nil && !doctor.Healthy(lines) {
		n := 0
		for _, l := range lines {
			if l.State == doctor.Todo {
				n++
			}
		}
		return fmt.Errorf("things to do: %d", n)
	}
	return err
}

func doctorText(out io.Writer, lines []doctor.Line) error {
	for _, l := range lines {
		if _, err := fmt.Fprintf(out, "%-5s  %-11s  %s\n", l.State, l.Area, l.Text); err != nil {
			return err
		}
		if l.Do != "" && l.State != doctor.OK {
			fmt.Fprintf(out, "%-5s  %-11s  → %s\n", "", "", l.Do)
		}
	}
	return nil
}

// options are the parts as belay serve would make them. What cannot be made is
// a line of the doctor's, and no error.
func (f *doctorFlags) options() doctor.Options {
	opts := doctor.Options{Roles: deploy.RBAC, Patience: f.patience, HTTP: &http.Client{Timeout: f.patience}}
	p, err := f.app.parts(os.Stderr)
	if err == nil {
		opts.App, err = github.New(p.github)
	}
	if err != nil {
		opts.AppProblem = err.Error()
		if !errors.Is(err, errNoApp) {
			opts.AppDo = "correct what is named there; the App's settings on GitHub show its number, and make a key"
		}
	}
	database, err := databaseOf(f.app.postgres)
	if err != nil {
		opts.StateProblem = err.Error()
	}
	opts.State = store.Options{Dir: f.app.state, Database: database, Postgres: pool.Open}
	opts.WebhookSecret, opts.DiunToken = program.Rotating("WEBHOOK_SECRET"), program.Rotating("DIUN_TOKEN")
	opts.Credentials = p.credentials
	if p.credentials != nil {
		keepSecrets(f.see, p.credentials)
	}
	// The adviser's keys are listed by making one; nothing is asked of it here.
	if _, err := f.ask.Open(nil, p.credentials, program.AdviserCredentials(), p.log); err != nil {
		opts.AdviserProblem = err.Error()
	}
	if opts.Notify, err = f.tell.Options(); err != nil {
		opts.NotifyProblem = err.Error()
	}
	for _, r := range f.registries {
		if r != "" {
			opts.Registries = append(opts.Registries, r)
		}
	}
	opts.Ready, opts.Dispatched = f.ready, f.dispatched
	f.observers(&opts)
	return opts
}

// observers adds what sees the cluster and the services.
func (f *doctorFlags) observers(opts *doctor.Options) {
	config, err := f.see.Cluster()
	if config != nil {
		config.Timeout = f.patience
		opts.Cluster, err = cluster.New(cluster.Options{Config: config})
	}
	if err != nil {
		opts.ClusterProblem = err.Error()
	}
	p := f.see.Probes()
	opts.Kuma, opts.Prometheus, opts.Woodpecker = p.Kuma, p.Prometheus, p.Woodpecker
	for text, problem := range map[*string]error{&opts.KumaProblem: p.KumaProblem, &opts.PrometheusProblem: p.PrometheusProblem, &opts.WoodpeckerProblem: p.WoodpeckerProblem} {
		if problem != nil {
			*text = problem.Error()
		}
	}
}

// ready asks the running belay whether it is.
func (f *doctorFlags) ready(ctx context.Context) error {
	if err := f.server.right(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.server.server, "/")+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("belay serve does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("belay serve is not ready: %s", strings.TrimSpace(string(text)))
	}
	return nil
}

// fromDIUN is the source of what comes to /diun. What belay found by a scan, or
// was sent in bulk, says nothing about DIUN.
const fromDIUN = "diun"

// dispatched asks the running belay when the last dispatch came from DIUN.
func (f *doctorFlags) dispatched(ctx context.Context) (time.Time, error) {
	code, data, err := f.server.do(ctx, http.MethodGet, "/api/status?limit=1&source="+fromDIUN, nil)
	if err != nil {
		return time.Time{}, err
	}
	if code == http.StatusUnauthorized {
		return time.Time{}, errors.New("belay serve has another token than BELAY_DIUN_TOKEN here: set the same")
	}
	if code != http.StatusOK {
		return time.Time{}, refused(code, data)
	}
	var got server.Status
	if err := json.Unmarshal(data, &got); err != nil {
		return time.Time{}, fmt.Errorf("the answer of belay serve cannot be read: %w", err)
	}
	var last time.Time
	for _, d := range got.Dispatches {
		if d.Source == fromDIUN && d.Received.After(last) {
			last = d.Received
		}
	}
	return last, nil
}
