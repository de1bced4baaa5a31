package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// changelog reads the project's changelogs from its git directory below dir,
// one after the other.
func (p project) changelog(dir string, head bool) (string, error) {
	repo, err := p.open(dir)
	if err != nil {
		return "", err
	}
	hash := plumbing.NewHash(p.Revision)
	if head {
		ref, err := repo.Head()
		if err != nil {
			return "", fmt.Errorf("%s: HEAD: %w", p.Repository, err)
		}
		hash = ref.Hash()
	}
	commit, err := repo.CommitObject(hash)
	if err != nil {
		return "", fmt.Errorf("%s has no commit %.12s: fetch it, or read the newest state with -head: %w", p.Repository, hash, err)
	}
	var b strings.Builder
	for _, path := range p.Changelogs {
		f, err := commit.File(path)
		if err != nil {
			return "", fmt.Errorf("%s has no %s at %.12s: %w", p.Repository, path, hash, err)
		}
		text, err := f.Contents()
		if err != nil {
			return "", fmt.Errorf("%s: reading %s: %w", p.Repository, path, err)
		}
		b.WriteString(text + "\n\n")
	}
	return b.String(), nil
}

// open finds the git directory: owner/name, owner+name, name or name.git, bare,
// with a work tree, or one directory further down.
func (p project) open(dir string) (*git.Repository, error) {
	owner, name, _ := strings.Cut(p.Repository, "/")
	for _, base := range []string{filepath.Join(owner, name), owner + "+" + name, name} {
		for _, ending := range []string{"", ".git", "/repo"} {
			repo, err := git.PlainOpen(filepath.Join(dir, base+ending))
			if errors.Is(err, git.ErrRepositoryNotExists) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("opening %s: %w", filepath.Join(dir, base+ending), err)
			}
			return repo, nil
		}
	}
	return nil, fmt.Errorf("no git directory of %s in %s", p.Repository, dir)
}
