package git

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Mirror is a bare mirror of one repository's branches, kept by incremental
// fetches; nothing is ever checked out. Its methods may be called by several
// goroutines at once, but a directory belongs to one Mirror.
type Mirror struct {
	dir     string
	remote  Remote
	shallow bool // see OpenShallow

	// busy holds one element while a fetch or a push speaks to the remote, so
	// that what one of them records is never overwritten by what the other saw earlier.
	busy chan struct{}

	// mu guards the fields below; it is held for no more than a small file's writing.
	mu       sync.Mutex
	branches map[string]plumbing.Hash
	head     string  // the default branch; "" while it is unknown
	next     *flight // the fetch that has not begun yet; nil when none waits
}

// OpenMirror opens the mirror in dir, and makes it where there is none. It does
// not speak to the remote: the first Fetch clones.
//
// A mirror that an interrupted clone, a full disk or a power cut has broken is
// moved to dir + ".broken", which replaces what lay there, and made anew.
func OpenMirror(dir string, remote Remote) (*Mirror, error) {
	if err := remote.check(); err != nil {
		return nil, err
	}
	m := &Mirror{dir: filepath.Clean(dir), remote: remote, busy: make(chan struct{}, 1)}
	if err := m.load(); err == nil {
		return m, nil
	} else if !errors.Is(err, errBroken) {
		return nil, fmt.Errorf("mirror %s: %w", dir, err)
	}
	if err := m.create(); err != nil {
		return nil, fmt.Errorf("mirror %s: %w", dir, err)
	}
	return m, nil
}

// OpenShallow is OpenMirror for a mirror that lives no longer than a run of the
// Action: it holds the default branch alone, and of each commit that it fetches
// the files but not the history, of which it asks for more when a question
// needs it. So a run costs what the repository's files weigh, however long its
// history is and however many branches it has.
func OpenShallow(dir string, remote Remote) (*Mirror, error) {
	m, err := OpenMirror(dir, remote)
	if err == nil {
		m.shallow = true
	}
	return m, err
}

// create makes an empty bare repository, after moving aside what lies in its place.
func (m *Mirror) create() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		broken := m.dir + ".broken"
		if err := os.RemoveAll(broken); err != nil {
			return err
		}
		if err := os.Rename(m.dir, broken); err != nil {
			return err
		}
	}
	if _, err := gogit.PlainInit(m.dir, true); err != nil {
		return err
	}
	m.branches, m.head = map[string]plumbing.Hash{}, ""
	return nil
}

// store opens the object store for one operation. The store of go-git is not
// safe for concurrent use and learns of packs when it is opened, so that
// nothing is shared between two operations and each sees the latest fetch.
func (m *Mirror) store() *filesystem.Storage {
	return m.storage(filesystem.Options{KeepDescriptors: true})
}

func (m *Mirror) storage(o filesystem.Options) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(steadyFS{osfs.New(m.dir)}, cache.NewObjectLRU(32*cache.MiByte), o)
}

// steadyFS lists directories that others write to. The one below gives up with
// "not found" when a file goes while it lists, which go-git takes for a
// repository without packs; its own temporary files are such files.
type steadyFS struct{ billy.Filesystem }

func (s steadyFS) ReadDir(name string) ([]os.FileInfo, error) {
	entries, err := os.ReadDir(filepath.Join(s.Root(), name))
	if err != nil {
		return nil, err
	}
	infos := make([]os.FileInfo, 0, len(entries))
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Resolve returns the commit that a branch was at when it was last fetched or
// pushed. Its error wraps ErrUnknownRevision for a branch that is not there.
func (m *Mirror) Resolve(branch string) (sha string, err error) {
	if err := checkBranch(branch); err != nil {
		return "", err
	}
	m.mu.Lock()
	hash, ok := m.branches[branch]
	m.mu.Unlock()
	if !ok {
		return "", fmt.Errorf("%s: branch %s: %w", m.remote.URL, branch, ErrUnknownRevision)
	}
	return hash.String(), nil
}

// DefaultBranch returns the remote's default branch, such as "main", as of the
// last fetch. Its error wraps ErrUnknownRevision before the first fetch and for
// an empty repository.
func (m *Mirror) DefaultBranch() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head == "" {
		return "", fmt.Errorf("%s: default branch: %w", m.remote.URL, ErrUnknownRevision)
	}
	return m.head, nil
}

// Tree returns the files of a commit, given by its full id. Its error wraps
// ErrUnknownRevision when the mirror has no such commit.
func (m *Mirror) Tree(sha string) (Tree, error) {
	hash, err := checkSHA(sha)
	if err != nil {
		return nil, err
	}
	// A Tree has no end, so this store keeps no files open.
	store := m.storage(filesystem.Options{})
	commit, err := m.commit(store, hash)
	if err != nil {
		return nil, err
	}
	tree, err := object.GetTree(store, commit.TreeHash)
	if err != nil {
		return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, sha, err)
	}
	return &revision{name: m.remote.URL + "@" + sha, objects: store, root: tree}, nil
}

// Names of git's own files that the mirror writes.
const (
	packedRefs = "packed-refs"
	headFile   = "HEAD"
	refHeads   = "refs/heads/"
)

// record makes branches and head what the mirror knows, on disk and in memory.
// All branches stand in packed-refs, which is replaced as a whole: a reader
// sees the branches of one moment, and a branch a may follow a branch a/b.
func (m *Mirror) record(branches map[string]plumbing.Hash, head string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, name := range slices.Sorted(maps.Keys(branches)) {
		fmt.Fprintf(&b, "%s %s%s\n", branches[name], refHeads, name)
	}
	if err := replace(filepath.Join(m.dir, packedRefs), b.String()); err != nil {
		return err
	}
	if head != "" && head != m.head {
		if err := replace(filepath.Join(m.dir, headFile), "ref: "+refHeads+head+"\n"); err != nil {
			return err
		}
	}
	m.branches, m.head = branches, head
	return nil
}

// tmpSuffix marks a file that is being written, for load to remove after a crash.
const tmpSuffix = ".tmp"

func replace(file, content string) error {
	if err := os.WriteFile(file+tmpSuffix, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(file+tmpSuffix, file)
}
