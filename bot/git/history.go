package git

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Signature says who made a commit, and when.
type Signature struct {
	Name  string
	Email string
	When  time.Time
}

// Commit is a commit of a branch.
type Commit struct {
	SHA       string
	Parents   []string // commit ids; two or more for a merge
	Author    Signature
	Committer Signature
	Message   string
	Files     []string // paths that differ from the first parent's, sorted
}

// Commits returns the commits of head that base lacks, newest first. Both are
// full commit ids. Its error wraps ErrUnknownRevision for a commit that the
// mirror does not have.
func (m *Mirror) Commits(ctx context.Context, base, head string) ([]Commit, error) {
	from, err := checkSHA(base)
	if err != nil {
		return nil, err
	}
	to, err := checkSHA(head)
	if err != nil {
		return nil, err
	}
	var commits []Commit
	err = m.deeper(ctx, base, head, func() (err error) {
		commits, err = m.commits(ctx, from, to)
		return err
	})
	return commits, err
}

// commits is Commits as far as the history was fetched.
func (m *Mirror) commits(ctx context.Context, from, to plumbing.Hash) ([]Commit, error) {
	store := m.store()
	defer store.Close()
	found, err := m.beyond(ctx, store, to, []plumbing.Hash{from})
	if err != nil {
		return nil, err
	}
	commits := make([]Commit, 0, len(found))
	for _, c := range found {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		files, err := changedFiles(store, c)
		if err != nil {
			return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, c.Hash, err)
		}
		commit := Commit{SHA: c.Hash.String(), Author: signature(c.Author), Committer: signature(c.Committer), Message: c.Message, Files: files}
		for _, p := range c.ParentHashes {
			commit.Parents = append(commit.Parents, p.String())
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

func signature(s object.Signature) Signature { return Signature{s.Name, s.Email, s.When} }

// commit reads one commit; its error wraps ErrUnknownRevision when it is not there.
func (m *Mirror) commit(store storer.EncodedObjectStorer, hash plumbing.Hash) (*object.Commit, error) {
	c, err := object.GetCommit(store, hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, hash, ErrUnknownRevision)
	}
	if err != nil {
		return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, hash, err)
	}
	return c, nil
}

// visit is a commit on the way down a history.
type visit struct {
	commit *object.Commit
	order  int  // of discovery, which breaks ties: a child comes before its parents
	known  bool // the bases have it
	queued bool
}

