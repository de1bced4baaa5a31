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

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestMain lets the test binary be belay itself, to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BELAY_TEST_CHILD"); dir != "" {
		child(dir)
		return
	}
	_ = flag.Set("test.parallel", "8") // most of a journey is waiting
	os.Exit(m.Run())
}

// child runs belay until it is killed. Its first line says where it listens.
func child(dir string) {
	l, err := begin(context.Background(), living{dir: dir, github: os.Getenv("BELAY_TEST_GITHUB"), keyFile: os.Getenv("BELAY_TEST_KEY"), secret: os.Getenv("BELAY_TEST_SECRET"),
		up: &outside{notes: map[string]string{}}, backups: &backups{state: map[string]lifecycle.Progress{}, made: map[string]int{}}})
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

// TestKillNine kills belay with SIGKILL at random moments while it works on
// twenty dispatches. At the end each has had its effect, once.
func TestKillNine(t *testing.T) {
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
		files[fmt.Sprintf("stacks/s%02d/main.tf", i)] = stack(fmt.Sprintf("acme/s%02d:1.0.0", i))
		if i%2 == 0 {
			fmt.Fprintf(&config, "  s%02d: { backup: { cronjob: dbaas/backup } }\n", i)
		}
	}
	files[".github/belay.yml"] = config.String()
	w := newWorld(t, files)
	w.stop()
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, w.gh.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "BELAY_TEST_CHILD="+w.dir, "BELAY_TEST_GITHUB="+w.gh.URL(), "BELAY_TEST_KEY="+key, "BELAY_TEST_SECRET="+w.gh.Secret())
	sent := 0
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
		timer := time.AfterFunc(time.Duration(random.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			line := lines.Text()
			if url, ok := strings.CutPrefix(line, "listens "); ok {
				w.gh.SetWebhook(url + "/github/webhook")
				// A dispatch counts as sent when it was answered; DIUN sends it again otherwise.
				for sent < dispatches && sent <= kill/3 && post(url, fmt.Sprintf("acme/s%02d", sent), "1.0.1") {
					sent++
				}
				continue
			}
			t.Errorf("belay says: %s", line)
		}
		_ = cmd.Wait()
		timer.Stop()
		w.gh.SetWebhook("")
	}
	if sent != dispatches {
		t.Fatalf("only %d dispatches were answered", sent)
	}
	w.start()
	for i := range dispatches {
		service := fmt.Sprintf("s%02d", i)
		w.waits(service, lifecycle.Unverified, "")
		pulls, statuses := w.pulls(service), 0
		for _, c := range w.pull(service).Comments {
			if report.IsStatus(c.Body) {
				statuses++
			}
		}
		if pulls != 1 || statuses > 1 || w.image(service) != "acme/"+service+":1.0.1" {
			t.Errorf("%s: %d pull requests, %d status comments, main runs %s", service, pulls, statuses, w.image(service))
		}
	}
	merges := w.repo.Log("main")
	slices.Sort(merges)
	if n := len(slices.Compact(slices.Clone(merges))); n != len(merges) || n != dispatches+1 {
		t.Errorf("%d commits on main, %d different; want %d", len(merges), n, dispatches+1)
	}
	done, err := w.life.store.Upgrades(context.Background(), store.Filter{Limit: 1000})
	if err != nil || len(done) != dispatches {
		t.Errorf("%d upgrades, %v", len(done), err)
	}
	open, err := w.life.store.UnfinishedDispatches(context.Background())
	if err != nil || len(open) != 0 {
		t.Errorf("%d dispatches were not planned, %v", len(open), err)
	}
	t.Logf("%d kills, %d dispatches: %d upgrades, %d pull requests, %d merges", kills, sent, len(done), len(w.repo.Pulls()), len(merges)-1)
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
