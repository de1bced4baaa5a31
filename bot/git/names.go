package git

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
)

// ErrInvalidName means that a branch, path or commit id is not one that belay hands to git.
var ErrInvalidName = errors.New("invalid name")

// maxName is the longest branch or path in bytes: what file systems and GitHub take.
const maxName = 250

// checkBranch refuses what git refuses as a branch name, and what git takes but
// nobody means: refs/heads/main, HEAD, -f.
func checkBranch(name string) error {
	bad := func(why string) error { return fmt.Errorf("%w: branch %q: %s", ErrInvalidName, name, why) }
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxName:
		return bad("it is too long")
	case name == "HEAD" || name == "@":
		return bad("git uses it for something else")
	case strings.HasPrefix(name, "refs/"):
		return bad("give it without refs/heads/")
	case strings.HasPrefix(name, "-"):
		return bad("it looks like an option")
	case strings.HasSuffix(name, "."):
		return bad("it ends with a dot")
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return bad("it reads as a range or a reflog entry")
	case strings.ContainsAny(name, "~^:?*[\\ ") || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		return bad("it has a character that git does not allow")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return bad("each part between slashes has to be there, not begin with a dot and not end with .lock")
		}
	}
	return nil
}

// checkPath refuses what cannot be a file of a repository: stacks/web/main.tf
// passes; /etc/hosts, ../x, a//b and .git/config do not.
func checkPath(name string) error {
	bad := func(why string) error { return fmt.Errorf("%w: path %q: %s", ErrInvalidName, name, why) }
	switch {
	case name == "" || len(name) > 4096:
		return bad("it is empty or too long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return bad("it has a control character or is not UTF-8")
	case strings.HasPrefix(name, "/") || name != path.Clean(name) || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return bad("give it from the repository's root, without . and ..")
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(part, ".git") || len(part) > maxName {
			return bad("no file of a repository can have that name")
		}
	}
	return nil
}

// checkSHA reads a full commit id: forty hexadecimal digits in lower case.
func checkSHA(sha string) (plumbing.Hash, error) {
	if len(sha) != 40 || strings.Trim(sha, "0123456789abcdef") != "" {
		return plumbing.ZeroHash, fmt.Errorf("%w: commit %q: give the full id, forty hexadecimal digits", ErrInvalidName, sha)
	}
	return plumbing.NewHash(sha), nil
}
