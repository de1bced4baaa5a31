package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// TB is the part of *testing.T that ForTest needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

var shared struct {
	once  sync.Once
	plane *ControlPlane
	err   error
}

// ForTest is the one control plane of a test binary, started by the first test
// that asks. Tests keep apart by namespaces and image names; one that stops the
// API server has to Start its own. Scripts play in real time.
//
// TestMain of a package that uses it is `os.Exit(kube.Main(m))`.
func ForTest(t TB) *ControlPlane {
	t.Helper()
	shared.once.Do(func() { shared.plane, shared.err = Start(context.Background(), Options{}) })
	if shared.err != nil {
		if errors.Is(shared.err, ErrNotBuilt) {
			t.Fatalf("%v; go test -short leaves out what needs it", shared.err)
		}
		t.Fatalf("start the control plane: %v", shared.err)
	}
	return shared.plane
}

// Main runs the tests of a package and closes the shared control plane after
// them. m is a *testing.M.
func Main(m interface{ Run() int }) int {
	code := m.Run()
	if shared.plane == nil {
		return code
	}
	if code != 0 && os.Getenv("BELAY_KUBE_LOGS") != "" {
		shared.plane.Logs(os.Stderr)
	}
	if err := shared.plane.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "close the control plane:", err)
		return max(code, 1)
	}
	return code
}
