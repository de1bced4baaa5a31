package sandbox_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/sandbox"
)

// TestNumbersAreOnesOwn: issues and pull requests share their numbers, whoever
// opens them, and however many at once.
func TestNumbersAreOnesOwn(t *testing.T) {
	_, repo := stand(t, sandbox.Options{})
	const each = 6
	for i := range each {
		for _, kind := range []string{"pull", "fork"} {
			if _, err := repo.Push("ana", fmt.Sprint(kind, i), "change", map[string]string{kind + ".tf": fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var mu sync.Mutex
	var got []int
	var wait sync.WaitGroup
	open := func(f func() int) {
		wait.Go(func() {
			n := f()
			mu.Lock()
			defer mu.Unlock()
			got = append(got, n)
		})
	}
	for i := range each {
		open(func() int { return repo.OpenIssue("ana", "something", "") })
		open(func() int { return repo.OpenPull("ana", fmt.Sprint("pull", i), "a change") })
		open(func() int { return repo.OpenFork("bo", fmt.Sprint("fork", i), "a change") })
	}
	wait.Wait()
	slices.Sort(got)
	for i, n := range got {
		if n != i+1 {
			t.Fatalf("the numbers are %v", got)
		}
	}
}
