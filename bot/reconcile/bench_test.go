package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// large makes a repository of some services with four files each, where
// nothing is merged by itself.
func large(b *testing.B, services int) *world {
	b.Helper()
	dir := b.TempDir()
	write := func(path, content string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write(".github/belay.yml", "risk: { automerge: [] }\nservices: { roots: [\"stacks/*\"] }\ndispatch: { limit: { upgrades: 5000, window: 6h } }\n")
	for i := range services {
		s := fmt.Sprintf("stacks/s%04d/", i)
		write(s+"main.tf", stack(fmt.Sprintf("acme/s%04d:1.0.0", i)))
		write(s+"variables.tf", "variable \"host\" {\n  type    = string\n  default = \"home.example\"\n}\n")
		write(s+"ingress.tf", fmt.Sprintf("resource \"kubernetes_ingress_v1\" \"app\" {\n  metadata {\n    name = \"s%04d\"\n  }\n}\n", i))
		write(s+"README.md", fmt.Sprintf("# s%04d\n", i))
	}
	return newWorldOf(b, false, func(gh *sandbox.GitHub) (*sandbox.Repository, error) {
		return gh.AddRepositoryDir("acme", "home-ops", dir)
	})
}

// BenchmarkDispatchToPull is the time from the dispatch to the open pull request
// with a warm mirror, in a repository of 1,600 files. One operation is a hundred
// dispatches, one after the other.
func BenchmarkDispatchToPull(b *testing.B) {
	w := large(b, 400)
	next := 0
	one := func() time.Duration {
		service := fmt.Sprintf("s%04d", next%400)
		tag := fmt.Sprintf("1.0.%d", 1+next/400)
		next++
		began := time.Now()
		w.dispatch("acme/"+service, tag)
		w.soon("the pull request of "+service+" is open", func() bool {
			p := w.pull(service)
			return p.State == "open" && strings.HasSuffix(p.Title, tag)
		})
		return time.Since(began)
	}
	one() // clones
	var took []time.Duration
	for b.Loop() {
		for range 100 {
			took = append(took, one())
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkThousandOpen has 1,000 upgrades open at once and looks at each once,
// as belay does by itself every hour. The memory is the heap that the process
// holds after a collection with all of them open, less what it held before the
// first: the stand-in's share is in it.
func BenchmarkThousandOpen(b *testing.B) {
	const services = 1000
	for b.Loop() {
		w := large(b, services)
		before := heap()
		for i := range services {
			w.dispatch(fmt.Sprintf("acme/s%04d", i), "1.0.1")
		}
		// Looked at once a second: a look reads all of them, and belay needs the cores.
		ctx, cancel := context.WithTimeout(b.Context(), 50*time.Minute)
		tick := time.NewTicker(time.Second)
		for open := 0; open < services; {
			select {
			case <-ctx.Done():
				b.Fatalf("only %d are open", open)
			case <-tick.C:
			}
			list, err := w.life.store.OpenUpgrades(ctx, "")
			if err != nil {
				b.Fatal(err)
			}
			open = 0
			for _, u := range list {
				if u.State == string(lifecycle.Open) {
					open++
				}
			}
		}
		tick.Stop()
		cancel()
		if err := w.gh.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		w.quiet("s0000")
		held := heap() - before
		list, err := w.life.store.OpenUpgrades(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		w.gh.ResetCalls()
		for _, u := range list {
			if _, err := w.life.rec.Reconcile(b.Context(), u.ID); err != nil {
				b.Fatal(err)
			}
		}
		calls := w.gh.Calls()
		n := 0
		for _, what := range slices.Sorted(maps.Keys(calls)) {
			n += calls[what]
			b.Logf("%5d %s", calls[what], what)
		}
		b.ReportMetric(float64(held)/(1<<20), "MB-held")
		b.ReportMetric(float64(n), "calls/hour")
		w.stop()
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
