package kube

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// programs is where hack/setup keeps what it has built.
func programs() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, _ := os.UserHomeDir()
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "belay", "kube", Version)
}

const prefix = "belay-kube-"

// temporary makes the directory of one control plane, named after this process,
// and removes those whose process has ended without doing so.
func temporary() (string, error) {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		if number, err := strconv.Atoi(pid); err == nil && syscall.Kill(number, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
	return os.MkdirTemp("", prefix+strconv.Itoa(os.Getpid())+"-")
}

// serviceAccount splits "system:serviceaccount:namespace:name".
func serviceAccount(user string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, "system:serviceaccount:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}
