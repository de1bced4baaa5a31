// Package postgres starts a real PostgreSQL for tests: one server for each test
// binary, on a free port of loopback, in a directory of its own, with a fresh
// database for each test.
//
// The server ends and its directory goes when the test binary ends, however it
// ends: a shell stands between them that waits for the binary's end of a pipe to
// close. No product code imports this package.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a running PostgreSQL.
type server struct {
	url  string // of its first database
	pipe io.Closer
}

var (
	once    sync.Once
	running *server
	problem error
	names   atomic.Int64
)

// New makes an empty database for a test and returns its address,
// "postgres://…". The test fails where PostgreSQL is not installed, and is left
// out by -short.
func New(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("PostgreSQL: left out by -short")
	}
	once.Do(func() { running, problem = start() })
	if problem != nil {
		t.Fatal(problem)
	}
	name := fmt.Sprintf("test%d", names.Add(1))
	if err := running.run("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.run("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(running.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func (s *server) run(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, statement)
	return err
}

// keeper runs the server until its standard input closes, then ends it at once
// and removes everything. What it is given: the directory, the port, initdb, postgres.
const keeper = `
trap '' INT HUP
cd "$1" || exit 1
server=
if "$3" -D data -U belay -A trust -E UTF8 --locale=C --no-sync >log 2>&1; then
	"$4" -D data -p "$2" -k "$1" -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=100 >>log 2>&1 &
	server=$!
else
	touch failed
fi
read -r _
[ -n "$server" ] && kill -QUIT $server 2>/dev/null && wait $server
cd / && rm -rf "$1"
`

// start starts a server, and waits until it answers.
func start() (*server, error) {
	postgres, initdb, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "belay-postgres-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", keeper, "keeper", dir, strconv.Itoa(port), initdb, postgres) //nolint:gosec // for tests; the arguments are this package's own
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + dir}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what ends the test by its group leaves the keeper to tidy up
	if os.Getuid() == 0 {                                 // PostgreSQL refuses to run as root
		if cmd.SysProcAttr.Credential, err = somebody(dir); err != nil {
			return nil, err
		}
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s := &server{url: fmt.Sprintf("postgres://belay@127.0.0.1:%d/postgres?sslmode=disable", port), pipe: pipe}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; {
		err := s.run("SELECT 1")
		if err == nil {
			return s, nil
		}
		_, failed := os.Stat(filepath.Join(dir, "failed"))
		select {
		case <-ended:
			return nil, errors.New("PostgreSQL: the shell that keeps it ended")
		case <-tick.C:
		}
		if failed == nil || time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			_ = pipe.Close()
			return nil, fmt.Errorf("PostgreSQL did not start: %w\n%s", err, log)
		}
	}
}

// binaries finds postgres and initdb in PATH or where Debian keeps them; the
// newest, if there are several.
func binaries() (postgres, initdb string, err error) {
	if postgres, err = exec.LookPath("postgres"); err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if len(found) == 0 {
			return "", "", errors.New("PostgreSQL is not installed: run hack/setup")
		}
		postgres = slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
	}
	if initdb, err = exec.LookPath(filepath.Join(filepath.Dir(postgres), "initdb")); err != nil {
		return "", "", errors.New("PostgreSQL's initdb is not installed: run hack/setup")
	}
	return postgres, initdb, nil
}

func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// somebody is a user without rights, to whom the directory is given.
func somebody(dir string) (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