// queue pops the newest commit first.
type queue []*visit

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	a, b := q[i].commit.Committer.When, q[j].commit.Committer.When
	if !a.Equal(b) {
		return a.After(b)
	}
	return q[i].order < q[j].order
}
func (q *queue) Push(x any) { *q = append(*q, x.(*visit)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// slop is how many more commits are looked at when all that is left is older
// than what was found, for histories whose clocks disagree.
const slop = 256

// beyond returns the commits that head reaches and none of bases does, newest
// first. It walks both histories from their newest ends and stops where they
// have met, so that its cost is the difference and not the history.
//
// Where the history was not fetched that far, its error wraps errShallow.
func (m *Mirror) beyond(ctx context.Context, store *filesystem.Storage, head plumbing.Hash, bases []plumbing.Hash) ([]*object.Commit, error) {
	ends, err := store.Shallow()
	if err != nil {
		return nil, fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	seen := map[plumbing.Hash]*visit{}
	var q queue
	fresh := 0 // commits in q that no base is known to have
	add := func(hash plumbing.Hash, known bool) error {
		v := seen[hash]
		if v == nil {
			c, err := m.commit(store, hash)
			if err != nil {
				return err
			}
			v = &visit{commit: c, order: len(seen), known: known}
			seen[hash] = v
		} else if v.known || !known {
			return nil
		} else {
			v.known = true
			if v.queued {
				fresh--
				return nil
			}
		}
		// New, or passed by as fresh earlier: its ancestors have to be told.
		v.queued = true
		heap.Push(&q, v)
		if !v.known {
			fresh++
		}
		return nil
	}
	for _, b := range bases {
		if err := add(b, true); err != nil {
			return nil, err
		}
	}
	if err := add(head, false); err != nil {
		return nil, err
	}
	var found []*visit
	var oldest time.Time
	var cut, rooted bool
	for left := slop; q.Len() > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if fresh == 0 {
			if len(found) == 0 {
				break
			}
			if q[0].commit.Committer.When.Before(oldest) {
				left--
			}
			if left == 0 {
				break
			}
		}
		v := heap.Pop(&q).(*visit)
		v.queued = false
		if !v.known {
			fresh--
			found = append(found, v)
			if when := v.commit.Committer.When; oldest.IsZero() || when.Before(oldest) {
				oldest = when
			}
		}
		if slices.Contains(ends, v.commit.Hash) && len(v.commit.ParentHashes) > 0 {
			if cut = true; !v.known {
				return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, v.commit.Hash, errShallow)
			}
			continue
		}
		// A way that ends at a first commit has passed by what the bases have.
		rooted = rooted || !v.known && len(v.commit.ParentHashes) == 0
		for _, p := range v.commit.ParentHashes {
			if err := add(p, v.known); err != nil {
				return nil, err
			}
		}
	}
	if cut && rooted {
		return nil, fmt.Errorf("mirror %s: commit %s: %w", m.dir, head, errShallow)
	}
	var commits []*object.Commit
	for _, v := range found {
		if !v.known {
			commits = append(commits, v.commit)
		}
	}
	return commits, nil
}

// changedFiles are the paths in which a commit differs from its first parent.
func changedFiles(store storer.EncodedObjectStorer, c *object.Commit) ([]string, error) {
	before := plumbing.ZeroHash
	if len(c.ParentHashes) > 0 {
		parent, err := object.GetCommit(store, c.ParentHashes[0])
		if err != nil {
			return nil, err
		}
		before = parent.TreeHash
	}
	paths := map[string]bool{}
	err := compare(store, before, c.TreeHash, "", 0, func(p string, old, now object.TreeEntry) {
		if isFile(old) || isFile(now) {
			paths[p] = true
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(paths)), nil
}

// isFile reports whether an entry is there and no directory: a file, a link, a submodule.
func isFile(e object.TreeEntry) bool { return e.Mode != filemode.Empty && e.Mode != filemode.Dir }

// compare calls differs for every entry in which two trees differ, directories
// before what is in them. A zero hash is an empty tree, and the zero entry one
// that is not there. Equal subtrees are not opened.
func compare(store storer.EncodedObjectStorer, before, after plumbing.Hash, prefix string, depth int, differs func(path string, old, now object.TreeEntry)) error {
	if before == after {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%s: directories nested more than %d deep", prefix, maxDepth)
	}
	entries := func(hash plumbing.Hash) (map[string]object.TreeEntry, error) {
		byName := map[string]object.TreeEntry{}
		if hash.IsZero() {
			return byName, nil
		}
		t, err := object.GetTree(store, hash)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", prefix, err)
		}
		for _, e := range t.Entries {
			byName[e.Name] = e
		}
		return byName, nil
	}
	old, err := entries(before)
	if err != nil {
		return err
	}
	now, err := entries(after)
	if err != nil {
		return err
	}
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		o, n := old[name], now[name]
		if o == n {
			continue
		}
		p := prefix + name
		differs(p, o, n)
		a, b := subtree(o), subtree(n)
		if a.IsZero() && b.IsZero() {
			continue
		}
		if err := compare(store, a, b, p+"/", depth+1, differs); err != nil {
			return err
		}
	}
	return nil
}

// subtree is a directory's tree, the zero hash for everything else.
func subtree(e object.TreeEntry) plumbing.Hash {
	if e.Mode != filemode.Dir {
		return plumbing.ZeroHash
	}
	return e.Hash
}
