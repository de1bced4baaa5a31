package reconcile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
)

// TestNothingIsMergedThatCannotBeRecorded takes the state's disk away when an
// upgrade is about to be merged, and gives it back.
func TestNothingIsMergedThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.repo.AutoChecks(map[string]string{"deploy": "success"})
	w.repo.RequireChecks("terraform plan")
	w.dispatch("acme/web", "1.0.1")
	u := w.waits("web", lifecycle.Open, "waits for the checks")
	ctx := context.Background()
	refuse(t, w.life.store.DB(), true)
	w.repo.SetStatus(w.pull("web").Head, "terraform plan", "success")
	for what, err := range map[string]error{
		"a wake": w.life.engine.Wake(ctx, u.ID),
		"a look": func() error { _, err := w.life.rec.Reconcile(ctx, u.ID); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if p := w.pull("web"); p.State != "open" || w.image("web") != "acme/web:1.0.0" {
		t.Errorf("the pull request is %s, main runs %s", p.State, w.image("web"))
	}
	refuse(t, w.life.store.DB(), false)
	if err := w.life.engine.Wake(ctx, u.ID); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Unverified, "")
}

// refuse has the database refuse every change, or take them again. It is said in
// the database itself: a setting of one connection would be gone with it.
func refuse(t *testing.T, db *sql.DB, on bool) {
	t.Helper()
	ctx := context.Background()
	rows, err := db.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
			statement := fmt.Sprintf("CREATE TRIGGER gone_%s_%s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END", table, change, change, table)
			if !on {
				statement = fmt.Sprintf("DROP TRIGGER gone_%s_%s", table, change)
			}
			if _, err := db.ExecContext(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
	}
}
