package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// revision is a tree of a commit, read from the object store.
type revision struct {
	name    string
	objects storer.EncodedObjectStorer

	// mu guards the object store, whose pack readers are not safe for
	// concurrent use, and blobs.
	mu    sync.Mutex
	root  *object.Tree
	blobs map[string]plumbing.Hash // by path; nil until Files has run
	list  []File
}

func openRevision(dir, rev string) (*revision, error) {
	// A bare repository is its own git directory; DetectDotGit only looks for ".git".
	repo, err := gogit.PlainOpenWithOptions(dir, &gogit.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, gogit.ErrRepositoryNotExists) {
		repo, err = gogit.PlainOpenWithOptions(dir, &gogit.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	}
	if errors.Is(err, gogit.ErrRepositoryNotExists) {
		return nil, fmt.Errorf("%s: %w: --rev needs a git repository", dir, ErrNotRepository)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	repo, err = sparing(repo)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(rev))
	if err != nil {
		return nil, fmt.Errorf("%s: %w %q: give a branch, a tag or a commit that exists here", dir, ErrUnknownRevision, rev)
	}
	commit, err := repo.CommitObject(*hash)
	if err != nil {
		return nil, fmt.Errorf("%s: revision %s: %w", dir, rev, err)
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, fmt.Errorf("%s: revision %s: %w", dir, rev, err)
	}
	if sub := below(repo, dir); sub != "" {
		if tree, err = tree.Tree(sub); err != nil {
			return nil, fmt.Errorf("%s: revision %s has no directory %s: %w", dir, rev, sub, ErrUnknownRevision)
		}
	}
	return &revision{name: dir + "@" + rev, objects: repo.Storer, root: tree}, nil
}

// sparing opens a repository's objects anew with a small cache. go-git keeps
// up to 96 MB of unpacked objects for walks through the history; a tree's
// files are read once each, and only what several of them are deltas of is worth keeping.
func sparing(repo *gogit.Repository) (*gogit.Repository, error) {
	store, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return repo, nil
	}
	wt, err := repo.Worktree()
	if errors.Is(err, gogit.ErrIsBareRepository) {
		return gogit.Open(sparse(store), nil)
	}
	if err != nil {
		return nil, err
	}
	return gogit.Open(sparse(store), wt.Filesystem)
}

func sparse(store *filesystem.Storage) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(store.Filesystem(), cache.NewObjectLRU(revisionCache), filesystem.Options{KeepDescriptors: true})
}

// revisionCache is how much of unpacked objects is kept while a tree is read.
const revisionCache = 8 * cache.MiByte

// below is the path of dir inside the repository's work tree, "" for its root
// or for a bare repository.
func below(repo *gogit.Repository, dir string) string {
	wt, err := repo.Worktree()
	if err != nil {
		return ""
	}
	top, err1 := filepath.EvalSymlinks(wt.Filesystem.Root())
	abs, err2 := filepath.Abs(dir)
	if err1 != nil || err2 != nil {
		return ""
	}
	if abs, err1 = filepath.EvalSymlinks(abs); err1 != nil {
		return ""
	}
	rel, err := filepath.Rel(top, abs)
	if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
		return ""
	}
	return filepath.ToSlash(rel)
}

func (r *revision) String() string { return r.name }

func (r *revision) Files(ctx context.Context) ([]File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.index(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return slices.Clone(r.list), nil
}

// index lists the tree once. It reads tree objects only; a blob is opened when it is asked for.
func (r *revision) index(ctx context.Context) error {
	if r.blobs != nil {
		return nil
	}
	blobs := map[string]plumbing.Hash{}
	var list []File
	var walk func(t *object.Tree, prefix string, depth int) error
	walk = func(t *object.Tree, prefix string, depth int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if depth > maxDepth {
			return fmt.Errorf("%s: directories nested more than %d deep", prefix, maxDepth)
		}
		for _, e := range t.Entries {
			p := prefix + e.Name
			switch e.Mode {
			case filemode.Dir:
				if skipped[e.Name] {
					continue
				}
				sub, err := object.GetTree(r.objects, e.Hash)
				if err != nil {
					return fmt.Errorf("%s: %w", p, err)
				}
				if err := walk(sub, p+"/", depth+1); err != nil {
					return err
				}
			case filemode.Regular, filemode.Deprecated, filemode.Executable:
				blobs[p] = e.Hash
				list = append(list, File{Path: p, Size: -1})
			case filemode.Symlink:
				target, err := r.blob(p, e.Hash)
				if err != nil {
					return err
				}
				list = append(list, File{Path: p, Link: string(target)})
			case filemode.Submodule, filemode.Empty: // another repository's files; a broken entry
			}
		}
		return nil
	}
	if err := walk(r.root, "", 0); err != nil {
		return err
	}
	sortFiles(list)
	r.blobs, r.list = blobs, list
	return nil
}

// maxDepth bounds directory nesting: far beyond what people write, short of
// what would exhaust the stack in a tree made to hurt.
const maxDepth = 256

func (r *revision) ReadFile(name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.index(context.Background()); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	hash, ok := r.blobs[clean(name)]
	if !ok {
		return nil, fmt.Errorf("%s: %s: %w", r.name, name, fs.ErrNotExist)
	}
	return r.blob(name, hash)
}

// blob reads one blob; r.mu is held.
func (r *revision) blob(name string, hash plumbing.Hash) ([]byte, error) {
	size, err := r.objects.EncodedObjectSize(hash)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.name, name, err)
	}
	if size > MaxFile {
		return nil, tooLarge(name, size)
	}
	obj, err := r.objects.EncodedObject(plumbing.BlobObject, hash)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.name, name, err)
	}
	rd, err := obj.Reader()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.name, name, err)
	}
	defer rd.Close()
	buf := bytes.NewBuffer(make([]byte, 0, size))
	if _, err := io.Copy(buf, rd); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.name, name, err)
	}
	return buf.Bytes(), nil
}

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}
