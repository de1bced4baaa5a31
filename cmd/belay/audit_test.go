package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/cmd/internal/program"
)

// trail makes a state with two upgrades and n events of each.
func trail(t *testing.T, dir string, n int) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	begun := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, name := range []string{"web", "wiki"} {
		u, _, err := st.CreateUpgrade(t.Context(), store.Upgrade{ID: "u" + name, Repository: "acme/home-ops", Service: name, State: "open", From: "1.0.0", To: "1.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		var events []store.Event
		for i := range n {
			events = append(events, store.Event{Upgrade: u.ID, At: begun.Add(time.Duration(i) * time.Hour), Who: "ana", What: "command", Why: fmt.Sprintf("hold <%d> & go", i), Data: map[string]string{"comment": fmt.Sprint(i)}})
		}
		if _, err := st.SaveUpgrade(t.Context(), u, events...); err != nil {
			t.Fatal(err)
		}
	}
}

// audit runs the command and reads what it prints.
func audit(t *testing.T, args ...string) (lines []server.AuditLine, code int, errs string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(append([]string{"audit"}, args...), strings.NewReader(""), &out, &problems)
	for dec := json.NewDecoder(&out); dec.More(); {
		var l server.AuditLine
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines, code, problems.String()
}

func TestAudit(t *testing.T) {
	const n = 700 // more than one page of the state
	dir := t.TempDir()
	trail(t, dir, n)
	all, code, errs := audit(t, "--state", dir)
	if code != program.ExitOK || len(all) != 2*n {
		t.Fatalf("exit %d, %d lines, %s", code, len(all), errs)
	}
	if l := all[3]; l.Who != "ana" || l.What != "command" || l.Why != "hold <3> & go" || l.Data["comment"] != "3" || l.Upgrade != "uweb" || l.Service != "web" || l.Repository != "acme/home-ops" || l.From != "1.0.0" || l.To != "1.0.1" {
		t.Errorf("line 4 is %+v", l)
	}

	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	handler := server.New(server.Options{Store: st, DiunToken: func() string { return "t" }, WebhookSecret: func() string { return "" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Handler()
	var breaks atomic.Int64 // answers that break off
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if breaks.Add(-1) < 0 {
			handler.ServeHTTP(w, req)
			return
		}
		handler.ServeHTTP(&short{ResponseWriter: w, left: 20_000}, req)
	}))
	defer web.Close()
	t.Setenv("BELAY_DIUN_TOKEN", "t")
	for _, row := range []struct {
		name string
		args []string
		want int
	}{
		{"everything", nil, 2 * n},
		{"of a service", []string{"--service", "wiki"}, n},
		{"of a repository, in any case", []string{"--repo", "ACME/home-ops"}, 2 * n},
		{"of another repository", []string{"--repo", "acme/other"}, 0},
		{"of an upgrade", []string{"--upgrade", "uweb"}, n},
		{"since a moment", []string{"--service", "web", "--since", "2026-03-04T07:06:07Z"}, n - 2},
		{"since a day", []string{"--service", "web", "--since", "2026-03-05"}, n - 19},
		{"behind an event", []string{"--after", fmt.Sprint(all[n].ID)}, n - 1},
		{"behind the last", []string{"--after", fmt.Sprint(all[2*n-1].ID)}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, code, errs := audit(t, append(row.args, "--server", web.URL)...)
			if code != program.ExitOK || len(got) != row.want {
				t.Errorf("exit %d, %d lines, want %d; %s", code, len(got), row.want, errs)
			}
		})
	}
	t.Run("an answer that breaks off is gone on with", func(t *testing.T) {
		breaks.Store(2)
		got, code, errs := audit(t, "--server", web.URL)
		if code != program.ExitOK || len(got) != 2*n {
			t.Fatalf("exit %d, %d lines; %s", code, len(got), errs)
		}
		for i := range got {
			if got[i].ID != all[i].ID {
				t.Fatalf("line %d is event %d, want %d", i, got[i].ID, all[i].ID)
			}
		}
	})
	t.Run("and one that breaks off for good says where to go on", func(t *testing.T) {
		breaks.Store(1000)
		defer breaks.Store(0)
		got, code, errs := audit(t, "--server", web.URL)
		if code != program.ExitFailed || len(got) == 0 || !strings.Contains(errs, fmt.Sprintf("--after %d", got[len(got)-1].ID)) {
			t.Errorf("exit %d, %d lines; %s", code, len(got), errs)
		}
	})
	t.Run("a wrong token", func(t *testing.T) {
		t.Setenv("BELAY_DIUN_TOKEN", "x")
		if _, code, errs := audit(t, "--server", web.URL); code != program.ExitFailed || !strings.Contains(errs, "token") {
			t.Errorf("exit %d; %s", code, errs)
		}
	})
	t.Run("a time that is none", func(t *testing.T) {
		if _, code, errs := audit(t, "--server", web.URL, "--since", "yesterday"); code != program.ExitUsage || !strings.Contains(errs, "36h") {
			t.Errorf("exit %d; %s", code, errs)
		}
	})
}

// short is an answer whose connection breaks.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left < 0 {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return s.ResponseWriter.Write(b)
}

