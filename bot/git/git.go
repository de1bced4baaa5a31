// Package git reads trees of files from git without a checkout, and keeps
// mirrors of the repositories that belay serves.
//
// Open takes a directory (and a revision) and gives a Tree that lists and reads
// files: a work tree as it lies on disk, or any revision of a repository, bare
// or not. It never writes to the repository it reads. See SPEC section 4.
//
// A Mirror is belay's own bare copy of a remote repository. It fetches, reads
// revisions and histories, makes commits out of new file contents and pushes
// them to branches other than the default one. No file is ever checked out, no
// program is started, and the token is in no file, URL, log or error. See SPEC
// sections 9 and 17.
package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	gogit "github.com/go-git/go-git/v5"
)

// MaxFile is the size in bytes above which a file is not read. Terraform and
// Helm values written by people stay far below it.
const MaxFile = 8 << 20

var (
	// ErrNotRepository means that a directory is not a git repository and holds nothing belay could read.
	ErrNotRepository = errors.New("not a repository")
	// ErrUnknownRevision means that a repository has no such branch, tag or commit.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrTooLarge means that a file is larger than MaxFile.
	ErrTooLarge = fmt.Errorf("larger than %d MB", MaxFile>>20)
)

// File is a file of a tree.
type File struct {
	Path string // slash-separated, from the tree's root
	Size int64  // bytes; -1 when only reading it would tell
	Link string // target of a symbolic link, else ""
}

// Open returns the tree at dir. With rev it is that revision of the repository
// that dir is or lies in, and of the part below dir where dir is a
// subdirectory. Without rev it is the directory as it lies on disk, or HEAD
// where dir is a bare repository.
//
// The error wraps ErrNotRepository or ErrUnknownRevision for what a person got wrong.
func Open(dir, rev string) (Tree, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: no such directory", dir, ErrNotRepository)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w: it is a file; give its directory", dir, ErrNotRepository)
	}
	if rev == "" && !isBare(dir) {
		return openWorkTree(dir)
	}
	if rev == "" {
		rev = "HEAD"
	}
	return openRevision(dir, rev)
}

// isBare reports whether dir is a bare repository, whose files are git's own
// and not the project's.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	repo, err := gogit.PlainOpen(dir)
	if err != nil {
		return false
	}
	_, err = repo.Worktree()
	return errors.Is(err, gogit.ErrIsBareRepository)
}
