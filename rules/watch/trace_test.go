package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/watch"
)

func TestTrace(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	pod := func(s watch.State, detail string) watch.Sample {
		return watch.Sample{Kind: watch.Rollout, Name: "deployment web/web", State: s, Detail: detail}
	}
	web := func(s watch.State) watch.Sample {
		return watch.Sample{Kind: watch.HTTP, Name: "https://web.example.org", State: s, Detail: "502"}
	}
	var trace watch.Trace
	trace = trace.Add(at(0), []watch.Sample{pod(watch.Progressing, "1 of 2 pods")})
	trace = trace.Add(at(15), []watch.Sample{pod(watch.Good, ""), web(watch.Bad)})
	trace = trace.Add(at(15), []watch.Sample{web(watch.Good)})
	before := trace
	trace = trace.Add(at(30), []watch.Sample{pod(watch.Fatal, "OOMKilled")})
	want := watch.Trace{From: start, At: []int{0, 15, 30}, Things: []watch.Traced{
		{Kind: watch.Rollout, Name: "deployment web/web", Marks: "pgf", Note: "OOMKilled"},
		{Kind: watch.HTTP, Name: "https://web.example.org", Marks: "-b-", Note: "502"},
	}}
	if diff := cmp.Diff(want, trace); diff != "" {
		t.Error(diff)
	}
	if len(before.At) != 2 || before.Things[0].Marks != "pg" {
		t.Errorf("the trace before was changed: %+v", before)
	}
	if s, ok := trace.Things[0].StateAt(2); s != watch.Fatal || !ok {
		t.Errorf("look 2 found %q", s)
	}
	if _, ok := trace.Things[1].StateAt(0); ok {
		t.Error("look 0 did not look at the address")
	}
}

func TestTraceOfALongWatchKeepsWhatWasBad(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var trace watch.Trace
	for i := range 5000 {
		state := watch.Good
		if i == 333 {
			state = watch.Bad
		}
		trace = trace.Add(start.Add(time.Duration(i)*15*time.Second), []watch.Sample{{Kind: watch.HTTP, Name: "web", State: state}})
	}
	if n := len(trace.At); n > 240 || n != len(trace.Things[0].Marks) {
		t.Errorf("%d looks, %d marks", n, len(trace.Things[0].Marks))
	}
	if strings.Count(trace.Things[0].Marks, "b") != 1 {
		t.Error("the bad look is gone")
	}
}
