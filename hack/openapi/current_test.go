package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const contract = "../../bot/sandbox/contract"

var update = flag.Bool("update", false, "rewrite bot/sandbox/contract from the packages that its README names")

// committed reads the files of the contract, with the versions that its README names.
func committed(t *testing.T) []made {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(contract, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []made
	for _, s := range sources {
		m := made{name: s.file, pkg: s.pkg}
		for line := range strings.Lines(string(text)) {
			if cells := strings.Split(line, "|"); len(cells) > 4 && strings.TrimSpace(cells[2]) == s.pkg {
				m.version = strings.TrimSpace(cells[3])
			}
		}
		f, err := os.Open(filepath.Join(contract, s.file+".gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if m.data, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// TestCurrentContract holds the committed files against their README and
// against lists.go: none was changed by hand, and none is older than the lists.
func TestCurrentContract(t *testing.T) {
	files := committed(t)
	text, err := os.ReadFile(filepath.Join(contract, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(readme(files), string(text)); diff != "" {
		t.Errorf("the README does not speak of these files: run go run ./hack/openapi (-want +got):\n%s", diff)
	}
	var rest struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	var hooks struct {
		Webhooks map[string]any `json:"x-webhooks"`
	}
	if err := errors.Join(json.Unmarshal(files[0].data, &rest), json.Unmarshal(files[1].data, &hooks)); err != nil {
		t.Fatal(err)
	}
	var have, described []string
	for path, methods := range rest.Paths {
		for method := range methods {
			have = append(have, method+" "+path)
		}
	}
	for w := range hooks.Webhooks {
		described = append(described, w)
	}
	if diff := cmp.Diff(sorted(operations), sorted(have)); diff != "" {
		t.Errorf("rest.json.gz and the list of operations (-list +file):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(webhooks), sorted(described)); diff != "" {
		t.Errorf("webhooks.json.gz and the list of webhooks (-list +file):\n%s", diff)
	}
	schema := string(files[3].data)
	for name, list := range fields {
		_, body, ok := strings.Cut(schema, " "+name+" ")
		if !ok {
			t.Errorf("schema.graphql.gz has no type %s", name)
			continue
		}
		body, _, _ = strings.Cut(body, "\n}")
		for _, f := range strings.Fields(list) {
			if !strings.Contains(body, "\t"+f+":") && !strings.Contains(body, "\t"+f+"(") {
				t.Errorf("schema.graphql.gz has no %s.%s", name, f)
			}
		}
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// TestCurrentPackages makes the files anew from the packages that the README
// names and compares. The packages are looked for in BELAY_GITHUB_DESCRIPTION,
// else in the user's cache, and fetched with npm into it when they are missing.
func TestCurrentPackages(t *testing.T) {
	files := committed(t)
	dir := os.Getenv("BELAY_GITHUB_DESCRIPTION")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("GitHub's descriptions have no place to be kept: %v: set BELAY_GITHUB_DESCRIPTION to a directory with the packages", err)
		}
		dir = filepath.Join(cache, "belay", "github-description")
	}
	var missing []string
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(dir, tarball(f.pkg, f.version))); err != nil {
			missing = append(missing, f.pkg+"@"+f.version)
		}
	}
	if len(missing) > 0 {
		if testing.Short() {
			t.Skipf("%s not in %s: fetching them (31 MB) is left out by -short", strings.Join(missing, ", "), dir)
		}
		fetch(t, dir, missing)
	}
	only := t.TempDir() // newer packages may lie beside these
	for _, f := range files {
		name := tarball(f.pkg, f.version)
		if err := os.Symlink(filepath.Join(abs(t, dir), name), filepath.Join(only, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := build(only)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := run(only, contract); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, f := range files {
		if !bytes.Equal(got[i].data, f.data) {
			t.Errorf("%s.gz is not what hack/openapi makes of %s %s (%s, %s): run go run ./hack/openapi -dir %s", f.name, f.pkg, f.version, got[i].sum(), f.sum(), dir)
		}
	}
	t.Logf("%d files are what hack/openapi makes of %s", len(files), dir)
}

// fetch has npm put packages into a directory.
func fetch(t *testing.T, dir string, packages []string) {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Fatalf("%s not in %s, and there is no npm to fetch them with: install npm, or set BELAY_GITHUB_DESCRIPTION", strings.Join(packages, ", "), dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp(dir, "fetch") // a download that breaks off leaves nothing behind under its name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	cmd := exec.CommandContext(t.Context(), npm, append([]string{"pack", "--silent"}, packages...)...)
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm could not fetch %s: %v: %s: set BELAY_GITHUB_DESCRIPTION to a directory with the packages", strings.Join(packages, ", "), err, out)
	}
	names, err := filepath.Glob(filepath.Join(temp, "*.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Rename(name, filepath.Join(dir, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
}

func abs(t *testing.T, dir string) string {
	t.Helper()
	out, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What is asked for and missing is named, so that a list that is wrong is
// noticed when it is written.
func TestListsThatAskForTooMuch(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		run        func() error
	}{
		{"an operation that GitHub does not describe", "get /teapot", func() error {
			_, err := trim([]byte(`{"paths":{"/app":{"get":{}}}}`), []string{"get /app", "get /teapot"})
			return err
		}},
		{"a reference that leads nowhere", "#/components/schemas/lost", func() error {
			_, err := trim([]byte(`{"paths":{"/app":{"get":{"x":{"$ref":"#/components/schemas/lost"}}}}}`), []string{"get /app"})
			return err
		}},
		{"webhooks that are not described", "pull-request-opened", func() error { _, err := trimWebhooks([]byte(`{"webhooks":{}}`)); return err }},
		{"webhooks without an example", "pull_request", func() error { _, err := examples([]byte(`[]`)); return err }},
		{"a GraphQL schema without a type", "no type", func() error { _, err := trimSchema([]byte(`type Nothing { id: ID }`)); return err }},
		{"packages that are not there", "npm pack", func() error { _, err := build(t.TempDir()); return err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.run(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
		})
	}
}