func (s *short) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// TestAuditFreezes: who froze what is part of the trail, from the state and from
// a server alike.
func TestAuditFreezes(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, f := range []store.Freeze{{Repository: "acme/home-ops", Who: "ana", Reason: "the <database> moves"}, {Who: "bo"}} {
		if err := st.Freeze(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		now = now.Add(24 * time.Hour)
	}
	if _, err := st.Thaw(t.Context(), "acme/home-ops", "bo"); err != nil {
		t.Fatal(err)
	}
	handler := server.New(server.Options{Store: st, DiunToken: func() string { return "t" }, WebhookSecret: func() string { return "" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Handler()
	web := httptest.NewServer(handler)
	defer web.Close()
	t.Setenv("BELAY_DIUN_TOKEN", "t")
	const first = `{"repository":"acme/home-ops","who":"ana","reason":"the <database> moves","at":"2026-03-04T05:06:07Z","ended":"2026-03-06T05:06:07Z","ended_by":"bo"}` + "\n"
	const all = `{"repository":"","who":"bo","at":"2026-03-05T05:06:07Z"}` + "\n"
	ask := func(args ...string) (string, int, string) {
		var out, problems bytes.Buffer
		code := run(append([]string{"audit", "--freezes"}, args...), strings.NewReader(""), &out, &problems)
		return out.String(), code, problems.String()
	}
	for _, row := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{name: "everything", want: first + all},
		{name: "of a repository, in any case", args: []string{"--repo", "ACME/home-ops"}, want: first + all},
		{name: "of another one, which that of all concerns", args: []string{"--repo", "acme/other"}, want: all},
		{name: "that lasted since a day", args: []string{"--since", "2026-03-06"}, want: first + all},
		{name: "that last still", args: []string{"--since", "2026-03-07"}, want: all},
		{name: "of a service", args: []string{"--service", "web"}, code: program.ExitUsage},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, code, errs := ask(append(row.args, "--server", web.URL)...); got != row.want || code != row.code {
				t.Errorf("exit %d, %s\n%s", code, errs, got)
			}
		})
	}
	t.Run("a wrong token", func(t *testing.T) {
		t.Setenv("BELAY_DIUN_TOKEN", "x")
		if _, code, errs := ask("--server", web.URL); code != program.ExitFailed || !strings.Contains(errs, "token") {
			t.Errorf("exit %d; %s", code, errs)
		}
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if got, code, errs := ask("--state", dir); got != first+all || code != program.ExitOK {
		t.Errorf("from the state: exit %d, %s\n%s", code, errs, got)
	}
}
