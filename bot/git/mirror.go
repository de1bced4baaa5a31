package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// Remote is where a mirror comes from.
type Remote struct {
	URL string // without credentials
	// Token is asked for every fetch and push, and sent as basic auth for
	// x-access-token. It stands nowhere on disk. nil sends none.
	Token func(context.Context) (string, error)
}

// Mirror is a bare copy of a repository, kept by incremental fetches. Nothing
// is ever checked out: files are read from trees, and commits are written as
// objects. So two upgrades at once never see each other's edits.
type Mirror struct {
	dir    string
	remote Remote

	fetching sync.Mutex
	mu       sync.Mutex
	fetches  uint64 // begun
	head     string // the remote's default branch
}

// Signature says who made a commit, and when.
type Signature struct {
	Name, Email string
	When        time.Time
}

// Commit is one commit of a branch.
type Commit struct {
	SHA               string
	Author, Committer Signature
	Message           string
}

// CommitOptions are what a commit is made of.
type CommitOptions struct {
	Parent            string            // commit
	Files             map[string][]byte // new contents of files that the parent has
	Message           string
	Author, Committer Signature
}

// ErrNoBranch means that a mirror has no such branch.
var ErrNoBranch = errors.New("no such branch")

// StaleError means that a branch of the remote is not where it was expected.
type StaleError struct {
	Branch    string
	Want, Got string // commits; "" is no branch
}

// Error names the branch and both commits.
func (e *StaleError) Error() string {
	name := func(s string) string {
		if s == "" {
			return "missing"
		}
		return "at " + s
	}
	return fmt.Sprintf("branch %s is %s, and was expected to be %s", e.Branch, name(e.Got), name(e.Want))
}

// OpenMirror opens the mirror at dir, making it when it is missing. What is
// there and no repository, such as the rest of a clone that was killed, is
// removed first.
func OpenMirror(dir string, remote Remote) (*Mirror, error) {
	m := &Mirror{dir: dir, remote: remote}
	if _, err := gogit.PlainOpen(dir); err == nil {
		return m, nil
	}
	return m, m.renew()
}

// renew makes the mirror anew, empty.
func (m *Mirror) renew() error {
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if _, err := gogit.PlainInit(m.dir, true); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return nil
}

func (m *Mirror) open() (*gogit.Repository, error) {
	repo, err := gogit.PlainOpen(m.dir)
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return repo, nil
}

func (m *Mirror) auth(ctx context.Context) (*githttp.BasicAuth, error) {
	if m.remote.Token == nil {
		return nil, nil
	}
	token, err := m.remote.Token(ctx)
	if err != nil {
		return nil, err
	}
	return &githttp.BasicAuth{Username: "x-access-token", Password: token}, nil
}

// Fetch brings all branches up to date. Callers that come while one runs share
// the next one. A mirror that turns out to be damaged is fetched anew.
func (m *Mirror) Fetch(ctx context.Context) error {
	m.mu.Lock()
	seen := m.fetches
	m.mu.Unlock()
	m.fetching.Lock()
	defer m.fetching.Unlock()
	m.mu.Lock()
	done := m.fetches >= seen+2 // one that began after this call has ended
	m.mu.Unlock()
	if done {
		return nil
	}
	m.mu.Lock()
	m.fetches++
	m.mu.Unlock()
	err := m.fetch(ctx)
	if err != nil && damaged(err) {
		if err = m.renew(); err == nil {
			err = m.fetch(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("fetching %s: %w", m.remote.URL, err)
	}
	return nil
}

func damaged(err error) bool {
	return errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, plumbing.ErrReferenceNotFound)
}

func (m *Mirror) fetch(ctx context.Context) error {
	repo, err := m.open()
	if err != nil {
		return err
	}
	auth, err := m.auth(ctx)
	if err != nil {
		return err
	}
	remote := gogit.NewRemote(repo.Storer, &config.RemoteConfig{Name: "origin", URLs: []string{m.remote.URL}})
	opts := &gogit.FetchOptions{RefSpecs: []config.RefSpec{"+refs/heads/*:refs/heads/*"}, Force: true, Prune: true, Tags: gogit.NoTags}
	if auth != nil {
		opts.Auth = auth
	}
	if err := remote.FetchContext(ctx, opts); err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		return err
	}
	return nil
}

