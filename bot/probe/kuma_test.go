package probe_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/watch"
)

// kuma answers as Uptime Kuma 2.5 does (its server/prometheus.js, auth.js and
// routers/status-page-router.js).
type kuma struct {
	status map[string]int // by monitor
	beat   time.Time
	key    string
	down   atomic.Bool
	asked  atomic.Int32
}

var monitorIDs = []string{"web", `We"b \ two`, "ana", "bo", "twice", "twice"}

func (k *kuma) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.asked.Add(1)
	if k.down.Load() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	switch r.URL.Path {
	case "/metrics":
		if _, key, _ := r.BasicAuth(); key != k.key {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "# HELP monitor_cert_days_remaining The number of days remaining until the certificate expires\n# TYPE monitor_cert_days_remaining gauge\n\n"+
			"# HELP monitor_uptime_ratio Uptime ratio\n# TYPE monitor_uptime_ratio gauge\nmonitor_uptime_ratio{monitor_id=\"1\",monitor_name=\"web\",window=\"1d\"} 1\n\n"+
			"# HELP monitor_status Monitor Status (1 = UP, 0= DOWN, 2= PENDING, 3= MAINTENANCE)\n# TYPE monitor_status gauge\n")
		for i, name := range monitorIDs {
			if status, ok := k.status[fmt.Sprintf("%s#%d", name, i)]; ok {
				fmt.Fprintf(w, "monitor_status{home=\"a,b\",monitor_id=\"%d\",monitor_name=\"%s\",monitor_type=\"http\",monitor_url=\"https://web.example.org/\",monitor_hostname=\"null\",monitor_port=\"null\"} %d\n", i, quoted.Replace(name), status)
			}
		}
	case "/api/status-page/home":
		var list []string
		for i, name := range monitorIDs {
			list = append(list, fmt.Sprintf(`{"id":%d,"name":"%s","sendUrl":0,"type":"http"}`, i, quoted.Replace(name)))
		}
		fmt.Fprintf(w, `{"config":{"slug":"home","published":true},"incidents":[],"publicGroupList":[{"id":1,"name":"g","weight":1,"monitorList":[%s]}],"maintenanceList":[]}`, strings.Join(list, ","))
	case "/api/status-page/heartbeat/home":
		var list []string
		for i, name := range monitorIDs {
			if status, ok := k.status[fmt.Sprintf("%s#%d", name, i)]; ok {
				list = append(list, fmt.Sprintf(`"%d":[{"status":%d,"time":"%s","msg":"","ping":28},{"status":%d,"time":"%s","msg":"","ping":null}]`, i,
					1-min(status, 1), k.beat.Add(-time.Minute).Format("2006-01-02 15:04:05.000"), status, k.beat.Format("2006-01-02 15:04:05.000")))
			}
		}
		fmt.Fprintf(w, `{"heartbeatList":{%s},"uptimeList":{"0_24":1}}`, strings.Join(list, ","))
	case "/api/status-page/gone":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"status":"fail","msg":"Status Page Not Found"}`)
	default:
		w.WriteHeader(http.StatusTeapot)
	}
}

func newKuma(t *testing.T, k *kuma, now func() time.Time) *probe.Kuma {
	t.Helper()
	out, err := probe.NewKuma(probe.KumaOptions{URL: serve(t, k.ServeHTTP) + "/", Key: func() string { return "uk1_secret" }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestKuma(t *testing.T) {
	for _, tc := range []struct {
		name    string
		service string
		status  map[string]int
		want    watch.State
		detail  string
	}{
		{"up", "web", map[string]int{"web#0": 1}, watch.Good, "up"},
		{"down", "web", map[string]int{"web#0": 0, "ana#2": 1}, watch.Bad, "down"},
		{"pending", "web", map[string]int{"web#0": 2, "ana#2": 1}, watch.Progressing, "tried again"},
		{"in maintenance", "web", map[string]int{"web#0": 3}, watch.Absent, "maintenance"},
		{"a name in other capitals", "WEB", map[string]int{"web#0": 1}, watch.Good, "up"},
		{"a name with quotes", `We"b \ two`, map[string]int{`We"b \ two#1`: 1}, watch.Good, "up"},
		{"no such monitor", "cy", map[string]int{"web#0": 0}, watch.Absent, "no monitor"},
		{"paused, so without a status", "ana", map[string]int{"web#0": 0}, watch.Absent, "no monitor"},
		{"of two of one name the worse counts", "twice", map[string]int{"twice#4": 1, "twice#5": 0}, watch.Bad, "down"},
		{"a state of next year", "web", map[string]int{"web#0": 4}, watch.Absent, "no monitor"},
		{"all are down at once", "web", map[string]int{"web#0": 0, "ana#2": 0, "bo#3": 2}, watch.Blind, "seems cut off"},
		{"two are down, which may be", "web", map[string]int{"web#0": 0, "ana#2": 0, "bo#3": 3}, watch.Bad, "down"},
	} {
		for _, page := range []string{"", "home"} {
			t.Run(tc.name+" "+page, func(t *testing.T) {
				k := newKuma(t, &kuma{status: tc.status, beat: start.Add(20 * time.Second), key: "uk1_secret"}, func() time.Time { return start.Add(time.Minute) })
				got := k.Look(t.Context(), watch.Subject{Service: "x", Monitor: tc.service, StatusPage: page, Since: start})
				if len(got) != 1 || got[0].State != tc.want || !strings.Contains(got[0].Detail, tc.detail) || got[0].Kind != watch.Kuma {
					t.Errorf("%+v, want %s: %s", got, tc.want, tc.detail)
				}
			})
		}
	}
}

