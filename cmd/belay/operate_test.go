package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestOperateCurrent checks that docs/operate.md names every flag, variable,
// state and event that there is.
func TestOperateCurrent(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	serve := newServe()
	serve.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(doc, "`--"+f.Name+"` |") {
			t.Errorf("--%s is not in the table of flags", f.Name)
		}
	})
	for _, name := range regexp.MustCompile(`BELAY_[A-Z_]+[A-Z]`).FindAllString(serve.Long+serve.Flags().FlagUsages(), -1) {
		if name != "BELAY_NAME" && name != "BELAY_NAME_FILE" && !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("%s is not in the table of variables", name)
		}
	}
	happenings := []string{string(lifecycle.Publish), string(lifecycle.Discard), string(lifecycle.Backup), string(lifecycle.Merge),
		string(lifecycle.Undo), string(lifecycle.DiscardUndo), string(lifecycle.Restore), string(lifecycle.MergeUndo)}
	for _, s := range lifecycle.States() {
		if !strings.Contains(doc, "\n| "+string(s)+" |") {
			t.Errorf("the state %q is not explained", s)
		}
		happenings = append(happenings, string(s))
	}
	for _, what := range happenings {
		for _, again := range []bool{false, true} {
			a, told := report.Announce(report.UpgradeView{}, report.Happening{What: what, Again: again})
			if told && !strings.Contains(doc, "\n| `"+a.Event+"` |") {
				t.Errorf("the event %q is not explained", a.Event)
			}
		}
	}
}
