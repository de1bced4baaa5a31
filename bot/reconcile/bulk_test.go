package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// twelve is the bulk run that was done for real once: what was upgraded, and how
// each ends.
var twelve = []struct {
	service, from, to string
	images            []string
	notes             string // of the newest release; "": a fixed bug
	end               lifecycle.State
	happened          string
}{
	{"ebooks", "2.32.1", "2.33.1", []string{"ghcr.io/advplyr/audiobookshelf"}, "### Security\n\n- Paths in uploads are checked", lifecycle.Verified, "SAFE, the directory has another name"},
	{"owntracks", "0.9.9", "1.0.1", []string{"docker.io/owntracks/recorder"}, "### Changed\n\n- The old colour names are deprecated", lifecycle.Verified, "CAUTION, approved"},
	{"ollama", "v0.7.2", "v0.8.12", []string{"ghcr.io/open-webui/open-webui"}, "### Changed\n\n- A database migration runs once and takes long", lifecycle.Verified, "CAUTION, its volume snapshotted, approved"},
	{"immich", "v2.7.4", "v2.7.5", []string{"ghcr.io/immich-app/immich-server", "ghcr.io/immich-app/immich-machine-learning"}, "", lifecycle.Verified, "SAFE, two images, one upgrade"},
	{"coturn", "4.6.3-r1", "4.10.0-r1", []string{"docker.io/coturn/coturn"}, "### Removed\n\n- The option `--no-tlsv1` is removed", lifecycle.Verified, "CAUTION, approved"},
	{"url", "4.3.4", "5.0.2", []string{"docker.io/shlinkio/shlink"}, "### Removed\n\n- `REDIRECT_APPEND_EXTRA_PATH` is removed", lifecycle.Verified, "CAUTION, dumped, approved"},
	{"phpipam", "v1.7.0", "v1.7.4", []string{"docker.io/phpipam/phpipam-www", "docker.io/phpipam/phpipam-cron"}, "", lifecycle.Verified, "SAFE, dumped, images that share a version"},
	{"onlyoffice", "8.2.3", "9.3.1", []string{"docker.io/onlyoffice/documentserver"}, "### Changed\n\n- The schema change concerns another database engine", lifecycle.Verified, "CAUTION, approved"},
	{"paperless", "2.16.4", "2.20.14", []string{"ghcr.io/paperless-ngx/paperless-ngx"}, "### Security\n\n- CVE-2026-10001 and CVE-2026-10007 are closed", lifecycle.Verified, "SAFE, OOMKilled, mended by /upgrade fix"},
	{"linkwarden", "v2.9.1", "v2.14.0", []string{"ghcr.io/linkwarden/linkwarden"}, "", lifecycle.Verified, "SAFE, dumped"},
	{"matrix", "v1.125.0", "v1.151.0", []string{"docker.io/matrixdotorg/synapse"}, "", lifecycle.Verified, "SAFE, dumped"},
	{"dawarich", "0.37.1", "1.6.1", []string{"docker.io/freikin/dawarich"}, "### Changed\n\n- A database migration gives every table another primary key", lifecycle.Reverted, "CAUTION, crashed, image and data put back"},
}

const twelveConfig = `
services: { roots: ["stacks/*"] }
steps: direct
dispatch: { limit: { upgrades: 5, window: 6h } }
apply: { checks: [deploy], timeout: 15m }
verify: { safe: 10ms, caution: 10ms, unknown: 10ms, interval: 1s, extend: 1s, settle: 1s }
revert: { automerge: false }
backups:
  mysql: { cronjob: dbaas/mysql-backup }
  postgresql: { cronjob: dbaas/postgresql-backup }
databases:
  ollama: { backup: { volumesnapshot: open-webui/data } }
  immich: { backup: { cronjob: immich/postgresql-backup } }
  url: { backup: mysql }
  phpipam: { backup: mysql }
  linkwarden: { backup: postgresql }
  matrix: { backup: postgresql }
  dawarich: { backup: { cronjob: dbaas/postgresql-backup, restore: { cronjob: dbaas/postgresql-restore } } }
`

