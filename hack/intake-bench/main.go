// Command intake-bench measures POST /diun of a real belay serve: dispatches at a
// steady rate through HTTP on loopback, on SQLite in a fresh directory, with a
// stand-in GitHub whose repository belay looks through for each of them.
//
// The clock of a request starts when it was due, not when it could be sent, so
// that a server that stalls does not hide it. At the end belay is killed with
// SIGKILL, and every dispatch that was answered has to be in its state.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
)

// What has to be reached.
const (
	maxP99  = 50 * time.Millisecond
	maxRSS  = 128 << 20 // bytes, under load
	maxIdle = 64 << 20
)

func main() {
	rate := flag.Int("rate", 200, "requests per second")
	length := flag.Duration("for", 30*time.Second, "how long")
	idle := flag.Duration("idle", 30*time.Second, "how long to wait before the idle figure is taken")
	binary := flag.String("belay", "", "a belay that is built already")
	files := flag.Int("services", 100, "services of the repository, each with a pin")
	flag.Parse()
	if err := bench(*binary, *rate, *length, *idle, *files); err != nil {
		fmt.Fprintln(os.Stderr, "intake-bench:", err)
		os.Exit(1)
	}
}

func bench(binary string, rate int, length, idle time.Duration, services int) error {
	dir, err := os.MkdirTemp("", "intake-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	gh, err := github(filepath.Join(dir, "github"), services)
	if err != nil {
		return err
	}
	defer gh.Close()
	p, err := serve(binary, dir, gh)
	if err != nil {
		return err
	}
	defer p.kill()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { // belay does not outlive this program
		<-interrupted
		_ = p.cmd.Process.Kill()
		_ = os.RemoveAll(dir)
		os.Exit(1)
	}()
	wait(idle)
	idleRSS := p.rss()
	if err := idleRSS.err; err != nil {
		return err
	}

	watched, stop := p.watch()
	got := load(p.url, rate, length)
	most := <-stop(watched)
	if err := p.kill(); err != nil { // nothing but what is on disk already counts
		return err
	}
	lost, err := missing(filepath.Join(dir, "state"), got.ids)
	if err != nil {
		return err
	}
	slices.Sort(got.times)
	at := func(q float64) time.Duration { return got.times[min(int(q*float64(len(got.times))), len(got.times)-1)] }
	fmt.Printf("intake: %d requests at %d/s for %s, GOMAXPROCS %d\n", len(got.times), rate, length, runtime.GOMAXPROCS(0))
	fmt.Printf("  p50 %s, p90 %s, p99 %s, max %s\t%s\n", round(at(0.5)), round(at(0.9)), round(at(0.99)), round(at(1)), verdict(at(0.99) < maxP99, "p99 under 50 ms"))
	fmt.Printf("  accepted %d, failed %d, lost after kill -9 %d\t%s\n", len(got.ids), len(got.failed), lost, verdict(lost == 0 && len(got.failed) == 0, "none lost"))
	fmt.Printf("  RSS %d MB at most\t%s\n", most>>20, verdict(most < maxRSS, "under 128 MB"))
	fmt.Printf("  RSS %d MB idle, of which %d MB are pages of the program\t%s\n", idleRSS.bytes>>20, idleRSS.file>>20, verdict(idleRSS.bytes < maxIdle, "under 64 MB"))
	for _, f := range got.failed[:min(3, len(got.failed))] {
		fmt.Printf("  failed: %v\n", f)
	}
	if lost > 0 {
		return fmt.Errorf("%d dispatches were answered and are lost", lost)
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func verdict(ok bool, want string) string {
	if ok {
		return "ok (" + want + ")"
	}
	return "MISSED (" + want + ")"
}

func wait(d time.Duration) { <-time.After(d) }

// github is a stand-in with one repository.
func github(dir string, services int) (*sandbox.GitHub, error) {
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	files := map[string]string{"README.md": "# home-ops\n"}
	for i := range services {
		files[fmt.Sprintf("stacks/s%03d/main.tf", i)] = fmt.Sprintf("resource \"docker_container\" \"app\" {\n  image = \"acme/s%03d:1.0.0\"\n}\n", i)
	}
	_, err = gh.AddRepository("acme", "home-ops", files)
	return gh, err
}

// process is a running belay serve.
type process struct {
	cmd *exec.Cmd
	url string
}

const token = "bench"

func serve(binary, dir string, gh *sandbox.GitHub) (*process, error) {
	if binary == "" {
		binary = filepath.Join(dir, "belay")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/belay") // as make build does
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("go build: %w (run it at the root of the module)", err)
		}
	}
	key := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(key, gh.PrivateKey(), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{url: "http://127.0.0.1:" + port}
	p.cmd = exec.Command(binary, "serve", "--listen", "127.0.0.1:"+port, "--state", filepath.Join(dir, "state"), "--github-url", gh.URL(), "--upstream-api", gh.URL()+"/api/v3")
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "BELAY_APP_ID=" + strconv.FormatInt(gh.AppID(), 10), "BELAY_APP_KEY_FILE=" + key, "BELAY_WEBHOOK_SECRET=" + gh.Secret(), "BELAY_DIUN_TOKEN=" + token}
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; wait(20 * time.Millisecond) {
		resp, err := http.Get(p.url + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		if time.Now().After(deadline) {
			_ = p.kill()
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("belay is not ready after a minute:\n%s", text)
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func (p *process) kill() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // its error is that it was killed
	return err
}

// memory is what a process holds of it.
type memory struct {
	bytes int
	file  int // of them, what is in files and can be read again
	err   error
}

// rss reads the resident set from /proc.
func (p *process) rss() memory {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return memory{err: fmt.Errorf("memory is read from /proc, which only Linux has: %w", err)}
	}
	defer f.Close()
	var m memory
	for lines := bufio.NewScanner(f); lines.Scan(); {
		for name, into := range map[string]*int{"VmRSS:": &m.bytes, "RssFile:": &m.file} {
			if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == name {
				kb, err := strconv.Atoi(fields[1])
				if err != nil {
					return memory{err: err}
				}
				*into = kb << 10
			}
		}
	}
	if m.bytes == 0 {
		return memory{err: errors.New("no VmRSS in /proc")}
	}
	return m
}

// watch reads the resident set all the time; what stop gives is the most.
func (p *process) watch() (done chan struct{}, stop func(chan struct{}) <-chan int) {
	done, out := make(chan struct{}), make(chan int, 1)
	go func() {
		most := 0
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				out <- most
				return
			case <-tick.C:
				most = max(most, p.rss().bytes)
			}
		}
	}()
	return done, func(done chan struct{}) <-chan int { close(done); return out }
}

// result is what the requests led to.
type result struct {
	mu     sync.Mutex
	times  []time.Duration
	ids    []string
	failed []error
}

// load sends dispatches at a steady rate, whatever becomes of those before.
func load(url string, rate int, length time.Duration) *result {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}}
	out := &result{}
	n := int(length.Seconds() * float64(rate))
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
		wait(time.Until(due))
		wg.Go(func() {
			id, err := send(client, url, i)
			took := time.Since(due)
			out.mu.Lock()
			defer out.mu.Unlock()
			out.times = append(out.times, took)
			if err != nil {
				out.failed = append(out.failed, err)
				return
			}
			out.ids = append(out.ids, id)
		})
	}
	wg.Wait()
	return out
}

