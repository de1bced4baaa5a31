package reconcile_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// TestMain lets the test binary be belay itself, to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BELAY_TEST_CHILD"); dir != "" && os.Getenv("BELAY_TEST_DATABASE") != "" {
		replicaChild(dir)
		return
	} else if dir != "" {
		child(dir)
		return
	}
	_ = flag.Set("test.parallel", "8") // most of a journey is waiting
	os.Exit(m.Run())
}

// child runs belay until it is killed. Its first line says where it listens.
func child(dir string) {
	up := &outside{notes: map[string]string{"2.0.0": breaking}}
	with := living{dir: dir, github: os.Getenv("BELAY_TEST_GITHUB"), keyFile: os.Getenv("BELAY_TEST_KEY"), secret: os.Getenv("BELAY_TEST_SECRET"), up: up}
	if tags := os.Getenv("BELAY_TEST_RELEASES"); tags != "" { // a ladder, climbed where somebody looks
		up.releases(strings.Fields(tags)...)
		with.observers = []reconcile.Observer{&observer{samples: map[string]watch.Sample{}, wakes: map[string]func(){}}}
	}
	l, err := beginWithJobs(context.Background(), with, os.Getenv("BELAY_TEST_JOBS"))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("listens", l.http.URL)
	if _, err := l.server.Replay(context.Background(), l.app); err != nil {
		fmt.Println("replay", err)
	}
	select {}
}

const (
	kills      = 100
	dispatches = 20
)

// killed is one service of the run: every second one has a backup before the
// merge, every third goes to a version that a person has to agree to by commands.
type killed struct {
	service, tag    string
	backup, caution bool
}

func newKilled(i int) killed {
	k := killed{service: fmt.Sprintf("s%02d", i), tag: "1.0.1", backup: i%2 == 0, caution: i%3 == 1}
	if k.caution {
		k.tag = "2.0.0"
	}
	return k
}

