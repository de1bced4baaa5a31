package postgres

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMain lets the test binary be one that is killed while it uses a server.
func TestMain(m *testing.M) {
	if os.Getenv("BELAY_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	s, err := start()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.url)
	select {}
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	one, two := New(t), New(t)
	ctx := context.Background()
	for _, url := range []string{one, two} {
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(ctx, "CREATE TABLE here (n BIGINT)"); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		_ = c.Close(ctx)
	}
}

// TestNothingIsLeftBehind kills a binary that uses a server.
func TestNothingIsLeftBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("PostgreSQL: left out by -short")
	}
	temp, err := os.MkdirTemp("", "killed-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chmod(temp, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BELAY_TEST_CHILD=1", "TMPDIR="+temp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if !strings.HasPrefix(line, "postgres://") {
		t.Fatal(line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		left, _ := filepath.Glob(filepath.Join(temp, "*"))
		_, err := pgx.Connect(context.Background(), strings.TrimSpace(line))
		if len(left) == 0 && err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v, the server's answer: %v", left, err)
		}
	}
}
