package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belaybot/belay/bot/store"
)

// TestStateTrouble are stories of belay serve on a state that it cannot use:
// each ends with an error, and GitHub is not asked for anything. Beside exec,
// they know:
//
//	state DIR         make a state
//	newer DIR         make one that a newer belay has written
//	hold DIR          keep one in use by another process
//	nobody belay ...  run belay as somebody who is not root
//	untouched         nothing was asked of $GITHUB
func TestStateTrouble(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "state"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			asked := new(atomic.Int64)
			github := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			e.Defer(github.Close)
			e.Values[requests{}] = asked
			for name, value := range map[string]string{"GITHUB": github.URL, "BELAY_APP_ID": "1", "BELAY_APP_KEY": "none", "BELAY_WEBHOOK_SECRET": "s", "BELAY_DIUN_TOKEN": "t"} {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"state": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(openState(ts.MkAbs(args[0])).Close()) },
			"newer": func(ts *testscript.TestScript, _ bool, args []string) {
				st := openState(ts.MkAbs(args[0]))
				_, err := st.DB().ExecContext(context.Background(), "INSERT INTO belay_schema (version) VALUES (9999)")
				ts.Check(errors.Join(err, st.Close()))
			},
			"hold": func(ts *testscript.TestScript, _ bool, args []string) {
				st := openState(ts.MkAbs(args[0]))
				ts.Defer(func() { _ = st.Close() })
			},
			"nobody":    asNobody,
			"untouched": untouched,
		},
	})
}

// requests is the key of the number of requests to GitHub.
type requests struct{}

func untouched(ts *testscript.TestScript, _ bool, _ []string) {
	if n := ts.Value(requests{}).(*atomic.Int64).Load(); n != 0 {
		ts.Fatalf("GitHub was asked %d times", n)
	}
}

func openState(dir string) *store.Store {
	st, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	return st
}

// asNobody runs belay without root's rights, under which every file is writable.
// For that, the script's files become nobody's.
func asNobody(ts *testscript.TestScript, neg bool, args []string) {
	work := ts.Getenv("WORK")
	binary, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(binary, args[1:]...)
	cmd.Args[0] = args[0] // the test binary is what it is called
	cmd.Dir = work
	cmd.Env = []string{"HOME=" + work}
	for _, name := range []string{"BELAY_APP_ID", "BELAY_APP_KEY", "BELAY_WEBHOOK_SECRET", "BELAY_DIUN_TOKEN"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if os.Geteuid() == 0 {
		copied := filepath.Join(work, "bin", args[0])
		ts.Check(os.MkdirAll(filepath.Dir(copied), 0o755))
		ts.Check(copyFile(copied, binary))
		cmd.Path = copied
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(ts, work)}
	}
	err = cmd.Run()
	switch {
	case err != nil && !errors.As(err, new(*exec.ExitError)):
		ts.Fatalf("%v", err)
	case neg && err == nil:
		ts.Fatalf("it ended well")
	case !neg && err != nil:
		ts.Fatalf("%v", err)
	}
}

func nobody(ts *testscript.TestScript, work string) *syscall.Credential {
	u, err := user.Lookup("nobody")
	ts.Check(err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	ts.Check(err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	ts.Check(err)
	ts.Check(filepath.WalkDir(work, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(uid), int(gid)))
	}))
	for dir := filepath.Dir(work); dir != os.TempDir() && len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		ts.Check(os.Chmod(dir, 0o711))
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
