package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/cmd/internal/program"
)

func TestBelayAction(t *testing.T) {
	for _, v := range []string{"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY"} {
		t.Setenv(v, "")
	}
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"alone it shows its help", nil, program.ExitOK, "  action "},
		{"it has a version", []string{"version"}, program.ExitOK, "belay "},
		{"outside of a workflow there is nothing to act on", []string{"action"}, program.ExitUsage, "GITHUB_EVENT_NAME"},
		{"a command that belay alone has", []string{"serve"}, program.ExitUsage, `unknown command "serve": belay-action --help lists them`},
		{"a command that was misspelt", []string{"acton"}, program.ExitUsage, `did you mean "action"?`},
		{"a flag that there is not", []string{"action", "--state", "x"}, program.ExitUsage, "see belay-action action --help"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(tc.args, strings.NewReader(""), &out, &out); code != tc.code || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, want %d with %q:\n%s", code, tc.code, tc.says, out.String())
			}
		})
	}
}

// TestLeavesOutWhatAWorkflowDoesNotNeed holds the program small: what it links it
// has to be built with, on every runner.
func TestLeavesOutWhatAWorkflowDoesNotNeed(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "github.com/belaybot/belay/bot/action") {
		t.Fatal("the list is another program's")
	}
	const belay = "github.com/belaybot/belay/"
	for _, name := range []string{belay + "bot/server", belay + "bot/server/page", belay + "bot/sandbox", belay + "bot/engine", "github.com/jackc/pgx/v5"} {
		if slices.Contains(linked, name) {
			t.Errorf("it links %s", name)
		}
	}
}
