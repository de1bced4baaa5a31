package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const defaultBranch = "main"

// git runs git in a bare repository. stand-in identities keep commits apart
// from the machine's configuration.
func git(dir string, env []string, in []byte, args ...string) (string, error) {
	cmd := exec.Command("git", args...) //nolint:gosec // the stand-in runs where tests run
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=ana", "GIT_AUTHOR_EMAIL=ana@users.noreply.github.com", "GIT_COMMITTER_NAME=ana", "GIT_COMMITTER_EMAIL=ana@users.noreply.github.com"}, env...)
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

func author(login string) []string {
	return []string{"GIT_AUTHOR_NAME=" + login, "GIT_AUTHOR_EMAIL=" + login + "@users.noreply.github.com", "GIT_COMMITTER_NAME=" + login, "GIT_COMMITTER_EMAIL=" + login + "@users.noreply.github.com"}
}

// protect is the hook that refuses a push to the default branch, in GitHub's
// words. What the stand-in itself writes does not pass it.
const protect = `#!/bin/sh
test "$1" = "refs/heads/` + defaultBranch + `" || exit 0
echo "error: GH006: Protected branch update failed for $1." >&2
exit 1
`

func initRepository(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := git(dir, nil, nil, "init", "--quiet", "--bare", "--initial-branch="+defaultBranch); err != nil {
		return err
	}
	// As on GitHub, any commit that is there can be fetched by its id.
	config, err := os.OpenFile(filepath.Join(dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString("[http]\n\treceivepack = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n")
	if err := errors.Join(err, config.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "hooks", "update"), []byte(protect), 0o700)
}

// commit writes a commit with some files replaced or added, without a work
// tree. parent "" makes a root.
func commit(dir, login, parent, message string, files map[string]string) (string, error) {
	index := filepath.Join(dir, fmt.Sprintf("index.%p", &files))
	defer func() { _ = os.Remove(index) }()
	env := append(author(login), "GIT_INDEX_FILE="+index)
	if parent != "" {
		if _, err := git(dir, env, nil, "read-tree", parent); err != nil {
			return "", err
		}
	}
	for path, content := range files {
		blob, err := git(dir, env, []byte(content), "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		if _, err := git(dir, env, nil, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+path); err != nil {
			return "", err
		}
	}
	tree, err := git(dir, env, nil, "write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	return git(dir, env, []byte(message), args...)
}

func commitDir(dir, source, message string) (string, error) {
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index.start"), "GIT_WORK_TREE=" + source, "GIT_DIR=" + dir}
	if _, err := git(dir, env, nil, "-C", source, "add", "--all", "--force", "."); err != nil {
		return "", err
	}
	tree, err := git(dir, env, nil, "write-tree")
	if err != nil {
		return "", err
	}
	return git(dir, nil, []byte(message), "commit-tree", tree)
}

// resolve is the commit that a name stands for, "" when there is none.
func resolve(dir, ref string) string {
	if strings.HasPrefix(ref, "refs/") { // a branch is a file, mostly: that spares a process
		if data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(ref))); err == nil && len(data) == len(zeroSHA)+1 { //nolint:gosec // only a SHA is taken from it
			return string(data[:len(zeroSHA)])
		}
	}
	sha, err := git(dir, nil, nil, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return ""
	}
	return sha
}

// mergeTree merges two commits; ok is false when they conflict.
func mergeTree(dir, base, head string) (tree string, ok bool) {
	out, err := git(dir, nil, nil, "merge-tree", "--write-tree", base, head)
	if err != nil {
		return "", false
	}
	tree, _, _ = strings.Cut(out, "\n")
	return tree, true
}

// branches reads all branches of a repository.
func branches(dir string) map[string]string {
	out, err := git(dir, nil, nil, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
	if err != nil {
		return nil
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		name, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = sha
	}
	return refs
}

const zeroSHA = "0000000000000000000000000000000000000000"

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var errConflict = errors.New("merge conflict")
