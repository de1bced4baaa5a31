package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/upstream"
)

// sameImage is a repository in which two services use an image, blog by its digest.
func sameImage() map[string]string {
	return map[string]string{"stacks/data/main.tf": stack("acme/web:1.0.0"), "stacks/web/main.tf": stack("acme/other:1.0.0"),
		"stacks/blog/main.tf": stack("acme/web:1.0.0@sha256:" + strings.Repeat("a", 64))}
}

// chart is a service that takes its image from a chart.
const chartStack = "resource \"helm_release\" \"app\" {\n  name = \"app\"\n  repository = \"https://charts.example.org\"\n  chart = \"app\"\n  version = \"1.0.0\"\n}\n"

// the is the only dispatch.
func (w *world) the() store.Dispatch {
	w.t.Helper()
	list, err := w.life.store.Dispatches(context.Background(), 10)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%d dispatches, %v", len(list), err)
	}
	return list[0]
}

// outcomes are those of the only dispatch, as "service stuck: reason".
func (w *world) outcomes() []string {
	var out []string
	for _, o := range w.the().Outcomes {
		began := ""
		if o.Upgrade != "" {
			began = "upgrade"
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s%s: %s", o.Service, began, o.Stuck, o.Reason)))
	}
	slices.Sort(out)
	return out
}

// comesTo waits until the only dispatch has outcomes with these beginnings.
func (w *world) comesTo(done bool, want ...string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the dispatch is done: %t, with %q", done, want), func() bool {
		got := w.outcomes()
		return w.the().Done == done && slices.EqualFunc(got, want, strings.HasPrefix)
	})
}

func TestADispatchThatCannotBePlanned(t *testing.T) {
	t.Run("an answer that stays ends it, and the other service is upgraded", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, sameImage())
		w.dispatch("acme/web", "1.0.1") // no registry has anything
		w.comesTo(true, "blog given up: the pin carries a digest, and the registry has no acme/web:1.0.1: send the dispatch again when it is there", "data upgrade:")
		w.eventually("data has a pull request", func() bool { return w.pulls("data") == 1 })
		// The way out is one: the tag is there, and the dispatch comes again.
		w.up.releases("1.0.1")
		w.dispatch("acme/web", "1.0.1")
		w.eventually("blog has a pull request", func() bool { return w.pulls("blog") == 1 })
		if n := w.pulls("data"); n != 1 {
			t.Errorf("%d pull requests of data", n)
		}
	})
	t.Run("a registry that refuses ends it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, sameImage())
		w.up.refuse(fmt.Errorf("registry.example.org: %w (HTTP 401)", upstream.ErrRefused))
		w.dispatch("acme/web", "1.0.1")
		w.comesTo(true, "blog given up: the pin carries a digest, and the registry does not show acme/web:1.0.1 to belay: give belay", "data upgrade:")
	})
	t.Run("trouble that passes is waited for, shown without secrets, and passes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, sameImage())
		w.up.refuse(errors.New("https://ann:hunter2@registry.example.org/v2/?token=hunter2: connection\n refused"))
		w.dispatch("acme/web", "1.0.1")
		w.comesTo(false, "blog waits: the pin carries a digest, and the registry could not be asked for that of acme/web:1.0.1: https://registry.example.org/v2/", "data upgrade:")
		if got := strings.Join(w.outcomes(), "\n"); strings.Contains(got, "hunter2") || strings.Count(got, "\n") != 1 {
			t.Errorf("shown is\n%s", got)
		}
		w.eventually("data has a pull request", func() bool { return w.pulls("data") == 1 })
		w.up.refuse(nil)
		w.up.releases("1.0.1")
		w.comesTo(true, "blog upgrade:", "data upgrade:")
		if n := w.pulls("data"); n != 1 {
			t.Errorf("%d pull requests of data", n)
		}
	})
	t.Run("and is given up after a day, counted from the first try", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, sameImage())
		clock := &movable{}
		w.at(clock)
		w.up.refuse(errors.New("connection refused"))
		w.dispatch("acme/web", "1.0.1")
		w.comesTo(false, "blog waits:", "data upgrade:")
		clock.ahead.Store(int64(23 * time.Hour))
		w.up.refuse(errors.New("no route to host"))
		w.comesTo(false, "blog waits: the pin carries a digest, and the registry could not be asked for that of acme/web:1.0.1: no route to host", "data upgrade:")
		clock.ahead.Store(int64(25 * time.Hour))
		w.comesTo(true, "blog given up: given up after 24 hours of trying: the pin carries a digest", "data upgrade:")
	})
	t.Run("an image that is not there, and a chart that refuses", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{"stacks/chart/main.tf": chartStack})
		w.up.refuse(fmt.Errorf("charts.example.org/index.yaml: %w (HTTP 401)", upstream.ErrRefused))
		w.dispatch("nobody/unused", "1.0.1")
		w.comesTo(true, "given up: image nobody/unused is not used here as far as can be seen; these charts could not be asked whether they ship it: chart app: charts.example.org/index.yaml: refused (HTTP 401): if one does")
	})
	t.Run("an image that is not there, and a chart that is down", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{"stacks/chart/main.tf": chartStack})
		w.up.refuse(errors.New("charts.example.org/index.yaml answers 503"))
		w.dispatch("nobody/unused", "1.0.1")
		w.comesTo(false, "waits: image nobody/unused is not used here as far as can be seen; these charts could not be asked whether they ship it: chart app: charts.example.org/index.yaml answers 503")
		w.up.refuse(nil)
		w.comesTo(true, ": image nobody/unused is not used in this repository")
	})
	t.Run("a repository that cannot be read is waited for", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{".github/belay.yml": "verfy: {}\n"})
		w.dispatch("acme/web", "1.0.1")
		w.comesTo(false, "waits: the configuration on the default branch is wrong, so nothing is done until it is mended")
		if _, err := w.repo.Push("ann", "main", "mend it", map[string]string{".github/belay.yml": config}); err != nil {
			t.Fatal(err)
		}
		w.comesTo(true, "web upgrade:")
	})
	t.Run("GitHub away is waited for", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.gh.Inject(func(int, *http.Request) *sandbox.Fault { return &sandbox.Fault{Status: http.StatusInternalServerError} })
		w.dispatch("acme/web", "1.0.1")
		w.eventually("it waits", func() bool {
			o := w.the().Outcomes
			return len(o) == 1 && o[0].Stuck == store.Waits && o[0].Reason != ""
		})
		w.gh.Inject(nil)
		w.comesTo(true, "web upgrade:")
	})
}
