package sandbox_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/sandbox"
)

// listener takes webhooks and says what it got.
type listener struct {
	mu     sync.Mutex
	status int
	got    []heard
}

type heard struct {
	event, guid, signature string
	body                   []byte
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, heard{r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-Hub-Signature-256"), body})
	w.WriteHeader(l.status)
}

func (l *listener) set(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

func (l *listener) all() []heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]heard{}, l.got...)
}

// TestDeliveries sends webhooks to a server that takes them, refuses them and is
// away; all of them stand in the log, and can be sent again.
func TestDeliveries(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{Secret: "it's a secret"})
	l := &listener{status: http.StatusAccepted}
	srv := httptest.NewServer(l)
	defer srv.Close()
	gh.SetWebhook(srv.URL)
	repo.SetStatus(strings.Repeat("a", 40), "taken", "success")
	flush(t, gh)
	l.set(http.StatusServiceUnavailable)
	repo.SetStatus(strings.Repeat("a", 40), "refused", "success")
	flush(t, gh)
	gh.SetWebhook("")
	repo.SetStatus(strings.Repeat("a", 40), "missed", "success")
	flush(t, gh)
	gh.SetWebhook(srv.URL)
	l.set(http.StatusAccepted)
	missed := gh.DeliveryLog()[2]
	gh.Redeliver(missed.GUID)
	flush(t, gh)
	var status []int
	for _, d := range gh.DeliveryLog() {
		status = append(status, d.Status)
	}
	if len(status) != 4 || status[0] != 202 || status[1] != 503 || status[2] != 502 || status[3] != 202 || !gh.DeliveryLog()[3].Again {
		t.Errorf("the log says %v", gh.DeliveryLog())
	}
	got := l.all()
	if len(got) != 3 || got[2].guid != missed.GUID || got[2].event != "status" || !strings.Contains(string(got[2].body), `"missed"`) {
		t.Errorf("%d webhooks; the last one is %s %s", len(got), got[len(got)-1].event, got[len(got)-1].body)
	}
	for _, h := range got {
		mac := hmac.New(sha256.New, []byte("it's a secret"))
		mac.Write(h.body)
		if h.signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("%s is signed %s", h.event, h.signature)
		}
	}
}

// TestDeliveryLogPages reads the log by its cursor while it grows.
func TestDeliveryLogPages(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{})
	for range 7 {
		repo.SetStatus(strings.Repeat("a", 40), "ci", "success")
	}
	flush(t, gh)
	bearer := "Bearer " + appToken(t, gh)
	seen := map[float64]bool{}
	pages := 0
	for next := "/api/v3/app/hook/deliveries?per_page=3"; next != ""; pages++ {
		status, h, body := do(t, gh, "GET", next, bearer, "")
		var list []map[string]any
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
			t.Fatalf("HTTP %d %s: %v", status, body, err)
		}
		for _, d := range list {
			if id := d["id"].(float64); seen[id] {
				t.Errorf("%v twice", id)
			} else {
				seen[id] = true
			}
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(h.Get("Link"), "<"), ">")
		if u, err := url.Parse(next); err == nil && next != "" {
			next = u.RequestURI()
		}
		repo.SetStatus(strings.Repeat("a", 40), "later", "success")
		flush(t, gh)
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("%d deliveries on %d pages", len(seen), pages)
	}
}