// Resolve returns the commit of a branch as it was fetched last, or ErrNoBranch.
func (m *Mirror) Resolve(branch string) (string, error) {
	repo, err := m.open()
	if err != nil {
		return "", err
	}
	ref, err := repo.Reference(plumbing.NewBranchReferenceName(branch), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", fmt.Errorf("%s: %w: %s", m.remote.URL, ErrNoBranch, branch)
	}
	if err != nil {
		return "", fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return ref.Hash().String(), nil
}

// Tree is the tree of a commit.
func (m *Mirror) Tree(sha string) (Tree, error) { return openRevision(m.dir, sha) }

// When is the time of a commit.
func (m *Mirror) When(sha string) (time.Time, error) {
	repo, err := m.open()
	if err != nil {
		return time.Time{}, err
	}
	c, err := repo.CommitObject(plumbing.NewHash(sha))
	if err != nil {
		return time.Time{}, fmt.Errorf("commit %s: %w", sha, err)
	}
	return c.Committer.When, nil
}

// maxCommits bounds how far Commits looks back.
const maxCommits = 500

// Commits lists the commits that lead to head and not to base, newest first, at
// most 500.
func (m *Mirror) Commits(ctx context.Context, base, head string) ([]Commit, error) {
	repo, err := m.open()
	if err != nil {
		return nil, err
	}
	tip, err := repo.CommitObject(plumbing.NewHash(head))
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", head, err)
	}
	known := map[plumbing.Hash]bool{}
	if c, err := repo.CommitObject(plumbing.NewHash(base)); err == nil {
		// Walking the base as far as the oldest commit of interest would need both
		// histories; the newest few hundred of the base are enough for a branch
		// that belay made on it.
		n := 0
		err := object.NewCommitPreorderIter(c, nil, nil).ForEach(func(c *object.Commit) error {
			known[c.Hash] = true
			if n++; n >= 10*maxCommits || ctx.Err() != nil {
				return io.EOF
			}
			return nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	var out []Commit
	err = object.NewCommitPreorderIter(tip, known, nil).ForEach(func(c *object.Commit) error {
		out = append(out, Commit{SHA: c.Hash.String(), Author: signature(c.Author), Committer: signature(c.Committer), Message: c.Message})
		if len(out) == maxCommits || ctx.Err() != nil {
			return io.EOF
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out, ctx.Err()
}

func signature(s object.Signature) Signature {
	return Signature{Name: s.Name, Email: s.Email, When: s.When}
}

func (s Signature) object() object.Signature {
	return object.Signature{Name: s.Name, Email: s.Email, When: s.When}
}

// Commit writes a commit with other contents of some files, and returns its
// hash. The same options give the same hash. No branch is moved. A path that is
// no regular file of the parent is an error that names it.
func (m *Mirror) Commit(ctx context.Context, opts CommitOptions) (string, error) {
	repo, err := m.open()
	if err != nil {
		return "", err
	}
	parent, err := repo.CommitObject(plumbing.NewHash(opts.Parent))
	if err != nil {
		return "", fmt.Errorf("commit %s: %w", opts.Parent, err)
	}
	root, err := parent.Tree()
	if err != nil {
		return "", fmt.Errorf("tree of %s: %w", opts.Parent, err)
	}
	hash, err := replace(repo, root, "", opts.Files)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	c := &object.Commit{Author: opts.Author.object(), Committer: opts.Committer.object(), Message: opts.Message, TreeHash: hash, ParentHashes: []plumbing.Hash{parent.Hash}}
	o := repo.Storer.NewEncodedObject()
	if err := c.Encode(o); err != nil {
		return "", err
	}
	sha, err := repo.Storer.SetEncodedObject(o)
	if err != nil {
		return "", fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return sha.String(), nil
}

// replace writes a tree in which some files have other contents. files are
// named from the tree.
func replace(repo *gogit.Repository, tree *object.Tree, at string, files map[string][]byte) (plumbing.Hash, error) {
	below := map[string]map[string][]byte{} // by entry
	for name, content := range files {
		first, rest, _ := strings.Cut(name, "/")
		if below[first] == nil {
			below[first] = map[string][]byte{}
		}
		below[first][rest] = content
	}
	entries := slices.Clone(tree.Entries)
	for first, inner := range below {
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == first })
		full := path.Join(at, first)
		if i < 0 {
			return plumbing.ZeroHash, fmt.Errorf("%s: not a file of the repository", full)
		}
		e := &entries[i]
		content, isFile := inner[""]
		var err error
		switch {
		case isFile && len(inner) == 1 && (e.Mode == filemode.Regular || e.Mode == filemode.Executable || e.Mode == filemode.Deprecated):
			e.Hash, err = writeBlob(repo, content)
		case !isFile && e.Mode == filemode.Dir:
			var sub *object.Tree
			if sub, err = repo.TreeObject(e.Hash); err == nil {
				e.Hash, err = replace(repo, sub, full, inner)
			}
		default:
			err = errors.New("not a regular file")
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("%s: %w", full, err)
		}
	}
	o := repo.Storer.NewEncodedObject()
	if err := (&object.Tree{Entries: entries}).Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return repo.Storer.SetEncodedObject(o)
}

func writeBlob(repo *gogit.Repository, content []byte) (plumbing.Hash, error) {
	o := repo.Storer.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := w.Close(); err != nil {
		return plumbing.ZeroHash, err
	}
	return repo.Storer.SetEncodedObject(o)
}

// branchForm matches the branches that are pushed: "belay/url/5.0.2".
var branchForm = regexp.MustCompile(`^[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*$`)

func checkBranch(branch string) error {
	if !branchForm.MatchString(branch) || strings.Contains(branch, "..") || strings.HasSuffix(branch, ".lock") || strings.HasPrefix(branch, "refs/") || strings.Contains(branch, "/.") || strings.HasPrefix(branch, ".") || strings.HasPrefix(branch, "-") {
		return fmt.Errorf("branch %q: not a name that belay pushes to", branch)
	}
	return nil
}

var _ transport.AuthMethod = (*githttp.BasicAuth)(nil)