func send(client *http.Client, url string, i int) (string, error) {
	// What DIUN sends; every tenth is of an image that the repository pins, and
	// of a version that it does not follow.
	name, tag := fmt.Sprintf("acme/other%d", i%500), fmt.Sprintf("1.%d.0", i)
	if i%10 == 0 {
		name, tag = fmt.Sprintf("acme/s%03d", i/10%100), fmt.Sprintf("0.%d.0", i)
	}
	body := fmt.Sprintf(`{"diun_version":"4.33.0","hostname":"home","status":"new","provider":"kubernetes","image":"docker.io/%s:%s","hub_link":"https://hub.docker.com/r/%s","mime_type":"application/vnd.oci.image.index.v1+json","digest":"sha256:%064x","created":"2026-03-26T12:23:56Z","platform":"linux/amd64","metadata":{"ctn_names":"app","ctn_state":"running"}}`, name, tag, name, i)
	req, err := http.NewRequest(http.MethodPost, url+"/diun", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(answer), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if resp.StatusCode != http.StatusAccepted || !ok {
		return "", fmt.Errorf("HTTP %d: %s", resp.StatusCode, answer)
	}
	return id, nil
}

// missing counts the dispatches that are not in the state.
func missing(dir string, ids []string) (int, error) {
	st, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer st.Close()
	list, err := st.Dispatches(context.Background(), len(ids)+1000)
	if err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, d := range list {
		have[d.ID] = true
	}
	n := 0
	for _, id := range ids {
		if !have[id] {
			n++
		}
	}
	return n, nil
}
