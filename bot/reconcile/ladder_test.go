package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// climbing is a world in which acme/web has come out with some versions above
// 1.0.0, the last of which is breaking, and in which its health is watched.
func climbing(t *testing.T, files map[string]string, tags ...string) *world {
	w := newWorld(t, files)
	w.observed()
	w.up.releases(append([]string{"1.0.0"}, tags...)...)
	w.up.say(tags[len(tags)-1], breaking)
	return w
}

// way is the ladder of an upgrade.
func way(u store.Upgrade) *ladder.Ladder {
	var rec struct{ Ladder *ladder.Ladder }
	_ = json.Unmarshal(u.Data, &rec)
	return rec.Ladder
}

// steps are the upgrades of web's ladder, oldest first.
func (w *world) steps() []store.Upgrade {
	w.t.Helper()
	list, err := w.life.store.Upgrades(w.t.Context(), store.Filter{Service: "web"})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b store.Upgrade) int { return a.Created.Compare(b.Created) })
	return list
}

// stepTo waits until a step to a version is in a state.
func (w *world) stepTo(version string, state lifecycle.State) (u store.Upgrade) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the step to %s is %s", version, state), func() bool {
		list := w.steps()
		i := slices.IndexFunc(list, func(u store.Upgrade) bool { return u.To == version && u.State == string(state) })
		if i >= 0 {
			u = list[i]
		}
		return i >= 0
	})
	return u
}

// pullTo waits for the open pull request of a step that waits for a review.
func (w *world) pullTo(version string) (p sandbox.Pull) {
	w.t.Helper()
	w.eventually("a pull request to "+version+" waits for a review", func() bool {
		i := slices.IndexFunc(w.steps(), func(u store.Upgrade) bool {
			return u.To == version && u.State == string(lifecycle.Open) && u.Pull != 0 && strings.Contains(string(u.Data), "approving review")
		})
		if i < 0 {
			return false
		}
		for _, p = range w.repo.Pulls() {
			if p.Number == w.steps()[i].Pull {
				return p.State == "open"
			}
		}
		return false
	})
	return p
}

// answered waits until a comment of belay's on a pull request says something.
func (w *world) answered(number int, text string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("#%d says %q", number, text), func() bool {
		for _, p := range w.repo.Pulls() {
			for _, c := range p.Comments {
				if p.Number == number && report.IsStatus(c.Body) && strings.Contains(c.Body, text) {
					return true
				}
			}
		}
		return false
	})
}

func (w *world) mains() []string {
	var out []string
	for _, s := range w.repo.Log("main") {
		if _, rest, ok := strings.Cut(s, "web "); ok {
			rest, _, _ = strings.Cut(rest, " (#")
			out = append(out, rest)
		}
	}
	slices.Reverse(out)
	return out
}

func TestLadderOfFiveStepsWithAReviewForEach(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.1.1", "1.2.0", "1.3.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	for i, v := range []string{"1.1.0", "1.1.1", "1.2.0", "1.3.0", "2.0.0"} {
		p := w.pullTo(v)
		before := append([]string{"1.0.0"}, "1.1.0", "1.1.1", "1.2.0", "1.3.0")[i]
		if want := fmt.Sprintf("upgrade: web %s → %s", before, v); p.Title != want {
			t.Errorf("%q, want %q", p.Title, want)
		}
		if !slices.Contains(p.Labels, fmt.Sprintf("step %d/5", i+1)) || strings.Count(strings.Join(p.Labels, ","), "risk: ") != 1 {
			t.Errorf("step %d has the labels %q", i+1, p.Labels)
		}
		if want := fmt.Sprintf("This is step %d of 5 on the way from `1.0.0` to `2.0.0`", i+1); !strings.Contains(p.Body, want) {
			t.Errorf("step %d does not say %q:\n%s", i+1, want, p.Body)
		}
		if n := w.pulls("web"); n != i+1 {
			t.Errorf("%d pull requests at step %d", n, i+1)
		}
		if w.image("web") != "acme/web:"+before {
			t.Fatalf("main runs %s before step %d is agreed to", w.image("web"), i+1)
		}
		w.repo.Review(p.Number, "ana", "approved")
		w.stepTo(v, lifecycle.Verified)
	}
	if got, want := w.mains(), []string{"1.0.0 → 1.1.0", "1.1.0 → 1.1.1", "1.1.1 → 1.2.0", "1.2.0 → 1.3.0", "1.3.0 → 2.0.0"}; !slices.Equal(got, want) {
		t.Errorf("main went %q", got)
	}
	list, started := w.steps(), 0
	for i, u := range list {
		l := way(u)
		if u.Ladder != list[0].ID || u.Place != i+1 || l.Place != i+1 || i > 0 && l.Previous != list[i-1].ID || i+1 < len(list) && l.Next != list[i+1].ID {
			t.Errorf("step %d is %+v", i+1, l)
		}
		if !u.Started.IsZero() {
			started++
		}
	}
	if started != 1 || len(list) != 5 {
		t.Errorf("%d of %d steps count against the rate limit", started, len(list))
	}
	w.up.mu.Lock()
	defer w.up.mu.Unlock()
	for v, n := range w.up.asked {
		if n != 1 {
			t.Errorf("the registry was asked %d times for %s", n, v)
		}
	}
}

