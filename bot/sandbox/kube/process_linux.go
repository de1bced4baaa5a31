package kube

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the program when this process ends, however
// that happens.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
