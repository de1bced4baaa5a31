package reconcile_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox/postgres"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/store/pool"
	"github.com/belaybot/belay/rules/lifecycle"
)

// replicaChild is one of several processes of belay on one PostgreSQL, until it is killed.
func replicaChild(dir string) {
	l, err := begin(context.Background(), living{dir: dir, database: os.Getenv("BELAY_TEST_DATABASE"), github: os.Getenv("BELAY_TEST_GITHUB"), keyFile: os.Getenv("BELAY_TEST_KEY"),
		secret: os.Getenv("BELAY_TEST_SECRET"), up: &outside{notes: map[string]string{}}, board: time.Second, timeout: 10 * time.Second,
		backups: &backups{state: map[string]lifecycle.Progress{}, made: map[string]int{}}})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("listens", l.http.URL)
	select {}
}

// replicas are three processes of belay on one database, each with its own way
// to GitHub, so that it can be told which of them asks.
type replicas struct {
	t     *testing.T
	w     *world
	cable *cable

	mu       sync.Mutex
	urls     []string // of those that live
	merges   int
	merger   map[int]int // merges by replica
	applying string      // the merge that CI has not applied yet
	killAt   int         // the merge in whose middle its replica is killed
	killed   int         // which one was, 0: none yet
	kill     map[int]func()
}

// count is how many of belay run, upgraded how many services they are given.
const (
	replicaCount = 3
	services     = 12
)

// mergePath matches "/api/v3/repos/acme/home-ops/pulls/7/merge".
var mergePath = regexp.MustCompile(`/pulls/\d+/merge$`)

// front stands between a replica and GitHub.
func (r *replicas) front(number int) *httptest.Server {
	target, err := url.Parse(r.w.gh.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // a replica that is killed hangs up
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPut || !mergePath.MatchString(req.URL.Path) {
			proxy.ServeHTTP(w, req)
			return
		}
		r.merge(number, proxy, w, req)
	}))
}

// merge lets a merge through, notes it, and kills who asked for it before the
// answer when it is that one's turn.
func (r *replicas) merge(number int, proxy http.Handler, w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := httptest.NewRecorder()
	proxy.ServeHTTP(rec, req)
	if rec.Code == http.StatusOK {
		if r.applying != "" {
			r.t.Errorf("%s was merged while %s was applied", req.URL.Path, r.applying)
		}
		r.applying = req.URL.Path
		r.merges++
		r.merger[number]++
		if r.merges == r.killAt {
			r.killed = number
			r.kill[number]()
			return
		}
		time.AfterFunc(300*time.Millisecond, r.apply)
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// apply is what CI does with the newest commit on main.
func (r *replicas) apply() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applying = ""
	r.w.repo.SetStatus(r.w.repo.Head("main"), "deploy", "success")
}

// start starts one of them.
func (r *replicas) start(number int, env []string) {
	r.t.Helper()
	front := r.front(number)
	r.t.Cleanup(front.Close)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.Clone(env), "BELAY_TEST_CHILD="+filepath.Join(r.t.TempDir(), "state"), "BELAY_TEST_GITHUB="+front.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if os.Getenv("BELAY_TEST_LOG") != "" {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	at, ok := strings.CutPrefix(strings.TrimSpace(line), "listens ")
	if err != nil || !ok {
		r.t.Fatalf("replica %d says %q, %v", number, line, err)
	}
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
	})
	r.t.Cleanup(stop)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.urls = append(r.urls, at)
	r.kill[number] = func() {
		stop()
		r.urls = slices.DeleteFunc(r.urls, func(u string) bool { return u == at })
	}
}

// living is the address of one of those that live, each in its turn.
func (r *replicas) living(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.urls[n%len(r.urls)]
}