func TestKumaBeatFromBeforeTheUpgrade(t *testing.T) {
	k := newKuma(t, &kuma{status: map[string]int{"web#0": 0, "ana#2": 1}, beat: start.Add(-time.Second)}, time.Now)
	if got := k.Look(t.Context(), watch.Subject{Service: "web", StatusPage: "home", Since: start}); got[0].State != watch.Absent {
		t.Errorf("%+v", got)
	}
}

func TestKumaOutOfReach(t *testing.T) {
	const secret = "uk1_secret"
	gone := probe.KumaOptions{URL: "http://ana:" + secret + "@127.0.0.1:1/", Key: func() string { return secret }}
	unreachable, err := probe.NewKuma(gone)
	if err != nil {
		t.Fatal(err)
	}
	down := &kuma{key: secret}
	down.down.Store(true)
	for _, tc := range []struct {
		name, page, detail string
		k                  *probe.Kuma
	}{
		{"nobody listens", "", "out of reach", unreachable},
		{"its proxy answers", "", "answers 502", newKuma(t, down, time.Now)},
		{"the key has expired", "", "set BELAY_KUMA_KEY", newKuma(t, &kuma{key: "other"}, time.Now)},
		{"no such status page", "gone", "correct verify.kuma.status_page", newKuma(t, &kuma{}, time.Now)},
		{"something else answers", "other", "answers 418", newKuma(t, &kuma{}, time.Now)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.k.Look(t.Context(), watch.Subject{Service: "web", StatusPage: tc.page})
			if got[0].State != watch.Blind || !strings.Contains(got[0].Detail, tc.detail) || strings.Contains(fmt.Sprint(got), secret) {
				t.Errorf("%+v, want %s", got, tc.detail)
			}
		})
	}
	for _, bad := range []string{"", "kuma.example.org", "ftp://kuma.example.org", "http://"} {
		if _, err := probe.NewKuma(probe.KumaOptions{URL: bad}); err == nil || !strings.Contains(err.Error(), "BELAY_KUMA_URL") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKumaIsAskedOnceForAll(t *testing.T) {
	stand := &kuma{status: map[string]int{"web#0": 1}, key: "uk1_secret"}
	var mu sync.Mutex
	now := start
	k := newKuma(t, stand, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	for range 4 { // a minute of looks by fifty watches
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := k.Look(t.Context(), watch.Subject{Service: "web"}); got[0].State != watch.Good {
					t.Errorf("%+v", got)
				}
			})
		}
		wg.Wait()
		mu.Lock()
		now = now.Add(15 * time.Second)
		mu.Unlock()
	}
	if stand.asked.Load() != 4 {
		t.Errorf("asked %d times a minute, and it takes 60", stand.asked.Load())
	}
}
