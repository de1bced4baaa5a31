package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/cmd/internal/program"
)

// auditAsk is what is asked of the trail.
type auditAsk struct {
	store.TrailFilter
	state   string // read from it in place of a server; "": a server
	since   string
	freezes bool
}

func newAudit() *cobra.Command {
	var r remote
	var ask auditAsk
	var postgres string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Export the audit trail: who did what to which upgrade, when and why",
		Long: `Audit prints the trail as JSON lines, oldest first, one for each event. It asks a
running belay, or with --state or --database (or BELAY_DATABASE) reads the state itself; SQLite
lets only one process have it, so stop belay serve for that.

Every line has an id that grows: --after ID goes on behind it, so that a repeated
export misses nothing and repeats nothing. Freezes are no part of an upgrade and
stand apart: --freezes prints who froze what, when, why, and who ended it.`,
		Example: `  belay audit --repo acme/home-ops --since 2026-03-01 > trail.jsonl
  belay audit --after 4711
  belay audit --freezes --since 720h
  belay audit --state /var/lib/belay --upgrade uIK3VQ2M5ZJXA`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if ask.since != "" {
				t, err := moment(ask.since)
				if err != nil {
					return program.Usage(fmt.Errorf("--since: %w", err))
				}
				ask.Since = t
			}
			if ask.freezes && (ask.Service != "" || ask.Upgrade != "" || ask.After != 0) {
				return program.Usage(errors.New("--freezes goes with --repo and --since alone: a freeze is of a repository, and has no id"))
			}
			database, err := databaseOf(postgres)
			if err != nil {
				return err
			}
			if ask.state != "" || postgres != "" || database != "" && !c.Flags().Changed("server") {
				return auditState(c.Context(), ask, database, c.OutOrStdout())
			}
			if ask.freezes {
				return auditFreezes(c.Context(), &r, ask, c.OutOrStdout())
			}
			return auditServer(c.Context(), &r, ask, c.OutOrStdout())
		},
	}
	r.flags(c)
	c.Flags().StringVar(&ask.state, "state", "", "`directory` of the state to read, in place of asking a server")
	c.Flags().StringVar(&ask.Repository, "repo", "", "only this `repository`, as owner/name")
	c.Flags().StringVar(&ask.Service, "service", "", "only this `service`")
	c.Flags().StringVar(&ask.Upgrade, "upgrade", "", "only the upgrade with this `id`")
	c.Flags().StringVar(&ask.since, "since", "", "only what happened since this `time`: 2026-03-04, 2026-03-04T05:06:07Z, or 36h ago as 36h")
	c.Flags().Int64Var(&ask.After, "after", 0, "go on after the event with this `id`")
	c.Flags().BoolVar(&ask.freezes, "freezes", false, "the freezes in place of the events of upgrades")
	databaseFlag(c, &postgres)
	_ = c.MarkFlagDirname("state")
	return c
}

// moment reads a time: a day, a time, or how long ago.
func moment(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: give 2026-03-04, 2026-03-04T05:06:07Z, or 36h", text)
}

func auditState(ctx context.Context, ask auditAsk, database string, out io.Writer) error {
	where := store.Options{Dir: ask.state, Database: database, Postgres: pool.Open}
	switch found, err := store.Inspect(ctx, where); { // opening would make or change what is not there yet
	case err != nil:
		return err
	case found.Absent || found.Schema == 0:
		return program.Usage(fmt.Errorf("%s: there is no state: give the --state of belay serve", found.Name))
	case found.Schema != found.Known:
		return program.Usage(fmt.Errorf("%s: the state has version %d, and this belay knows %d: use the belay that runs on it", found.Name, found.Schema, found.Known))
	}
	st, err := store.Open(ctx, where)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	if ask.freezes {
		err = server.WriteFreezes(ctx, st, ask.Repository, ask.Since, w)
	} else {
		err = server.WriteAudit(ctx, st, ask.TrailFilter, w, nil)
	}
	return errors.Join(err, w.Flush(), st.Close())
}

// auditFreezes copies the freezes that a server knows.
func auditFreezes(ctx context.Context, r *remote, ask auditAsk, out io.Writer) error {
	q := url.Values{}
	if ask.Repository != "" {
		q.Set("repo", ask.Repository)
	}
	lines, err := ask.lines(ctx, r, "/api/audit/freezes", q)
	if err != nil {
		return err
	}
	defer lines.Close()
	if _, err := io.Copy(out, lines); err != nil {
		return fmt.Errorf("the answer broke off: ask again: %w", err)
	}
	return nil
}

// lines asks a server for JSON lines, as old as is asked for. Close what comes back.
func (ask *auditAsk) lines(ctx context.Context, r *remote, path string, q url.Values) (io.ReadCloser, error) {
	if !ask.Since.IsZero() {
		q.Set("since", ask.Since.UTC().Format(time.RFC3339))
	}
	resp, err := r.open(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, refused(resp.StatusCode, data)
	}
	return resp.Body, nil
}

// auditTries is how often an export that breaks off goes on where it was.
const auditTries = 3

func auditServer(ctx context.Context, r *remote, ask auditAsk, out io.Writer) error {
	w := bufio.NewWriter(out)
	var err error
	for range auditTries {
		before := ask.After
		err = auditOnce(ctx, r, &ask, w)
		if err == nil || ctx.Err() != nil || program.IsUsage(err) || ask.After == before {
			break
		}
	}
	return errors.Join(err, w.Flush())
}

// auditOnce copies lines until the end, and notes the last one that is whole.
func auditOnce(ctx context.Context, r *remote, ask *auditAsk, w io.Writer) error {
	q := url.Values{}
	for name, value := range map[string]string{"repo": ask.Repository, "service": ask.Service, "upgrade": ask.Upgrade} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if ask.After > 0 {
		q.Set("after", strconv.FormatInt(ask.After, 10))
	}
	body, err := ask.lines(ctx, r, "/api/audit", q)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the trail broke off after event %d: belay audit --after %d goes on: %w", ask.After, ask.After, err)
		}
		var id struct {
			ID int64 `json:"id"`
		}
		if err := json.Unmarshal(line, &id); err != nil {
			return fmt.Errorf("the answer is not belay's: %w", err)
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		ask.After = id.ID
	}
}
