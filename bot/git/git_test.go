package git_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/git"
)

// write puts files into dir; a value "-> x" makes a symbolic link to x.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, p)
		} else {
			err = os.WriteFile(p, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// commit records everything in dir and returns the commit's id.
func commit(t *testing.T, repo *gogit.Repository, message string) string {
	t.Helper()
	wt, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if err := wt.AddWithOptions(&gogit.AddOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	who := &object.Signature{Name: "acme", Email: "ops@example.org", When: time.Unix(1700000000, 0)}
	hash, err := wt.Commit(message, &gogit.CommitOptions{Author: who, Committer: who})
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func paths(t *testing.T, tree git.Tree) []string {
	t.Helper()
	files, err := tree.Files(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		p := f.Path
		if f.Link != "" {
			p += " -> " + f.Link
		}
		out = append(out, p)
	}
	return out
}

// sample makes a repository with two commits and returns its directory and the first commit.
func sample(t *testing.T) (dir, first string) {
	t.Helper()
	dir = t.TempDir()
	repo, err := gogit.PlainInit(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{
		"stacks/url/main.tf":  "old\r\n",
		"stacks/url/link.tf":  "-> main.tf",
		"stacks/out.tf":       "-> ../../../etc/hostname",
		"modules/m/main.tf":   "m",
		"stacks/url/a.tf":     "a",
		"stacks/url-two/a.tf": "b",
	})
	first = commit(t, repo, "one")
	write(t, dir, map[string]string{"stacks/url/main.tf": "new\r\n"})
	commit(t, repo, "two")
	// What lies about in a work tree but is nobody's work.
	write(t, dir, map[string]string{
		".terraform/modules/x/main.tf": "cache",
		"nested/.git":                  "gitdir: elsewhere",
		"nested/main.tf":               "another repository",
	})
	return dir, first
}

var sampleFiles = []string{
	"modules/m/main.tf", "stacks/out.tf -> ../../../etc/hostname", "stacks/url-two/a.tf",
	"stacks/url/a.tf", "stacks/url/link.tf -> main.tf", "stacks/url/main.tf",
}

func TestOpen(t *testing.T) {
	dir, first := sample(t)
	bare := filepath.Join(t.TempDir(), "mirror.git")
	if _, err := gogit.PlainClone(bare, true, &gogit.CloneOptions{URL: dir}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, dir, rev string
		files          []string
		file, content  string
	}{
		{"a work tree shows what lies on disk", dir, "", sampleFiles, "stacks/url/main.tf", "new\r\n"},
		{"a revision of a work tree shows the commit", dir, first, sampleFiles, "stacks/url/main.tf", "old\r\n"},
		{"a revision may be relative", dir, "HEAD~1", sampleFiles, "stacks/url/main.tf", "old\r\n"},
		{"an abbreviated commit is a revision", dir, first[:10], sampleFiles, "stacks/url/main.tf", "old\r\n"},
		{"a bare repository is read at HEAD", bare, "", sampleFiles, "stacks/url/main.tf", "new\r\n"},
		{"a bare repository is read at a revision", bare, first, sampleFiles, "stacks/url/main.tf", "old\r\n"},
		{"a subdirectory is a tree of its own", filepath.Join(dir, "stacks/url"), "", []string{"a.tf", "link.tf -> main.tf", "main.tf"}, "main.tf", "new\r\n"},
		{"a subdirectory at a revision is a tree of its own", filepath.Join(dir, "stacks/url"), first, []string{"a.tf", "link.tf -> main.tf", "main.tf"}, "main.tf", "old\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree, err := git.Open(tc.dir, tc.rev)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.files, paths(t, tree)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			got, err := tree.ReadFile(tc.file)
			if err != nil || string(got) != tc.content {
				t.Errorf("ReadFile(%s) = %q, %v; want %q", tc.file, got, err, tc.content)
			}
			if _, err := tree.ReadFile("no/such.tf"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("ReadFile of a missing file: %v, want fs.ErrNotExist", err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	dir, _ := sample(t)
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	write(t, empty, map[string]string{"file": "x"})
	for _, tc := range []struct {
		name, dir, rev string
		want           error
	}{
		{"a directory that does not exist", filepath.Join(empty, "nowhere"), "", git.ErrNotRepository},
		{"a file", file, "", git.ErrNotRepository},
		{"a directory without git and Terraform", empty, "", git.ErrNotRepository},
		{"a revision where there is no git", empty, "main", git.ErrNotRepository},
		{"a revision that does not exist", dir, "no-such-branch", git.ErrUnknownRevision},
		{"a revision that looks like an option", dir, "--help", git.ErrUnknownRevision},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := git.Open(tc.dir, tc.rev); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestUnpackedArchiveIsRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/b/main.tf": "x"})
	tree, err := git.Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/b/main.tf"}, paths(t, tree)); diff != "" {
		t.Error(diff)
	}
}

func TestReadFileStaysInside(t *testing.T) {
	dir, _ := sample(t)
	tree, err := git.Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"stacks/out.tf", "../outside", "/etc/hostname", "stacks"} {
		if data, err := tree.ReadFile(p); err == nil {
			t.Errorf("ReadFile(%q) = %d bytes, want an error", p, len(data))
		}
	}
}

func TestLargeFilesAreNamedAndNotRead(t *testing.T) {
	dir := t.TempDir()
	repo, err := gogit.PlainInit(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big.tf"), bytes.Repeat([]byte("#"), git.MaxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	commit(t, repo, "big")
	for _, rev := range []string{"", "HEAD"} {
		tree, err := git.Open(dir, rev)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.ReadFile("big.tf"); !errors.Is(err, git.ErrTooLarge) || !strings.Contains(err.Error(), "big.tf") {
			t.Errorf("rev %q: %v, want ErrTooLarge naming big.tf", rev, err)
		}
	}
}

func TestRevisionIsReadByManyAtOnce(t *testing.T) {
	dir, first := sample(t)
	tree, err := git.Open(dir, first)
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for range 16 {
		g.Go(func() error {
			for _, p := range []string{"stacks/url/main.tf", "modules/m/main.tf"} {
				if _, err := tree.ReadFile(p); err != nil {
					return err
				}
			}
			_, err := tree.Files(context.Background())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}
