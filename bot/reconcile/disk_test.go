package reconcile_test

import (
	"context"
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
	writable := func(no string) {
		t.Helper()
		if _, err := w.life.store.DB().ExecContext(ctx, "PRAGMA query_only = "+no); err != nil {
			t.Fatal(err)
		}
	}
	w.gh.SetWebhook("") // a webhook that is given up would bring a new connection, which may write
	writable("1")
	w.repo.SetStatus(w.pull("web").Head, "terraform plan", "success")
	for what, err := range map[string]error{
		"a wake": w.life.engine.Wake(ctx, u.ID),
		"a look": func() error { _, err := w.life.rec.Reconcile(ctx, u.ID); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "belay has to be able to write it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if p := w.pull("web"); p.State != "open" || w.image("web") != "acme/web:1.0.0" {
		t.Errorf("the pull request is %s, main runs %s", p.State, w.image("web"))
	}
	writable("0")
	if err := w.life.engine.Wake(ctx, u.ID); err != nil {
		t.Fatal(err)
	}
	w.waits("web", lifecycle.Unverified, "")
}
