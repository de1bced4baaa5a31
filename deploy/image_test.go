//go:build linux

package deploy_test

import (
	"debug/elf"
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
	switch {
	case testing.Short():
		t.Skip("-short leaves out the build of the image's program")
	case os.Getuid() != 0:
		t.Skip("only root may change the root directory: run this test as root")
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
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{"PATH=/usr/bin"}, strings.NewReader(tc.stdin)
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), tc.want) {
			t.Errorf("belay %s: %v\n%s", tc.args, err, out)
		}
	}
}
