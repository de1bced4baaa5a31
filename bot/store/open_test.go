package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
)

func TestANewerBelayMigratesAndAnOlderOneRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		ok(t, s.Put(ctx, "before", "kept"))
		ok(t, s.Migrate(ctx, "ALTER TABLE facts ADD COLUMN later BIGINT NOT NULL DEFAULT 0", "CREATE TABLE later (id SERIAL, name TEXT NOT NULL)"))
		ok(t, s.Migrate(ctx, "ALTER TABLE facts ADD COLUMN later BIGINT NOT NULL DEFAULT 0", "CREATE TABLE later (id SERIAL, name TEXT NOT NULL)")) // what is applied is not applied again
		same(t, "what was there", "kept", must[string](t)(s.Get(ctx, "before")))
		if _, err := s.DB().ExecContext(ctx, "INSERT INTO later (name) VALUES ('x')"); err != nil {
			t.Error(err)
		}
		ok(t, s.Close())
		_, err := store.Open(ctx, p.opts)
		var newer *store.NewerError
		if !errors.As(err, &newer) || newer.Have != newer.Known+2 || !strings.Contains(err.Error(), "run that version") {
			t.Errorf("an older one: %v", err)
		}
	})
}

func TestAMigrationThatFailsChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		if err := s.Migrate(ctx, "CREATE TABLE half (n BIGINT)", "CREATE TABLE half (n BIGINT)"); err == nil || !strings.Contains(err.Error(), "migration ") {
			t.Errorf("got %v", err)
		}
		ok(t, s.Close())
		again := p.open(t)
		if _, err := again.DB().ExecContext(ctx, "CREATE TABLE half (n BIGINT)"); err != nil {
			t.Errorf("half a migration is left: %v", err)
		}
	})
}

func TestReplicasStartAtOnce(t *testing.T) {
	opts := store.Options{Database: postgres.New(t), Postgres: pool.Open}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			s, err := store.Open(ctx, opts)
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	wg.Wait()
}

func TestADirectoryIsOneProcesss(t *testing.T) {
	opts := store.Options{Dir: t.TempDir()}
	s, err := store.Open(ctx, opts)
	ok(t, err)
	if _, err := store.Open(ctx, opts); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), opts.Dir) {
		t.Errorf("the second: %v", err)
	}
	ok(t, s.Put(ctx, "the first", "goes on"))
	ok(t, s.Close())
	s, err = store.Open(ctx, opts)
	ok(t, err)
	ok(t, s.Close())
}

// TestTroubleAtTheStart opens states that are broken in every way, and expects
// an error that names the file and the way out.
func TestTroubleAtTheStart(t *testing.T) {
	full := func(t *testing.T, dir string) []byte {
		t.Helper()
		s, err := store.Open(ctx, store.Options{Dir: dir})
		ok(t, err)
		id, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1"}, nil)
		ok(t, err)
		ok(t, s.SetOutcomes(ctx, id, "acme/home-ops", slices.Repeat([]store.Outcome{{Service: "web", Reason: "not newer"}}, 5000)))
		ok(t, s.Close())
		data, err := os.ReadFile(filepath.Join(dir, "belay.db"))
		ok(t, err)
		return data
	}
	for _, row := range []struct {
		name string
		file func(data []byte) []byte
		want string
	}{
		{"text instead of a database", func([]byte) []byte { return []byte(strings.Repeat("not a database\n", 1000)) }, "run belay recover"},
		{"pages overwritten", func(d []byte) []byte {
			for i := 5 * 4096; i < len(d); i++ {
				d[i] = byte(i)
			}
			return d
		}, "run belay recover"},
		{"cut in the middle", func(d []byte) []byte { return d[:len(d)/2/4096*4096] }, "run belay recover"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "belay.db")
			ok(t, os.WriteFile(file, row.file(full(t, dir)), 0o600))
			before, err := os.ReadFile(file)
			ok(t, err)
			_, err = store.Open(ctx, store.Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
			after, err := os.ReadFile(file)
			ok(t, err)
			if string(after) != string(before) {
				t.Error("what may be looked into later was changed")
			}
		})
	}
	t.Run("a file where the directory should be", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		ok(t, os.WriteFile(file, nil, 0o600))
		if _, err := store.Open(ctx, store.Options{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no PostgreSQL there", func(t *testing.T) {
		_, err := store.Open(ctx, store.Options{Database: "postgres://ana:verysecret@127.0.0.1:1/belay", Postgres: pool.Open})
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no address", func(t *testing.T) {
		_, err := store.Open(ctx, store.Options{Database: "postgres://ana:verysecret@example.org:many/belay", Postgres: pool.Open})
		if err == nil || !strings.Contains(err.Error(), "postgres://USER") || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a PostgreSQL that takes no writes", func(t *testing.T) {
		address := postgres.New(t)
		s, err := store.Open(ctx, store.Options{Database: address, Postgres: pool.Open})
		ok(t, err)
		ok(t, s.Close())
		u, err := url.Parse(address)
		ok(t, err)
		q := u.Query()
		q.Set("default_transaction_read_only", "on")
		u.RawQuery = q.Encode()
		if _, err := store.Open(ctx, store.Options{Database: u.String(), Postgres: pool.Open}); err == nil || !strings.Contains(err.Error(), "the primary") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTroubleWhileItRuns breaks an open SQLite state. What was not stored is
// said not to be; when the trouble is over, everything goes on.
func TestTroubleWhileItRuns(t *testing.T) {
	for _, row := range []struct{ name, begin, end, want string }{
		{"the disk is full", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "make room"},
		{"it can only be read", "PRAGMA query_only = 1", "PRAGMA query_only = 0", "able to write"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
			ok(t, err)
			defer s.Close()
			_, err = s.DB().ExecContext(ctx, row.begin)
			ok(t, err)
			for i := range 3 {
				id, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: fmt.Sprint(i), HubLink: strings.Repeat("x", 1<<16)}, nil)
				if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "belay.db") {
					t.Errorf("got %v", err)
				}
				if _, err := s.Dispatch(ctx, id); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("stored after all: %v", err)
				}
			}
			var wg sync.WaitGroup
			for i := range 20 { // many together
				wg.Go(func() {
					if _, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "b", Tag: fmt.Sprint(i), HubLink: strings.Repeat("x", 1<<16)}, nil); err == nil || !strings.Contains(err.Error(), row.want) {
						t.Errorf("together: %v", err)
					}
				})
			}
			wg.Wait()
			same(t, "stored", 0, len(must[[]store.Dispatch](t)(s.Dispatches(ctx, 100))))
			ok(t, s.Ping(ctx))
			_, err = s.DB().ExecContext(ctx, row.end)
			ok(t, err)
			if _, isNew, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "0"}, nil); err != nil || !isNew {
				t.Errorf("afterwards: %v, %v", isNew, err)
			}
		})
	}
}

