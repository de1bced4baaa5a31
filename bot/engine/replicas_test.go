package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
)

// TestMain lets the test binary be a process that looks at an upgrade for ever.
func TestMain(m *testing.M) {
	dir, database := os.Getenv("BELAY_TEST_DIR"), os.Getenv("BELAY_TEST_DATABASE")
	if dir == "" && database == "" {
		os.Exit(m.Run())
	}
	s, err := store.Open(ctx, store.Options{Dir: dir, Database: database, Postgres: pool.Open})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv("BELAY_TEST_SHARE") != "" {
		shares(s)
	}
	e, err := engine.New(ctx, engine.Options{Store: s, Timeout: quick, Log: logger(), Reconcile: func(context.Context, string) (time.Time, error) {
		fmt.Println("looks")
		select {}
	}})
	if err == nil {
		err = e.Start(ctx)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

// quick is a time-out after which a replica is soon taken for dead.
const quick = 2 * time.Second

// TestWhatAKilledProcessWasAtIsTakenUp kills one with SIGKILL while it looks.
// On SQLite the next start takes it up; on PostgreSQL another replica does,
// without a restart.
func TestWhatAKilledProcessWasAtIsTakenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of waiting for a dead replica: left out by -short")
	}
	onBoth(t, func(t *testing.T, state store.Options) {
		s := open(t, state)
		wake(t, prepare(t, engine.Options{Store: s}), "u1")
		if state.Database == "" {
			_ = s.Close()
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BELAY_TEST_DIR="+state.Dir, "BELAY_TEST_DATABASE="+state.Database)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill() }()
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "looks\n" {
			t.Fatal(line)
		}
		w := newWatcher(t, nil)
		if state.Database != "" {
			// The other one is there already, and leaves it alone as long as the first lives.
			start(t, engine.Options{Store: s, Reconcile: w.reconcile("b"), Timeout: quick})
			wake(t, prepare(t, engine.Options{Store: s}), "u1")
		}
		killed := time.Now()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if state.Database == "" {
			start(t, engine.Options{Store: open(t, state), Reconcile: w.reconcile("b"), Timeout: quick})
		}
		for deadline := time.After(3 * patience); w.count("u1") == 0; {
			w.mu.Lock()
			changed := w.changed
			w.mu.Unlock()
			if w.count("u1") > 0 {
				break
			}
			select {
			case <-changed:
			case <-deadline:
				t.Fatal("nobody took it up")
			}
		}
		t.Logf("taken up %s after the kill", time.Since(killed).Round(time.Second/10))
	})
}

func TestTwoEnginesNeverLookAtOneUpgradeAtTheSameTimeAndBothWork(t *testing.T) {
	state := store.Options{Database: postgres.New(t), Postgres: pool.Open}
	w := newWatcher(t, func(ctx context.Context, _ string, _ int) (time.Time, error) {
		select { // long enough for the other to come
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		return time.Time{}, nil
	})
	stores := []*store.Store{open(t, state), open(t, state)}
	engines := []*engine.Engine{start(t, engine.Options{Store: stores[0], Reconcile: w.reconcile("a")}), start(t, engine.Options{Store: stores[1], Reconcile: w.reconcile("b")})}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 100 {
				if err := engines[(i+n)%2].Wake(ctx, fmt.Sprint("u", n%12)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	idle(t, stores[0], "reconcile", 0)
	for who, n := range w.byWhom {
		t.Logf("engine %s: %d looks", who, n)
	}
	if w.byWhom["a"] == 0 || w.byWhom["b"] == 0 {
		t.Errorf("only one works: %v", w.byWhom)
	}
}

func TestPeriodicWorkIsDoneByOneReplica(t *testing.T) {
	state := store.Options{Database: postgres.New(t), Postgres: pool.Open}
	var mu sync.Mutex
	runs := map[string]int{}
	changed := make(chan struct{}, 1)
	replica := func(who string) *engine.Engine {
		return prepare(t, engine.Options{Store: open(t, state), Periodic: []engine.Periodic{{Name: "often", Every: 100 * time.Millisecond, Run: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			runs[who]++
			select {
			case changed <- struct{}{}:
			default:
			}
			return nil
		}}}})
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for deadline := time.After(patience); ; {
			mu.Lock()
			ok := f()
			mu.Unlock()
			if ok {
				return
			}
			select {
			case <-changed:
			case <-deadline:
				t.Fatalf("never: %s; runs %v", what, runs)
			}
		}
	}
	a, b := replica("a"), replica("b")
	run(t, a)
	run(t, b)
	// Who is first makes the jobs; either may work on them, one at a time.
	begun := time.Now()
	until("it runs ten times", func() bool { return runs["a"]+runs["b"] >= 10 })
	mu.Lock()
	n := runs["a"] + runs["b"]
	mu.Unlock()
	if most := int(time.Since(begun)/(100*time.Millisecond)) + 2; n > most {
		t.Errorf("%d runs in a time for %d: both make them", n, most)
	}
	halt(t, a)
	mu.Lock()
	before := runs["b"]
	mu.Unlock()
	until("the other goes on alone", func() bool { return runs["b"] > before+3 })
}
