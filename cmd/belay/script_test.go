package main

import (
	"os"
	"path/filepath"
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
		Dir: filepath.Join("testdata", "script"),
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
