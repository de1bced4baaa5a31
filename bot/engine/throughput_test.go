package engine_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
)

// upgrades is how many the replicas share, and latency how long each look
// waits for GitHub: what one query takes over the net.
const (
	upgrades = 10_000
	latency  = 40 * time.Millisecond
)

// shares is a process that looks at upgrades beside others, as BenchmarkReplicas
// starts them: each look waits for GitHub and records that it was made.
func shares(s *store.Store) {
	e, err := engine.New(ctx, engine.Options{Store: s, Log: logger(), Reconcile: func(ctx context.Context, id string) (time.Time, error) {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-timer.C:
		}
		isNew, err := s.Remember(ctx, "look "+id, time.Now().Add(time.Hour))
		if err == nil && !isNew {
			_, err = s.Remember(ctx, "again "+id, time.Now().Add(time.Hour))
		}
		return time.Time{}, err
	}})
	if err == nil {
		err = e.Start(ctx)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// BenchmarkReplicas has one and three processes of belay look once at each of
// ten thousand upgrades, on one PostgreSQL.
func BenchmarkReplicas(b *testing.B) {
	rate := map[int]float64{}
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				rate[n] = share(b, n)
			}
			b.ReportMetric(rate[n], "looks/s")
			b.ReportMetric(0, "ns/op")
		})
	}
	if rate[1] > 0 && rate[3] < 2*rate[1] {
		b.Errorf("three replicas look %.1f times as often as one, less than twice", rate[3]/rate[1])
	}
}

// share has n processes look at all upgrades, and returns how many they look at
// in a second.
func share(b *testing.B, n int) float64 {
	state := store.Options{Database: postgres.New(b), Postgres: pool.Open}
	s, err := store.Open(ctx, state)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e, err := engine.New(ctx, engine.Options{Store: s, Log: logger()})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Transact(ctx, func(tx *sql.Tx) error {
		for i := range upgrades {
			if err := e.WakeTx(ctx, tx, fmt.Sprint("u", i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BELAY_TEST_DATABASE="+state.Database, "BELAY_TEST_SHARE=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			b.Fatal(line)
		}
	}
	count := func(like string) (k int) {
		if err := s.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM remembered WHERE name LIKE $1", like).Scan(&k); err != nil {
			b.Fatal(err)
		}
		return k
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	before, begun := count("look %"), time.Now()
	for left := time.After(8 * time.Minute); count("look %") < upgrades; {
		select {
		case <-tick.C:
		case <-left:
			b.Fatalf("%d of %d after eight minutes", count("look %"), upgrades)
		}
	}
	took := time.Since(begun)
	if again := count("again %"); again > 0 {
		b.Errorf("%d upgrades were looked at twice", again)
	}
	return float64(upgrades-before) / took.Seconds()
}
