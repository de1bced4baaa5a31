package reconcile_test

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
)

// TestAStepIsNeverWithoutItsJob has what wakes an upgrade be lost, as when belay
// is killed before it is written: then the upgrade is not there either.
func TestAStepIsNeverWithoutItsJob(t *testing.T) {
	t.Parallel()
	w := climbing(t, nil, "1.1.0", "2.0.0")
	var first, second string
	lost := 0
	w.up.mu.Lock()
	w.up.wakes = func(id string) error {
		switch {
		case lost == 0, first != "" && id != first && second == "":
			if first != "" {
				second = id
			}
			lost++
			return errors.New("killed")
		case first == "":
			first = id
		}
		return nil
	}
	w.up.mu.Unlock()
	w.dispatch("acme/web", "2.0.0")
	w.repo.Comment(w.pullTo("1.1.0").Number, "ana", "/upgrade step all")
	w.stepTo("2.0.0", lifecycle.Verified)
	w.up.mu.Lock()
	defer w.up.mu.Unlock()
	if list := w.steps(); lost != 2 || len(list) != 2 || list[0].ID != first || list[1].ID != second {
		t.Errorf("%d wakes were lost, there are %d upgrades: %+v", lost, len(list), list)
	}
}

// TestLadderSurvivesBeingKilled kills belay at random moments while it climbs a
// ladder of six steps to all of which somebody agreed: between a step's end and
// the next one's beginning, too. Each step comes once, in order, with its backup.
func TestLadderSurvivesBeingKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("forty kills take half a minute: left out by -short")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	versions := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "2.0.0"}
	w := newWorld(t, map[string]string{".github/belay.yml": strings.Replace(config, "databases:\n", "databases:\n  web: { backup: { cronjob: dbaas/backup } }\n", 1)})
	w.up.releases(versions...)
	w.up.say("2.0.0", breaking)
	w.observed()
	w.stop()
	w.jobs = t.TempDir()
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, w.gh.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "BELAY_TEST_CHILD="+w.dir, "BELAY_TEST_GITHUB="+w.gh.URL(), "BELAY_TEST_KEY="+key, "BELAY_TEST_SECRET="+w.gh.Secret(), "BELAY_TEST_JOBS="+w.jobs, "BELAY_TEST_RELEASES="+strings.Join(versions, " "))
	sent, agreed, kills := false, false, 0
	for kills < 40 && w.image("web") != "acme/web:2.0.0" {
		kills++
		cmd := exec.Command(os.Args[0])
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(150+random.IntN(1100))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			url, ok := strings.CutPrefix(lines.Text(), "listens ")
			if !ok {
				t.Errorf("belay says: %s", lines.Text())
				continue
			}
			w.gh.SetWebhook(url + "/github/webhook")
			sent = sent || post(url, "acme/web", "2.0.0")
			if p := w.pull("web"); p.State == "open" && !agreed {
				agreed = true
				w.repo.Comment(p.Number, "ana", "/upgrade step all")
			}
		}
		_ = cmd.Wait()
		timer.Stop()
		w.gh.SetWebhook("")
	}
	at := w.image("web")
	w.start()
	if !sent {
		w.dispatch("acme/web", "2.0.0")
	}
	if !agreed {
		w.repo.Comment(w.pullTo("1.1.0").Number, "ana", "/upgrade step all")
	}
	for _, v := range versions[1:] {
		w.stepTo(v, lifecycle.Verified)
	}
	var want []string
	for i := range versions[1:] {
		want = append(want, versions[i]+" → "+versions[i+1])
	}
	if got := w.mains(); !slices.Equal(got, want) {
		t.Errorf("main went %q, want %q", got, want)
	}
	if list := w.steps(); len(list) != 6 || w.pulls("web") != 6 {
		t.Errorf("%d upgrades and %d pull requests for six steps", len(list), w.pulls("web"))
	}
	made, _ := (&jobs{dir: w.jobs}).made()
	if made != 6 {
		t.Errorf("%d backups for six steps", made)
	}
	t.Logf("%d kills until main was at %s; %d merges, %d pull requests, %d backups", kills, at, len(want), w.pulls("web"), made)
}