// stackOf is the Terraform of one of the twelve.
func stackOf(i int) string {
	s := twelve[i]
	text := ""
	for n, name := range s.images {
		one := named(strings.TrimSuffix(fmt.Sprint(s.service, n), "0"), strings.TrimPrefix(name, "docker.io/")+":${local.tag}")
		text += strings.Replace(one, `"app"`, fmt.Sprintf("%q", fmt.Sprint("app", n)), 1)
	}
	if s.service == "paperless" {
		text = memory(text, "1Gi")
	}
	return fmt.Sprintf("locals {\n  tag = %q\n}\n", s.from) + text
}

// twelveWorld is a repository with the twelve.
func twelveWorld(t *testing.T, now func() time.Time) *world {
	t.Helper()
	files := map[string]string{".github/belay.yml": twelveConfig}
	for i, s := range twelve {
		files["stacks/"+s.service+"/main.tf"] = stackOf(i)
	}
	w := newWorld(t, files)
	w.stop()
	w.now = now
	w.seen = &observer{samples: map[string]watch.Sample{}, wakes: map[string]func(){}, now: now}
	w.start()
	for _, s := range twelve {
		if s.notes != "" {
			w.up.say(s.to, s.notes)
		}
	}
	w.seen.becomes("ghcr.io/paperless-ngx/paperless-ngx:2.20.14", watch.Sample{State: watch.Fatal, Cause: watch.CauseOOM, Detail: "OOMKilled"})
	w.seen.becomes("freikin/dawarich:1.6.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	return w
}

// inRealTime has the queue, which knows the machine's clock alone, look again when
// belay's moved clock wants it.
func inRealTime(now func() time.Time, look func(context.Context, string) (time.Time, error)) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, id string) (time.Time, error) {
		until, err := look(ctx, id)
		ahead := time.Until(now())
		var retry interface{ RetryAt() time.Time }
		if errors.As(err, &retry) {
			return until, sooner{err, retry.RetryAt().Add(-ahead)}
		}
		if !until.IsZero() {
			until = until.Add(-ahead)
		}
		return until, err
	}
}

// sooner is an error with another moment at which it is worth trying again.
type sooner struct {
	error
	at time.Time
}

func (s sooner) RetryAt() time.Time { return s.at }

// bulk sends the twelve as one run, and returns what the server took.
func (w *world) bulk(limit int) server.BulkAnswer {
	w.t.Helper()
	req := server.BulkRequest{Run: "twelve", Limit: limit}
	for _, s := range twelve {
		for _, name := range s.images {
			raw, _ := json.Marshal(map[string]string{"image": name, "tag": s.to})
			req.Dispatches = append(req.Dispatches, raw)
		}
	}
	body, err := json.Marshal(req)
	if err != nil {
		w.t.Fatal(err)
	}
	var out server.BulkAnswer
	w.ask("/api/bulk", body, &out)
	return out
}

func (w *world) ask(path string, body []byte, into any) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: HTTP %d %s, %v", path, resp.StatusCode, data, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		w.t.Fatal(err)
	}
}

// attend does what people do during the run, once for each: approve what asks
// for it, mend paperless, put dawarich's data back.
type attendant struct {
	w    *world
	done map[string]bool
}

func (a *attendant) attend() {
	for _, s := range twelve {
		u := a.w.upgrade(s.service)
		once := func(what string, when bool, f func()) {
			if key := s.service + " " + what; when && !a.done[key] {
				a.done[key] = true
				f()
			}
		}
		waits := func(text string) bool { return strings.Contains(string(u.Data), text) }
		once("approve", u.State == string(lifecycle.Open) && waits("waits for an approving review"), func() {
			a.w.repo.Review(a.w.pull(s.service).Number, "ana", "approved")
		})
		once("fix", s.service == "paperless" && u.State == string(lifecycle.Reverting) && waits("the revert waits for an approving review"), func() {
			a.w.seen.mu.Lock()
			delete(a.w.seen.samples, "ghcr.io/paperless-ngx/paperless-ngx:2.20.14")
			a.w.seen.mu.Unlock()
			a.w.repo.Comment(a.w.revert(s.service).Number, "ana", "/upgrade fix")
		})
		once("restore", s.service == "dawarich" && u.State == string(lifecycle.Reverting) && waits("data may have been migrated: /upgrade restore"), func() {
			a.w.repo.Comment(a.w.revert(s.service).Number, "ana", "/upgrade restore\n/upgrade approve")
		})
	}
}

