//go:build linux

package deploy_test

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestImageRunsWithoutAnythingElse builds the program as the Dockerfile does,
// and runs it where there is nothing but it and the folder for temporary files:
// it is static, says its version, and knows time zones.
func TestImageRunsWithoutAnythingElse(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out the build of the image's program")
	}
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(root, "usr/bin/belay")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", program, "./cmd/belay")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program asks for a dynamic linker")
		}
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MB", float64(info.Size())/(1<<20))
	for _, tc := range []struct{ args, stdin, want string }{
		{"version", "", "belay "},
		{"config check -", "schedule: { timezone: Europe/Sofia, merge: \"Mon-Fri 09:00-17:00\" }\n", "ok"},
		{"init --repo /tmp", "", "neither git nor Terraform files are here"},
	} {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/belay", strings.Fields(tc.args)...)
		cmd.SysProcAttr = confined(root, os.Getuid(), os.Getgid())
		cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{"PATH=/usr/bin"}, strings.NewReader(tc.stdin)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%v: only root may change the root directory here: run this test as root, or allow user namespaces", err)
		}
		if !strings.Contains(string(out), tc.want) {
			t.Errorf("belay %s: %v\n%s", tc.args, err, out)
		}
	}
}

// confined has a program see nothing but a directory, as the image's user. Who is
// not root does it in a user namespace, in which that user stands for theirs.
func confined(root string, uid, gid int) *syscall.SysProcAttr {
	const nobody = 65532
	if uid == 0 {
		return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: uid, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: gid, Size: 1}}}
}
