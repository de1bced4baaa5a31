package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/cmd/internal/program"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestInitGolden states the first configuration for the sample repository.
func TestInitGolden(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"init", "--repo", filepath.Join("..", "..", "testdata", "home-ops")}, nil, &out, &errs); code != program.ExitOK {
		t.Fatalf("exit status %d: %s", code, errs.String())
	}
	golden(t, "init/home-ops.golden", out.Bytes())
	var checked bytes.Buffer
	if code := run([]string{"config", "check", "-"}, bytes.NewReader(out.Bytes()), &checked, &errs); code != program.ExitOK {
		t.Errorf("belay config check refuses it: %s", errs.String())
	}
}