// patiently is eventually for a dozen upgrades at once under the race detector.
func (w *world) patiently(what string, f func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("never: %s\n%s", what, w.story())
		case <-tick.C:
		}
	}
}

// ended holds that each of the twelve ended as it should, and left one edit of its
// own on the default branch.
func (w *world) ended() {
	w.t.Helper()
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, s := range twelve {
		u := w.upgrade(s.service)
		if u.State != string(s.end) || w.pulls(s.service) != 1 {
			w.t.Errorf("%s is %s with %d pull requests, want %s with one", s.service, u.State, w.pulls(s.service), s.end)
		}
		want := stackOf(i)
		if s.end == lifecycle.Verified {
			want = strings.Replace(want, s.from, s.to, 1)
		}
		if s.service == "paperless" {
			want = strings.Replace(want, "1Gi", "2Gi", 1)
		}
		got, err := w.repo.File("main", "stacks/"+s.service+"/main.tf")
		if err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			w.t.Errorf("%s on the default branch is, %v,\n%s", s.service, err, got)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", s.service, s.from, s.to, u.State, s.happened)
	}
	_ = out.Flush()
	w.t.Log("\n" + b.String())
}

func TestBulkTwelve(t *testing.T) {
	t.Run("with the limit lifted for the run", func(t *testing.T) {
		t.Parallel()
		w := twelveWorld(t, nil)
		first := w.bulk(50)
		people := attendant{w, map[string]bool{}}
		w.patiently("all are over", func() bool {
			people.attend()
			for _, s := range twelve {
				if !w.upgrade(s.service).Final {
					return false
				}
			}
			return true
		})
		w.ended()
		// The same list once more does nothing twice, and shows where things stand.
		events, err := w.life.store.LastEvent(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		again := w.bulk(50)
		for i, d := range again.Dispatches {
			if d.New || d.Again || d.ID != first.Dispatches[i].ID {
				t.Errorf("dispatch %d: %+v, at first %+v", i, d, first.Dispatches[i])
			}
		}
		var ids server.StandingRequest
		for _, d := range again.Dispatches {
			ids.IDs = append(ids.IDs, d.ID)
		}
		body, _ := json.Marshal(ids)
		var standing server.Status
		w.ask("/api/dispatches", body, &standing)
		if len(standing.Dispatches) != len(ids.IDs) || len(standing.Upgrades) != len(twelve) {
			t.Errorf("%d dispatches and %d upgrades stand", len(standing.Dispatches), len(standing.Upgrades))
		}
		if now, err := w.life.store.LastEvent(context.Background()); err != nil || now != events {
			t.Errorf("%d events followed, %v", now-events, err)
		}
	})
	t.Run("with five in six hours, and a clock that is moved", func(t *testing.T) {
		t.Parallel()
		var moved atomic.Int64
		w := twelveWorld(t, func() time.Time { return time.Now().Add(time.Duration(moved.Load())) })
		w.bulk(0)
		people := attendant{w, map[string]bool{}}
		var order []string
		for _, started := range []int{5, 10, 12} {
			w.patiently(fmt.Sprintf("%d are over and the others wait", started), func() bool {
				people.attend()
				over, waiting := 0, 0
				for _, s := range twelve {
					u := w.upgrade(s.service)
					if u.Final {
						over++
					}
					if u.State == string(lifecycle.Queued) && strings.Contains(string(u.Data), "waits for the rate limit: until ") {
						waiting++
					}
				}
				return over == started && waiting == len(twelve)-started
			})
			n := 0
			for _, s := range twelve {
				if w.pulls(s.service) > 0 {
					n++
					if !slices.Contains(order, s.service) {
						order = append(order, s.service)
					}
				}
			}
			if n != started {
				t.Fatalf("%d were started, want %d", n, started)
			}
			moved.Add(int64(6*time.Hour + time.Second))
			for _, s := range twelve { // what waits for a time that the clock has passed
				w.look(s.service)
			}
		}
		w.ended()
		// In the order in which they arrived, as they were planned.
		list, err := w.life.store.Upgrades(context.Background(), store.Filter{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(list, func(a, b store.Upgrade) int { return a.Created.Compare(b.Created) })
		for i, u := range list {
			if batch := slices.Index(order, u.Service) / 5; batch != i/5 {
				t.Errorf("%s arrived as number %d and was started in window %d", u.Service, i+1, batch+1)
			}
		}
	})
}
