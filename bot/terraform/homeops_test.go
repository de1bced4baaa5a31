package terraform_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/pin"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sample reads the sample repository of testdata/home-ops.
func sample(t testing.TB) memory {
	t.Helper()
	dir := filepath.Join("..", "..", "testdata", "home-ops")
	m := memory{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, p))
		m[p] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHomeOpsGolden states for every pin of the sample repository what it is,
// and for every followed one the lines that change when it alone moves.
func TestHomeOpsGolden(t *testing.T) {
	files := sample(t)
	inv := scan(t, files, "stacks/*")
	if len(inv.Services) < 25 {
		t.Errorf("the sample repository has %d services, want at least 25", len(inv.Services))
	}
	var b strings.Builder
	for _, p := range inv.Pins {
		fmt.Fprintln(&b, line(p))
		if p.Reason != pin.Followed {
			continue
		}
		splices, err := p.Splices(p.Prefix+"99.1.2"+p.Suffix, "sha256:"+strings.Repeat("b", 64))
		if err != nil {
			t.Errorf("%s: %v", line(p), err)
			continue
		}
		changes, edits, err := inv.Apply(splices)
		if err != nil {
			t.Errorf("%s: %v", line(p), err)
			continue
		}
		for _, e := range edits {
			fmt.Fprintf(&b, "    - %q\n    + %q\n", e.Before, e.After)
		}
		for _, c := range changes {
			if n := differing(files[c.Path], c.Content); n != len(edits) {
				t.Errorf("%s: %d lines of %s differ, want %d", line(p), n, c.Path, len(edits))
			}
		}
	}
	for _, problem := range inv.Problems {
		fmt.Fprintf(&b, "problem: %s:%d %s\n", problem.At.Path, problem.At.Line, problem.Text)
	}
	golden := filepath.Join("testdata", "home-ops.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