// TestReplicasShareARepository has three processes of belay upgrade twelve
// services of one repository. One of them is killed between a merge and its
// answer, and all lose their database for a while. In the end every service was
// merged once, one at a time, and there is one dashboard.
func TestReplicasShareARepository(t *testing.T) {
	if testing.Short() {
		t.Skip("PostgreSQL, and half a minute of waiting for a dead replica: left out by -short")
	}
	t.Parallel()
	files := map[string]string{}
	for i := range services {
		files[fmt.Sprintf("stacks/r%02d/main.tf", i)] = stack(fmt.Sprintf("acme/r%02d:1.0.0", i))
	}
	w := newWorld(t, files)
	w.stop()
	w.repo.AutoChecks(map[string]string{"ci": "success"})
	r := &replicas{t: t, w: w, merger: map[int]int{}, kill: map[int]func(){}, killAt: 4, cable: newCable(t, postgres.New(t))}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, w.gh.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "BELAY_TEST_DATABASE="+r.cable.url, "BELAY_TEST_KEY="+key, "BELAY_TEST_SECRET="+w.gh.Secret())
	for n := range replicaCount {
		r.start(n+1, env)
	}
	hook := 0
	balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { // webhooks come one after the other
		hook++
		to, err := url.Parse(r.living(hook))
		if err != nil {
			t.Error(err)
			return
		}
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, req)
	}))
	t.Cleanup(balancer.Close)
	w.gh.SetWebhook(balancer.URL + "/github/webhook")
	for i := range services {
		w.soon("a dispatch is taken", func() bool { return post(r.living(i), fmt.Sprintf("acme/r%02d", i), "1.0.1") })
	}
	state, err := store.Open(t.Context(), store.Options{Database: r.cable.direct, Postgres: pool.Open})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	reached := func(what string, f func(done, merges, killed int) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			list, err := state.Upgrades(t.Context(), store.Filter{State: string(lifecycle.Unverified)})
			if err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			ok := f(len(list), r.merges, r.killed)
			r.mu.Unlock()
			if ok {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				all, _ := state.Upgrades(context.Background(), store.Filter{})
				for _, u := range all {
					t.Logf("%s %s %s", u.Service, u.State, u.Data)
				}
				t.Fatalf("never: %s; %d of %d are done", what, len(list), services)
			}
		}
	}
	reached("one is killed", func(_, _, killed int) bool { return killed != 0 })
	died := time.Now()
	r.apply() // CI does not mind
	reached("another goes on", func(_, merges, _ int) bool { return merges > r.killAt })
	t.Logf("replica %d was killed in the middle of merge %d; another merged %s later", r.killed, r.killAt, time.Since(died).Round(time.Second/10))
	r.start(replicaCount+1, env) // it is replaced
	r.cable.cut(3 * time.Second)
	reached("all are upgraded", func(done, _, _ int) bool { return done == services })

	log := w.repo.Log("main")
	slices.Sort(log)
	if n := len(slices.Compact(slices.Clone(log))); n != len(log) || n != services+1 {
		t.Errorf("%d commits on main, %d different; want %d", len(log), n, services+1)
	}
	for i := range services {
		if n := w.pulls(fmt.Sprintf("r%02d", i)); n != 1 {
			t.Errorf("r%02d has %d pull requests", i, n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("merges by replica: %v; database connections cut: %d", r.merger, r.cable.cuts())
	if r.merges != services || len(r.merger) < 2 {
		t.Errorf("%d merges by %v; want %d by more than one", r.merges, r.merger, services)
	}
	if n := len(w.repo.Issues()); n != 1 {
		t.Errorf("%d dashboard issues", n)
	}
}

// cable is the way to a database, which can be cut.
type cable struct {
	url, direct string
	listener    net.Listener
	to          string

	mu    sync.Mutex
	off   bool
	open  map[net.Conn]bool
	times int
}

func newCable(t *testing.T, database string) *cable {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{direct: database, listener: l, to: u.Host, open: map[net.Conn]bool{}}
	u.Host = l.Addr().String()
	c.url = u.String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.mu.Lock()
		c.off = true
		c.mu.Unlock()
		c.hangUp()
		wg.Wait()
	})
	return c
}

func (c *cable) carry(conn net.Conn) {
	defer conn.Close()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	off := c.off
	c.open[conn] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, conn)
	}()
	if off {
		return
	}
	go func() {
		_, _ = io.Copy(far, conn)
		_ = far.Close()
	}()
	_, _ = io.Copy(conn, far)
}

// cut breaks every connection and lets none be made for a while.
func (c *cable) cut(d time.Duration) {
	c.mu.Lock()
	c.off = true
	c.mu.Unlock()
	c.hangUp()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = false
}

func (c *cable) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
		c.times++
	}
}

func (c *cable) cuts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times
}

// TestReplicaOfAnOlderVersion works beside a newer one that has changed the
// schema and the records. It goes on with them, and loses nothing that it does not know.
func TestReplicaOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.dispatch("acme/web", "2.0.0")
	u := w.waits("web", lifecycle.Open, "approving review")
	db := w.life.store.DB()
	for _, statement := range []string{
		"ALTER TABLE upgrades ADD COLUMN future TEXT NOT NULL DEFAULT 'x'",
		"CREATE TABLE futures (id TEXT PRIMARY KEY)",
		"INSERT INTO belay_schema (version) SELECT MAX(version) + 1 FROM belay_schema",
		`UPDATE upgrades SET data = '{"future":{"kept":true},' || SUBSTR(data, 2), version = version + 1 WHERE id = '` + u.ID + "'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	w.repo.Comment(w.pull("web").Number, "ana", "/upgrade approve")
	w.dispatch("acme/wiki", "4.0.1")
	w.waits("wiki", lifecycle.Unverified, "")
	u = w.waits("web", lifecycle.Unverified, "")
	if !strings.Contains(string(u.Data), `"future":{"kept":true}`) {
		t.Errorf("what the newer version wrote is lost: %s", u.Data)
	}
	w.stop()
	var newer *store.NewerError
	if _, err := store.Open(t.Context(), store.Options{Dir: w.dir}); !errors.As(err, &newer) {
		t.Errorf("started anew beside a newer schema: %v", err)
	}
}