// TestKillNine kills belay with SIGKILL at random moments while it works on
// twenty dispatches: while it plans, pushes, opens and merges, while backups run
// and while it answers commands. At the end each has had its effect, once.
func TestKillNine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a hundred kills take half a minute: left out by -short")
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("BELAY_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d (BELAY_TEST_SEED repeats it)", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	files := map[string]string{}
	var config strings.Builder
	config.WriteString("apply: { checks: [deploy], timeout: 15m }\nverify: { safe: 10ms, caution: 10ms, unknown: 10ms }\ndispatch: { limit: { upgrades: 50, window: 6h } }\ndatabases:\n")
	for i := range dispatches {
		k := newKilled(i)
		files["stacks/"+k.service+"/main.tf"] = stack("acme/" + k.service + ":1.0.0")
		if k.backup {
			fmt.Fprintf(&config, "  %s: { backup: { cronjob: dbaas/backup } }\n", k.service)
		}
	}
	files[".github/belay.yml"] = config.String()
	w := newWorld(t, files)
	w.up.say("2.0.0", breaking)
	w.stop()
	w.jobs = t.TempDir()
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, w.gh.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "BELAY_TEST_CHILD="+w.dir, "BELAY_TEST_GITHUB="+w.gh.URL(), "BELAY_TEST_KEY="+key, "BELAY_TEST_SECRET="+w.gh.Secret(), "BELAY_TEST_JOBS="+w.jobs)
	sent, duringBackup, duringCommand, deaf := 0, 0, 0, 0
	for kill := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The clock runs from the start: some die before they listen.
		timer := time.AfterFunc(time.Duration(random.IntN(700))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		lines := bufio.NewScanner(out)
		listened := false
		for lines.Scan() {
			line := lines.Text()
			if url, ok := strings.CutPrefix(line, "listens "); ok {
				listened = true
				w.gh.SetWebhook(url + "/github/webhook")
				// A dispatch counts as sent when it was answered; DIUN sends it again otherwise.
				for sent < dispatches && sent <= kill/3 && post(url, "acme/"+newKilled(sent).service, newKilled(sent).tag) {
					sent++
				}
				w.people()
				continue
			}
			t.Errorf("belay says: %s", line)
		}
		_ = cmd.Wait()
		timer.Stop()
		w.gh.SetWebhook("")
		if !listened {
			deaf++
		}
		if _, running := (&jobs{dir: w.jobs}).made(); running > 0 {
			duringBackup++
		}
		if _, open := w.commands(); open > 0 {
			duringCommand++
		}
	}
	w.start()
	for i := sent; i < dispatches; i++ { // as DIUN would
		w.dispatch("acme/"+newKilled(i).service, newKilled(i).tag)
		sent++
	}
	count := map[string]int{}
	comments, doubled, lost, backups := 0, 0, 0, 0
	// They are merged one at a time, in whatever order: each in its turn has the
	// time that one upgrade may take.
	for over := 0; over < dispatches; {
		w.eventually(fmt.Sprintf("more than %d upgrades are unverified", over), func() bool {
			w.people()
			n := 0
			for i := range dispatches {
				if w.upgrade(newKilled(i).service).State == string(lifecycle.Unverified) {
					n++
				}
			}
			more := n > over
			over = max(over, n)
			return more
		})
	}
	for i := range dispatches {
		k := newKilled(i)
		count[w.upgrade(k.service).State]++
		pulls, statuses := w.pulls(k.service), 0
		for _, c := range w.pull(k.service).Comments {
			if report.IsStatus(c.Body) {
				statuses++
				if n := strings.Count(c.Body, "| ana |"); k.caution && n != 2 {
					t.Errorf("%s: %d of two commands are answered:\n%s", k.service, n, c.Body)
				}
			} else if !slices.Equal(c.Reactions, []string{"eyes", "rocket"}) {
				t.Errorf("%s: %q has the reactions %v", k.service, c.Body, c.Reactions)
			}
		}
		comments += statuses
		if k.backup {
			backups++
		}
		if pulls != 1 || statuses > 1 {
			doubled++
			t.Errorf("%s: %d pull requests, %d status comments", k.service, pulls, statuses)
		}
		if got := w.image(k.service); got != "acme/"+k.service+":"+k.tag {
			lost++
			t.Errorf("%s: main runs %s", k.service, got)
		}
	}
	merges := w.repo.Log("main")
	slices.Sort(merges)
	if n := len(slices.Compact(slices.Clone(merges))); n != len(merges) || n != dispatches+1 {
		doubled++
		t.Errorf("%d commits on main, %d different; want %d", len(merges), n, dispatches+1)
	}
	done, err := w.life.store.Upgrades(context.Background(), store.Filter{Limit: 1000})
	if err != nil || len(done) != dispatches {
		t.Errorf("%d upgrades, %v", len(done), err)
	}
	open, err := w.life.store.UnfinishedDispatches(context.Background())
	if err != nil || len(open) != 0 {
		lost += len(open)
		t.Errorf("%d dispatches were not planned, %v", len(open), err)
	}
	commands, unanswered := w.commands()
	if unanswered != 0 {
		t.Errorf("%d of %d commands are not answered", unanswered, commands)
	}
	// A backup is taken anew when the hour that its key names is over.
	made, _ := (&jobs{dir: w.jobs}).made()
	if made < backups || made > 2*backups {
		t.Errorf("%d backups for %d upgrades", made, backups)
	}
	t.Logf(`
  kills                       %4d
    before it listened        %4d
    while a backup ran        %4d
    with a command unanswered %4d
  dispatches                  %4d
  upgrades                    %4d   %v
  pull requests               %4d
  status comments             %4d
  commands answered           %4d
  backups                     %4d   for %d upgrades
  merges                      %4d
  lost                        %4d
  doubled                     %4d`, kills, deaf, duringBackup, duringCommand, sent, len(done), count, len(w.repo.Pulls()), comments, commands-unanswered, made, backups, len(merges)-1, lost, doubled)
}

// people has ana ask for the state of each upgrade that waits for her, and
// agree to it once she has an answer.
func (w *world) people() {
	for i := range dispatches {
		k := newKilled(i)
		p := w.pull(k.service)
		if !k.caution || p.State != "open" {
			continue
		}
		asked, answered, agreed := false, false, false
		for _, c := range p.Comments {
			asked = asked || c.Body == "/upgrade status"
			answered = answered || c.Body == "/upgrade status" && slices.Contains(c.Reactions, "rocket")
			agreed = agreed || c.Body == "/upgrade approve"
		}
		switch {
		case !asked:
			w.repo.Comment(p.Number, "ana", "/upgrade status")
		case answered && !agreed:
			w.repo.Comment(p.Number, "ana", "/upgrade approve")
		}
	}
}

// commands counts ana's commands and those that have no answer yet.
func (w *world) commands() (all, open int) {
	for _, p := range w.repo.Pulls() {
		for _, c := range p.Comments {
			if c.Login != "ana" {
				continue
			}
			all++
			if !slices.Contains(c.Reactions, "rocket") {
				open++
			}
		}
	}
	return all, open
}

// post sends a dispatch and reports whether it was answered.
func post(url, image, tag string) bool {
	req, err := http.NewRequest(http.MethodPost, url+"/diun", strings.NewReader(fmt.Sprintf(`{"image":%q,"tag":%q}`, image, tag)))
	if err != nil {
		return false
	}
	req.Header.Set("X-Belay-Token", "token")
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted || resp.StatusCode == http.StatusOK
}