func TestLadderStepAllCoversAllAndEachHasItsBackup(t *testing.T) {
	t.Parallel()
	w := climbing(t, map[string]string{".github/belay.yml": strings.Replace(config, "databases:\n", "databases:\n  web: { backup: { cronjob: dbaas/web } }\n", 1) + "  \nsteps: minor\n"}, "1.1.0", "1.1.1", "1.2.0", "2.0.0")
	w.repo.SetPermission("bo", "read")
	w.dispatch("acme/web", "2.0.0")
	p := w.pullTo("1.1.1")
	w.repo.Comment(p.Number, "bo", "/upgrade step all")
	w.answered(p.Number, "write permission")
	w.repo.Comment(p.Number, "ana", "/upgrade step all")
	w.stepTo("2.0.0", lifecycle.Verified)
	if got, want := w.mains(), []string{"1.0.0 → 1.1.1", "1.1.1 → 1.2.0", "1.2.0 → 2.0.0"}; !slices.Equal(got, want) {
		t.Errorf("main went %q", got)
	}
	names := map[string]bool{}
	for _, u := range w.steps() {
		var rec struct {
			Backup struct{ Key, Name, State string }
		}
		if err := json.Unmarshal(u.Data, &rec); err != nil || rec.Backup.State != string(lifecycle.Good) || rec.Backup.Name != "dbaas/web-"+rec.Backup.Key {
			t.Errorf("the step to %s has the backup %+v, %v", u.To, rec.Backup, err)
		}
		names[rec.Backup.Key] = true
	}
	w.backups.mu.Lock()
	defer w.backups.mu.Unlock()
	if len(names) != 3 || len(w.backups.made) != 3 {
		t.Errorf("%d backups for the three steps, %d were made", len(names), len(w.backups.made))
	}
	w.answered(p.Number, "agreed to every step up to 2.0.0")
	if body := w.pull("web").Body; !strings.Contains(body, "ana agreed to every step up to `2.0.0`") {
		t.Errorf("the last step says\n%s", body)
	}
}

// failsAt has a version be unhealthy.
func (w *world) failsAt(version string) {
	w.seen.becomes("acme/web:"+version, watch.Sample{State: watch.Bad, Detail: "web crashes again and again"})
}

func TestLadderStopsAtTheStepThatFails(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0")
	w.failsAt("1.3.0")
	w.dispatch("acme/web", "2.0.0")
	w.repo.Comment(w.pullTo("1.1.0").Number, "ana", "/upgrade step all")
	u := w.stepTo("1.3.0", lifecycle.Reverted)
	if got := w.image("web"); got != "acme/web:1.2.0" {
		t.Errorf("main runs %s: a step goes back to the one before", got)
	}
	w.answered(u.Pull, "The ladder stands at step 3 of 5: 1.3.0 failed, and 1.2.0 runs again; `/upgrade retry`")
	if p := w.revert("web"); !strings.Contains(p.Body, "It was step 3 of 5 on the way from `1.0.0` to `2.0.0`: this goes back one step") {
		t.Errorf("the revert says\n%s", p.Body)
	}
	w.redispatch("acme/web", "2.0.0")
	if list := w.steps(); len(list) != 3 {
		t.Errorf("the same version again begins %d steps", len(list)-3)
	}
	// Somebody looked into it: the ladder goes on, and nobody has agreed to all of it any more.
	w.seen.becomes("acme/web:1.3.0", watch.Sample{State: watch.Good, Detail: "1 of 1 pods are Ready"})
	w.repo.Comment(u.Pull, "ana", "/upgrade retry")
	p := w.pullTo("1.3.0")
	if p.Number == u.Pull {
		t.Error("the old pull request is used again")
	}
	w.repo.Comment(p.Number, "ana", "/upgrade step")
	w.stepTo("1.3.0", lifecycle.Verified)
	w.pullTo("1.4.0")
}

func TestLadderGoesOnToAVersionThatCameOutMeanwhile(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "2.0.0")
	w.dispatch("acme/web", "2.0.0")
	p := w.pullTo("1.1.0")
	head := p.Head
	w.up.releases("2.1.0")
	w.dispatch("acme/web", "2.1.0")
	w.eventually("the open step's ladder is longer", func() bool {
		p = w.pull("web")
		return strings.Contains(p.Body, "step 1 of 3 on the way from `1.0.0` to `2.1.0`") && slices.Contains(p.Labels, "step 1/3") && !slices.Contains(p.Labels, "step 1/2")
	})
	if p.Head != head || p.Title != "upgrade: web 1.0.0 → 1.1.0" {
		t.Errorf("the step itself was changed: %s %s", p.Title, p.Head)
	}
	w.answered(p.Number, "The ladder goes up to 2.1.0 instead of 2.0.0, which came out meanwhile")
	w.repo.Comment(p.Number, "ana", "/upgrade step all")
	w.stepTo("2.1.0", lifecycle.Verified)
	if got, want := w.mains(), []string{"1.0.0 → 1.1.0", "1.1.0 → 2.0.0", "2.0.0 → 2.1.0"}; !slices.Equal(got, want) {
		t.Errorf("main went %q", got)
	}
}

func TestLadderGetsLongerWhileAStepIsWatched(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "2.0.0")
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	w.dispatch("acme/web", "2.0.0")
	w.repo.Comment(w.pullTo("1.1.0").Number, "ana", "/upgrade step all")
	w.stepTo("1.1.0", lifecycle.Applying)
	w.up.releases("2.1.0")
	w.redispatch("acme/web", "2.1.0")
	if list := w.steps(); len(list) != 1 {
		t.Fatalf("a second upgrade was begun: %+v", list[1])
	}
	w.repo.AutoChecks(map[string]string{"ci": "success", "deploy": "success"})
	w.applied(w.pull("web").MergeSHA, "success")
	w.stepTo("2.0.0", lifecycle.Verified)
	// Nobody has agreed to what came out later.
	p := w.pullTo("2.1.0")
	if !slices.Contains(p.Labels, "step 3/3") {
		t.Errorf("labels %q", p.Labels)
	}
	w.repo.Review(p.Number, "ana", "approved")
	w.stepTo("2.1.0", lifecycle.Verified)
}
