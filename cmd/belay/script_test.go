package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"belay": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts are stories of the command line, one file each under
// testdata/script. $HOME_OPS is the sample repository, $NOTES its release notes.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", "..", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "stands": stands},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME_OPS", filepath.Join(root, "home-ops"))
			e.Setenv("NOTES", filepath.Join(root, "notes"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			// Nothing in a script may reach a real server.
			e.Setenv("GITHUB_API_URL", "http://127.0.0.1:1")
			return nil
		},
	})
}

// exits runs a command that is to end with a given status: "exits 2 belay plan".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARGUMENT…]")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		status := (*exec.ExitError)(nil)
		if !errors.As(err, &status) {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(status.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("%s ends with status %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
