package git

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
	"github.com/go-git/go-git/v5/plumbing/hash"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// errBroken means that a mirror has to be cloned anew.
var errBroken = errors.New("broken mirror")

// Beyond maxPacks packs or maxLoose loose objects a mirror is slow to read, and
// cloning it anew, once at a start, is the simplest repair.
const (
	maxPacks = 200
	maxLoose = 20000
)

// load reads an existing mirror: it clears what an interrupted fetch or commit
// left, and looks at every byte of what remains. Its error wraps errBroken
// where there is no mirror or no whole one.
func (m *Mirror) load() error {
	repo, err := gogit.PlainOpen(m.dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return err
		}
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if _, err := repo.Worktree(); !errors.Is(err, gogit.ErrIsBareRepository) {
		return errors.New("a repository with a work tree lies there, which is somebody's own; give another directory")
	}
	if err := m.clear(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(m.dir, pending)); err == nil {
		return fmt.Errorf("%w: it is not known where its history ends", errBroken)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := m.checkPacks(); err != nil {
		return err
	}
	if err := m.checkLoose(); err != nil {
		return err
	}
	return m.loadBranches()
}

// clear removes files that were being written when the process ended.
func (m *Mirror) clear() error {
	for _, pattern := range []string{"objects/pack/tmp_*", "*" + tmpSuffix, "*.lock"} {
		files, err := filepath.Glob(filepath.Join(m.dir, pattern))
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// checkPacks reads packs and their indexes. Both end with the checksum of all
// that precedes it, and a pack's name and its index repeat the pack's.
func (m *Mirror) checkPacks() error {
	packs, err := filepath.Glob(filepath.Join(m.dir, "objects/pack/pack-*.pack"))
	if err != nil {
		return err
	}
	if len(packs) > maxPacks {
		return fmt.Errorf("%w: %d packs", errBroken, len(packs))
	}
	for _, pack := range packs {
		index := strings.TrimSuffix(pack, ".pack") + ".idx"
		for _, file := range []string{pack, index} {
			if err := checkSum(file); err != nil {
				return fmt.Errorf("%w: %s: %w", errBroken, filepath.Base(file), err)
			}
		}
	}
	return nil
}

func checkSum(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := hash.New(crypto.SHA1)
	if info.Size() < int64(h.Size()) {
		return io.ErrUnexpectedEOF
	}
	if _, err := io.CopyN(h, f, info.Size()-int64(h.Size())); err != nil {
		return err
	}
	want, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, h.Sum(nil)) {
		return errors.New("wrong checksum")
	}
	return nil
}

// checkLoose reads the objects that commits were made of and removes the ones
// that were cut off: git would keep a broken one instead of writing it again.
func (m *Mirror) checkLoose() error {
	files, err := filepath.Glob(filepath.Join(m.dir, "objects/[0-9a-f][0-9a-f]/*"))
	if err != nil {
		return err
	}
	if len(files) > maxLoose {
		return fmt.Errorf("%w: %d loose objects", errBroken, len(files))
	}
	for _, file := range files {
		id := filepath.Base(filepath.Dir(file)) + filepath.Base(file)
		if got, err := looseHash(file); err == nil && got.String() == id {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func looseHash(file string) (plumbing.Hash, error) {
	f, err := os.Open(file)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer f.Close()
	r, err := objfile.NewReader(f)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer r.Close()
	if _, _, err := r.Header(); err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.Hash(), nil
}

// loadBranches reads the branches and looks whether each has its commit and tree.
func (m *Mirror) loadBranches() error {
	store := m.store()
	defer store.Close()
	refs, err := store.IterReferences()
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	branches, head := map[string]plumbing.Hash{}, ""
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		name := ref.Name().String()
		if name == headFile && ref.Type() == plumbing.SymbolicReference {
			head = strings.TrimPrefix(ref.Target().String(), refHeads)
		}
		branch, ok := strings.CutPrefix(name, refHeads)
		if !ok || ref.Type() != plumbing.HashReference {
			return nil
		}
		commit, err := object.GetCommit(store, ref.Hash())
		if err != nil {
			return err
		}
		if _, err := object.GetTree(store, commit.TreeHash); err != nil {
			return err
		}
		branches[branch] = ref.Hash()
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	// A repository that was never fetched has a HEAD, too, which is git's guess.
	if _, ok := branches[head]; !ok {
		head = ""
	}
	m.branches, m.head = branches, head
	return nil
}
