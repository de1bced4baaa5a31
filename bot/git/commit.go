package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// ErrNothingChanges means that a commit would have its parent's files.
var ErrNothingChanges = errors.New("nothing changes")

// CommitOptions say what a new commit is made of.
type CommitOptions struct {
	Parent    string            // full commit id
	Files     map[string][]byte // new content by path; each path is a regular file of Parent
	Message   string
	Author    Signature
	Committer Signature // Author when it is the zero value
}

// Commit writes a commit and returns its id. It moves no branch; Push does. The
// files keep their modes. The same options always give the same id.
//
// The error names the path that Parent does not have (it wraps fs.ErrNotExist)
// or that is not a regular file, and wraps ErrNothingChanges when every file has
// its new content already. Two calls share nothing.
//
// A commit that is not pushed is lost when the mirror is cloned anew; making it
// again gives the same id.
func (m *Mirror) Commit(ctx context.Context, o CommitOptions) (sha string, err error) {
	parent, err := checkSHA(o.Parent)
	if err != nil {
		return "", err
	}
	if o.Committer == (Signature{}) {
		o.Committer = o.Author
	}
	if err := o.check(); err != nil {
		return "", err
	}
	store := m.store()
	defer store.Close()
	base, err := m.commit(store, parent)
	if err != nil {
		return "", err
	}
	root := &edits{}
	for _, p := range slices.Sorted(maps.Keys(o.Files)) {
		root.add(p, o.Files[p])
	}
	tree, err := root.write(ctx, store, base.TreeHash, "")
	if err != nil {
		return "", fmt.Errorf("%s: commit on %s: %w", m.remote.URL, o.Parent, err)
	}
	if tree == base.TreeHash {
		return "", fmt.Errorf("%s: commit on %s: %w", m.remote.URL, o.Parent, ErrNothingChanges)
	}
	hash, err := save(store, &object.Commit{
		Author: object.Signature(o.Author), Committer: object.Signature(o.Committer),
		Message: strings.TrimRight(o.Message, "\n") + "\n", TreeHash: tree, ParentHashes: []plumbing.Hash{parent},
	})
	if err != nil {
		return "", fmt.Errorf("mirror %s: %w", m.dir, err)
	}
	return hash.String(), nil
}

func (o CommitOptions) check() error {
	for _, p := range slices.Sorted(maps.Keys(o.Files)) {
		if err := checkPath(p); err != nil {
			return err
		}
		if size := len(o.Files[p]); size > MaxFile {
			return tooLarge(p, int64(size))
		}
	}
	if strings.TrimSpace(o.Message) == "" || strings.Contains(o.Message, "\x00") {
		return fmt.Errorf("%w: a commit needs a message without NUL", ErrInvalidName)
	}
	for _, who := range []Signature{o.Author, o.Committer} {
		// A line break or a bracket would end the field and begin another one.
		if who.Name == "" || who.Email == "" || who.When.IsZero() || strings.ContainsAny(who.Name+who.Email, "<>\n\r\x00") {
			return fmt.Errorf("%w: a commit needs a name, an email and a time: %q <%s>", ErrInvalidName, who.Name, who.Email)
		}
	}
	return nil
}

// edits are the new contents below one directory.
type edits struct {
	files map[string][]byte
	dirs  map[string]*edits
}

func (e *edits) add(p string, content []byte) {
	name, rest, below := strings.Cut(p, "/")
	if !below {
		if e.files == nil {
			e.files = map[string][]byte{}
		}
		e.files[name] = content
		return
	}
	if e.dirs == nil {
		e.dirs = map[string]*edits{}
	}
	if e.dirs[name] == nil {
		e.dirs[name] = &edits{}
	}
	e.dirs[name].add(rest, content)
}

// first is a path below this directory, for an error to name.
func (e *edits) first() string {
	if names := slices.Sorted(maps.Keys(e.files)); len(names) > 0 {
		return names[0]
	}
	for _, name := range slices.Sorted(maps.Keys(e.dirs)) {
		return name + "/" + e.dirs[name].first()
	}
	return ""
}

// write returns the tree with the edits in it; prefix is its path, with a slash.
func (e *edits) write(ctx context.Context, store storer.EncodedObjectStorer, tree plumbing.Hash, prefix string) (plumbing.Hash, error) {
	if err := ctx.Err(); err != nil {
		return plumbing.ZeroHash, err
	}
	t, err := object.GetTree(store, tree)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("/%s: %w", prefix, err)
	}
	entries := slices.Clone(t.Entries)
	find := func(name string) int {
		return slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
	}
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		i := find(name)
		if i < 0 {
			return plumbing.ZeroHash, fmt.Errorf("%s: %w", prefix+name, fs.ErrNotExist)
		}
		switch entries[i].Mode {
		case filemode.Regular, filemode.Deprecated, filemode.Executable:
		default:
			return plumbing.ZeroHash, fmt.Errorf("%s is %s, not a regular file", prefix+name, kind(entries[i].Mode))
		}
		blob := store.NewEncodedObject()
		blob.SetType(plumbing.BlobObject)
		if err := fill(blob, e.files[name]); err != nil {
			return plumbing.ZeroHash, err
		}
		if entries[i].Hash, err = store.SetEncodedObject(blob); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("%s: %w", prefix+name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.dirs)) {
		sub, i := e.dirs[name], find(name)
		full := prefix + name + "/" + sub.first()
		if i < 0 {
			return plumbing.ZeroHash, fmt.Errorf("%s: %w", full, fs.ErrNotExist)
		}
		if entries[i].Mode != filemode.Dir {
			return plumbing.ZeroHash, fmt.Errorf("%s: %s is %s, not a directory", full, prefix+name, kind(entries[i].Mode))
		}
		if entries[i].Hash, err = sub.write(ctx, store, entries[i].Hash, prefix+name+"/"); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	if slices.Equal(entries, t.Entries) {
		return tree, nil
	}
	return save(store, &object.Tree{Entries: entries})
}

func kind(mode filemode.FileMode) string {
	switch mode {
	case filemode.Dir:
		return "a directory"
	case filemode.Symlink:
		return "a symbolic link"
	case filemode.Submodule:
		return "a submodule"
	default:
		return "a file"
	}
}

func fill(obj plumbing.EncodedObject, content []byte) error {
	w, err := obj.Writer()
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Close()
}

// save writes a tree or a commit.
func save(store storer.EncodedObjectStorer, o interface {
	Encode(plumbing.EncodedObject) error
}) (plumbing.Hash, error) {
	obj := store.NewEncodedObject()
	if err := o.Encode(obj); err != nil {
		return plumbing.ZeroHash, err
	}
	return store.SetEncodedObject(obj)
}
