package git

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// remoteOwner matches the owner in a remote's address: "https://github.com/acme/home-ops.git",
// "git@github.com:acme/home-ops", "ssh://git@git.example.org/acme/home-ops".
var remoteOwner = regexp.MustCompile(`[:/]([A-Za-z0-9][A-Za-z0-9_.-]*)/[A-Za-z0-9_.-]+/?$`)

// Owner is who owns the repository at dir, after its remote "origin"; "" where
// dir is no repository's top or has no such remote.
func Owner(dir string) string {
	repo, err := gogit.PlainOpen(dir)
	if err != nil {
		return ""
	}
	remote, err := repo.Remote("origin")
	if err != nil || len(remote.Config().URLs) == 0 {
		return ""
	}
	m := remoteOwner.FindStringSubmatch(remote.Config().URLs[0])
	if m == nil {
		return ""
	}
	return m[1]
}

// revertForm matches the subject of a commit that takes something back:
// `Revert "immich to 2.0"`, "roll back nextcloud"; not "revertible".
var revertForm = regexp.MustCompile(`(?i)\b(revert(s|ed|ing)?|roll(ed|ing)?[ -]?back)\b`)

// maxPast is how many commits Reverts looks back.
const maxPast = 2000

// Reverts are the newest commits of the repository at dir that say in their
// subject that they take something back, newest first. A directory that is no
// repository's top, or has no commits, has none.
func Reverts(ctx context.Context, dir, rev string) ([]Commit, error) {
	repo, err := gogit.PlainOpen(dir)
	if err != nil {
		return nil, nil // it has no history then
	}
	if rev == "" {
		rev = "HEAD"
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(rev))
	if err != nil {
		return nil, nil // no commit yet
	}
	if repo, err = sparing(repo); err != nil {
		return nil, err
	}
	log, err := repo.Log(&gogit.LogOptions{From: *hash, Order: gogit.LogOrderCommitterTime})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var out []Commit
	for range maxPast {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := log.Next()
		// A shallow clone ends where its history was cut off.
		if errors.Is(err, io.EOF) || errors.Is(err, plumbing.ErrObjectNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		subject, _, _ := strings.Cut(c.Message, "\n")
		if !revertForm.MatchString(subject) || len(c.ParentHashes) > 1 {
			continue
		}
		files, err := changedFiles(repo.Storer, c)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Commit{SHA: c.Hash.String(), Author: signature(c.Author), Committer: signature(c.Committer), Message: c.Message, Files: files})
	}
	return out, nil
}
