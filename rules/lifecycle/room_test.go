package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
)

func TestAdmit(t *testing.T) {
	at := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
	repository := func(opened time.Time, started int) lifecycle.Budget {
		return lifecycle.Budget{Limit: 5, Window: 6 * time.Hour, Opened: opened, Started: started}
	}
	service := func(opened time.Time, started int) lifecycle.Budget {
		return lifecycle.Budget{Limit: 1, Window: 6 * time.Hour, Opened: opened, Started: started}
	}
	type budgets = map[string]lifecycle.Budget
	plain := lifecycle.Candidate{From: []string{"home-ops"}}
	fix := lifecycle.Candidate{From: []string{"home-ops"}, Free: true}
	web := lifecycle.Candidate{From: []string{"home-ops", "web"}}
	bulk := lifecycle.Candidate{From: []string{"run"}}
	for _, tc := range []struct {
		name    string
		budgets budgets
		queue   []lifecycle.Candidate
		want    bool
		next    time.Time
	}{
		{"the first opens a window", budgets{"home-ops": repository(time.Time{}, 0)}, []lifecycle.Candidate{plain}, true, time.Time{}},
		{"the fifth fits", budgets{"home-ops": repository(at(-1), 4)}, []lifecycle.Candidate{plain}, true, time.Time{}},
		{"the sixth waits until the window ends", budgets{"home-ops": repository(at(-1), 5)}, []lifecycle.Candidate{plain}, false, at(5)},
		{"those who came before go first", budgets{"home-ops": repository(at(-1), 3)}, []lifecycle.Candidate{plain, plain, plain}, false, at(5)},
		{"and may be about to open the window", budgets{"home-ops": repository(time.Time{}, 0)}, []lifecycle.Candidate{plain, plain, plain, plain, plain, plain}, false, time.Time{}},
		{"after the window the count starts again", budgets{"home-ops": repository(at(-6), 5)}, []lifecycle.Candidate{plain, plain, plain, plain, plain}, true, time.Time{}},
		{"and is a limit again", budgets{"home-ops": repository(at(-6), 5)}, []lifecycle.Candidate{plain, plain, plain, plain, plain, plain}, false, time.Time{}},
		{"a security fix passes", budgets{"home-ops": repository(at(-1), 5)}, []lifecycle.Candidate{plain, fix}, true, time.Time{}},
		{"and takes nobody's place", budgets{"home-ops": repository(at(-1), 4)}, []lifecycle.Candidate{fix, plain}, true, time.Time{}},
		{"a service's own limit", budgets{"home-ops": repository(at(-1), 1), "web": service(at(-2), 1)}, []lifecycle.Candidate{web}, false, at(4)},
		{"the later of two windows counts", budgets{"home-ops": repository(at(-1), 5), "web": service(at(-2), 1)}, []lifecycle.Candidate{web}, false, at(5)},
		{"who waits for its service holds up nobody", budgets{"home-ops": repository(at(-1), 4), "web": service(at(-2), 1)}, []lifecycle.Candidate{web, plain}, true, time.Time{}},
		{"two of one service go one after the other", budgets{"home-ops": repository(time.Time{}, 0), "web": service(time.Time{}, 0)}, []lifecycle.Candidate{web, web}, false, time.Time{}},
		{"a run has its own limit", budgets{"home-ops": repository(at(-1), 5), "run": {Limit: 12, Window: 6 * time.Hour}}, []lifecycle.Candidate{plain, bulk}, true, time.Time{}},
		{"which is one", budgets{"run": {Limit: 2, Window: 6 * time.Hour, Opened: at(-3), Started: 2}}, []lifecycle.Candidate{bulk}, false, at(3)},
		{"no budget is no limit", nil, []lifecycle.Candidate{plain}, true, time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, next := lifecycle.Admit(now, tc.budgets, tc.queue)
			if got != tc.want || !next.Equal(tc.next) {
				t.Errorf("%v until %v, want %v until %v", got, next, tc.want, tc.next)
			}
		})
	}
}

// TestNothingIsDropped starts whatever Admit lets, in any order of arrival: all
// are started at last, no window holds more than its limit, and those of one
// budget start in the order in which they came.
func TestNothingIsDropped(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		limit, window := 1+r.IntN(5), time.Duration(1+r.IntN(12))*time.Hour
		budgets := map[string]lifecycle.Budget{"repository": {Limit: limit, Window: window}}
		for i := range 3 {
			budgets[fmt.Sprint("service", i)] = lifecycle.Budget{Limit: 1 + r.IntN(3), Window: window}
		}
		type waiting struct {
			lifecycle.Candidate
			number int
		}
		var queue []waiting
		for i := range r.IntN(40) {
			queue = append(queue, waiting{lifecycle.Candidate{From: []string{"repository", fmt.Sprint("service", r.IntN(3))}}, i})
		}
		last := map[string]int{}
		clock := now
		for looks := 0; len(queue) > 0; looks++ {
			if looks > 10_000 {
				t.Fatalf("%d are left after %d looks", len(queue), looks)
			}
			started := false
			for i := range queue {
				var ahead []lifecycle.Candidate
				for _, q := range queue[:i+1] {
					ahead = append(ahead, q.Candidate)
				}
				if ok, _ := lifecycle.Admit(clock, budgets, ahead); !ok {
					continue
				}
				for _, name := range queue[i].From {
					b := budgets[name]
					if b.Opened.IsZero() || !clock.Before(b.Opened.Add(b.Window)) {
						b.Opened, b.Started = clock, 0
					}
					if b.Started++; b.Started > b.Limit {
						t.Fatalf("%s: %d started in a window for %d", name, b.Started, b.Limit)
					}
					budgets[name] = b
				}
				service := queue[i].From[1]
				if queue[i].number < last[service] {
					t.Fatalf("%s: %d starts after %d", service, queue[i].number, last[service])
				}
				last[service] = queue[i].number
				queue = append(queue[:i:i], queue[i+1:]...)
				started = true
				break
			}
			if !started {
				clock = clock.Add(30 * time.Minute)
			}
		}
	}
}