// TestFrequentQueriesUseAnIndex holds SQLite's plans against what grows: the
// upgrades, dispatches and events of years.
func TestFrequentQueriesUseAnIndex(t *testing.T) {
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	ok(t, err)
	defer s.Close()
	for name, query := range map[string]string{
		"open upgrades of a repository": "SELECT data FROM upgrades WHERE final = 0 AND repository = 'x' ORDER BY created, id",
		"open upgrades":                 "SELECT data FROM upgrades WHERE final = 0 ORDER BY created, id",
		"an upgrade by pull request":    "SELECT data FROM upgrades WHERE repository = 'x' AND pull = 1 AND pull > 0 ORDER BY created DESC LIMIT 1",
		"upgrades that were started":    "SELECT COUNT(*), COALESCE(MIN(started), 0) FROM upgrades WHERE repository = 'x' AND started >= 1",
		"newest upgrades":               "SELECT data FROM upgrades WHERE 1 = 1 ORDER BY updated DESC, id LIMIT 10",
		"newest dispatches":             "SELECT image FROM dispatches ORDER BY received DESC, id LIMIT 10",
		"dispatches not planned yet":    "SELECT image FROM dispatches WHERE done = 0 ORDER BY received, id LIMIT 10",
		"outcomes of dispatches":        "SELECT service FROM outcomes WHERE dispatch IN ('x', 'y') ORDER BY dispatch, repository, position",
		"the trail of an upgrade":       "SELECT what FROM events WHERE upgrade = 'x' ORDER BY id",
		"the trail from an id on":       "SELECT what FROM events WHERE id > 1 ORDER BY id LIMIT 10",
		"what is forgotten":             "DELETE FROM remembered WHERE until < 1",
		"blocks of a service":           "SELECT why FROM blocks WHERE repository = 'x' AND service = 'y' ORDER BY at",
	} {
		plan := explain(t, s, query)
		if !strings.Contains(plan, "INDEX") && !strings.Contains(plan, "PRIMARY KEY") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

func explain(t *testing.T, s *store.Store, query string) string {
	t.Helper()
	rows, err := s.Reader().QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query)
	ok(t, err)
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		ok(t, rows.Scan(&id, &parent, &unused, &detail))
		out = append(out, detail)
	}
	ok(t, rows.Err())
	return strings.Join(out, "; ")
}

func TestAnyDirectoryHoldsItsOwnState(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	for _, name := range []string{"a", "a#b", "a#c", "a?mode=memory", "100%", "a%23b", "with blanks"} {
		dir := filepath.Join(top, name)
		st, err := store.Open(t.Context(), store.Options{Dir: dir})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = st.Close()
		if info, err := os.Stat(filepath.Join(dir, "belay.db")); err != nil || info.Size() == 0 {
			t.Errorf("%s: nothing is in it: %v", name, err)
		}
	}
	if list, _ := os.ReadDir(top); len(list) != 7 {
		t.Errorf("there are %d entries beside each other: %v", len(list), list)
	}
}
