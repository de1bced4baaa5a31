package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Tree is a tree of files. Its methods may be called by several goroutines at once.
type Tree interface {
	// Files lists regular files and symbolic links, sorted by path, without .git, Terraform's caches and nested repositories.
	Files(ctx context.Context) ([]File, error)
	// ReadFile returns a regular file's bytes. Its error wraps fs.ErrNotExist for a path that is not there and ErrTooLarge beyond MaxFile.
	ReadFile(path string) ([]byte, error)
	// String names the tree for people: the directory, with the revision where there is one.
	String() string
}

// skipped are directories that hold copies and caches, never what a person wrote.
var skipped = map[string]bool{".git": true, ".terraform": true, ".terragrunt-cache": true, "node_modules": true}

// workTree is a directory as it lies on disk.
type workTree struct {
	dir  string
	root *os.Root // keeps every read inside dir, whatever symbolic links say
}

func openWorkTree(dir string) (*workTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	t := &workTree{dir: dir, root: root}
	if ok, err := t.readable(); err != nil || !ok {
		_ = root.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		return nil, fmt.Errorf("%s: %w: neither git nor Terraform files are here; give the repository's directory with --repo", dir, ErrNotRepository)
	}
	return t, nil
}

// readable reports whether the directory is in a git repository or has
// Terraform files, so that an unpacked archive works as well as a clone.
func (t *workTree) readable() (bool, error) {
	if insideGit(t.dir) {
		return true, nil
	}
	found := false
	err := t.walk(context.Background(), func(f File) error {
		switch path.Ext(f.Path) {
		case ".tf", ".tofu", ".hcl", ".tfvars":
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// insideGit reports whether dir or a directory above it has a .git.
func insideGit(dir string) bool {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for {
		if _, err := os.Stat(filepath.Join(abs, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(abs)
		if parent == abs {
			return false
		}
		abs = parent
	}
}

func (t *workTree) String() string { return t.dir }

func (t *workTree) Files(ctx context.Context) ([]File, error) {
	var files []File
	err := t.walk(ctx, func(f File) error {
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.dir, err)
	}
	sortFiles(files)
	return files, nil
}

func (t *workTree) walk(ctx context.Context, visit func(File) error) error {
	return fs.WalkDir(t.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			// A directory that may not be entered is passed over rather than
			// ending the whole run; the root itself has to be readable.
			if p != "." && os.IsPermission(err) {
				return fs.SkipDir
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if p != "." && (skipped[d.Name()] || t.nestedRepository(p)) {
				return fs.SkipDir
			}
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			target, err := t.root.Readlink(p)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone between listing and reading
			}
			if err != nil {
				return err
			}
			return visit(File{Path: p, Link: filepath.ToSlash(target)})
		case d.Type().IsRegular():
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone between listing and reading
			}
			if err != nil {
				return err
			}
			return visit(File{Path: p, Size: info.Size()})
		}
		return nil // sockets, devices, pipes
	})
}

// nestedRepository reports whether a directory is another repository: a
// submodule or a clone inside the work tree, whose files are not this one's.
func (t *workTree) nestedRepository(p string) bool {
	_, err := t.root.Lstat(p + "/.git")
	return err == nil
}

func (t *workTree) ReadFile(name string) ([]byte, error) {
	f, err := t.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	if info.Size() > MaxFile {
		return nil, tooLarge(name, info.Size())
	}
	var buf bytes.Buffer
	buf.Grow(int(info.Size()) + bytes.MinRead)
	// The limit holds for a file that grows while it is read, too.
	if _, err := buf.ReadFrom(io.LimitReader(f, MaxFile+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if buf.Len() > MaxFile {
		return nil, tooLarge(name, int64(buf.Len()))
	}
	return buf.Bytes(), nil
}

func tooLarge(name string, size int64) error {
	return fmt.Errorf("%s: %d MB: %w", name, size>>20, ErrTooLarge)
}

// clean brings a path from the outside into the form that Files uses.
func clean(p string) string {
	return strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(p)), "/")
}
