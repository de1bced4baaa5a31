package cluster_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/rules/watch"
)

// BenchmarkRollouts follows fifty services for BELAY_WATCH (20s when unset;
// 10m is the window of a CAUTION upgrade), each looked at every 15 s and at
// every wake, and prints what the API server was asked: for fifty namespaces
// with one service each, and for one namespace with fifty.
func BenchmarkRollouts(b *testing.B) {
	length := 20 * time.Second
	if s := os.Getenv("BELAY_WATCH"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			b.Fatal(err)
		}
	}
	for _, spaces := range []int{1, 50} {
		b.Run(fmt.Sprintf("50services/%dnamespaces", spaces), func(b *testing.B) {
			for b.Loop() {
				watchFifty(b, spaces, length)
			}
		})
	}
}

func watchFifty(b *testing.B, spaces int, length time.Duration) {
	plane := shared(b)
	total := &requests{}
	config := plane.Config()
	config.Wrap(total.wrap)
	r, err := cluster.NewRollouts(cluster.RolloutOptions{Config: config})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var subjects []watch.Subject
	for range spaces {
		w := newStage(b, plane)
		w.deployment("v2", 2, nil)
		subjects = append(subjects, w.subject)
	}
	for i := 0; len(subjects) < 50; i++ {
		s := subjects[0]
		s.Service = fmt.Sprint("web-", i)
		subjects = append(subjects, s)
	}
	for i := range subjects {
		subjects[i].Repository = fmt.Sprint("acme/", i)
	}
	before := resident()
	wakes := make(chan int, 1000)
	for i, s := range subjects {
		r.Follow(s, func() { wakes <- i })
	}
	good := map[int]bool{}
	deadline := time.NewTimer(5 * patience)
	defer deadline.Stop()
	for len(good) < len(subjects) {
		select {
		case i := <-wakes:
			if got := r.Look(b.Context(), subjects[i]); is(watch.Good)(got) {
				good[i] = true
			}
		case <-deadline.C:
			b.Fatalf("only %d of %d services are healthy", len(good), len(subjects))
		}
	}
	started := total.all.Load()
	end := time.NewTimer(length)
	defer end.Stop()
	tick := time.NewTicker(min(15*time.Second, length/2))
	defer tick.Stop()
	looks, took := 0, time.Duration(0)
	look := func(i int) {
		from := time.Now()
		if got := r.Look(b.Context(), subjects[i]); !is(watch.Good)(got) {
			b.Errorf("a healthy service: %+v", got)
		}
		looks, took = looks+1, took+time.Since(from)
	}
	for watching := true; watching; {
		select {
		case <-end.C:
			watching = false
		case i := <-wakes:
			look(i)
		case <-tick.C:
			for i := range subjects {
				look(i)
			}
		}
	}
	minutes := length.Minutes()
	b.ReportMetric(float64(started), "requests-to-start")
	b.ReportMetric(float64(total.all.Load()-started)/minutes, "requests/min")
	b.ReportMetric(float64(total.live.Load())/minutes, "of-them-livez/min")
	b.ReportMetric(float64(took.Microseconds())/float64(max(looks, 1)), "µs/look")
	b.ReportMetric(float64(resident())/(1<<20), "RSS-MB")
	b.ReportMetric(float64(resident()-before)/(1<<20), "RSS-growth-MB")
	b.ReportMetric(0, "ns/op")
}

// resident is this process's memory in bytes, garbage given back first.
func resident() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
