package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// diunJSON is what DIUN sends. Its fields, in their order, are those of
// RenderJSON in internal/msg/client.go of DIUN v4.33.0, which its webhook
// notifier posts as it is (internal/notif/webhook/client.go): the same as in the
// sample of its documentation. metadata may be null, image is registry, name
// and tag, and no Content-Type is set.
const diunJSON = `{"diun_version":"4.33.0","hostname":"home","status":"new","provider":"kubernetes","image":"docker.io/vaultwarden/server:1.35.4",
"hub_link":"https://hub.docker.com/r/vaultwarden/server","mime_type":"application/vnd.docker.distribution.manifest.list.v2+json",
"digest":"sha256:216e3ae7de4ca8b553eb11ef7abda00651e79e537e85c46108284e5e91673e01","created":"2026-03-26T12:23:56Z","platform":"linux/amd64","metadata":null}`

// door is a server with an empty state. Its queue only counts.
type door struct {
	t     *testing.T
	store *store.Store
	queue *jobs
	http  http.Handler
}

type jobs struct {
	dispatches []string
	err        error
}

func (*jobs) Wake(context.Context, string) error { return nil }

func (q *jobs) DispatchTx(_ context.Context, _ *sql.Tx, id string) error {
	if q.err == nil {
		q.dispatches = append(q.dispatches, id)
	}
	return q.err
}

const diunToken = "correct-horse"

func newDoor(t *testing.T, token string) *door {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	d := &door{t: t, store: st, queue: &jobs{}}
	d.http = server.New(server.Options{Store: st, Queue: d.queue, DiunToken: func() string { return token }, WebhookSecret: func() string { return "" },
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Handler()
	return d
}

// reply is what any answer of POST /diun may hold.
type reply struct {
	code   int
	header http.Header
	ID     string `json:"id"`
	New    bool   `json:"new"`
	Error  string `json:"error"`
	Field  string `json:"field"`
}

func (d *door) send(method, body string, header http.Header) reply {
	d.t.Helper()
	req := httptest.NewRequest(method, "/diun", strings.NewReader(body))
	req.Header = header
	w := httptest.NewRecorder()
	d.http.ServeHTTP(w, req)
	out := reply{code: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		d.t.Errorf("the answer is no JSON: %q", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		d.t.Errorf("Content-Type %q", got)
	}
	return out
}

func (d *door) post(body string) reply {
	d.t.Helper()
	return d.send(http.MethodPost, body, http.Header{"Authorization": {"Bearer " + diunToken}})
}

// stored are the dispatches in the state.
func (d *door) stored() []store.Dispatch {
	d.t.Helper()
	list, err := d.store.Dispatches(context.Background(), 100)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

func TestDispatchShapes(t *testing.T) {
	const digest = "sha256:216e3ae7de4ca8b553eb11ef7abda00651e79e537e85c46108284e5e91673e01"
	for _, row := range []struct {
		name, body string
		want       store.Dispatch
	}{
		{"DIUN's own webhook", diunJSON,
			store.Dispatch{Image: "docker.io/vaultwarden/server", Tag: "1.35.4", Digest: digest, Status: "new", Provider: "kubernetes", HubLink: "https://hub.docker.com/r/vaultwarden/server"}},
		{"DIUN's own webhook with metadata", strings.Replace(diunJSON, "null}", `{"ctn_names":"diun","ctn_size":"0B"}}`, 1),
			store.Dispatch{Image: "docker.io/vaultwarden/server", Tag: "1.35.4", Digest: digest, Status: "new", Provider: "kubernetes", HubLink: "https://hub.docker.com/r/vaultwarden/server"}},
		{"DIUN's own webhook without a creation date, and with an unchanged digest", strings.NewReplacer(`"2026-03-26T12:23:56Z"`, "null", `"new"`, `"unchange"`).Replace(diunJSON),
			store.Dispatch{Image: "docker.io/vaultwarden/server", Tag: "1.35.4", Digest: digest, Status: "unchange", Provider: "kubernetes", HubLink: "https://hub.docker.com/r/vaultwarden/server"}},
		{"a registry with a port", strings.Replace(diunJSON, "docker.io/vaultwarden/server:1.35.4", "registry.example.org:5000/acme/web:2.0", 1),
			store.Dispatch{Image: "registry.example.org:5000/acme/web", Tag: "2.0", Digest: digest, Status: "new", Provider: "kubernetes", HubLink: "https://hub.docker.com/r/vaultwarden/server"}},
		{"the flattened form with the tag in the image", `{"diun_entry_status":"update","diun_entry_image":"docker.io/acme/web:1.0.1","diun_entry_imagetag":"1.0.1","diun_entry_provider":"docker","diun_entry_hublink":"https://example.org","diun_entry_digest":"` + digest + `"}`,
			store.Dispatch{Image: "docker.io/acme/web", Tag: "1.0.1", Digest: digest, Status: "update", Provider: "docker", HubLink: "https://example.org"}},
		{"the flattened form without", `{"diun_entry_status":"new","diun_entry_image":"acme/web","diun_entry_imagetag":"1.0.1"}`,
			store.Dispatch{Image: "docker.io/acme/web", Tag: "1.0.1", Status: "new"}},
		{"the minimal form", `{"image":"nginx","tag":"1.27.1"}`, store.Dispatch{Image: "docker.io/library/nginx", Tag: "1.27.1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDoor(t, diunToken)
			got := d.post(row.body)
			if got.code != http.StatusAccepted || !got.New || got.ID == "" {
				t.Fatalf("got %+v", got)
			}
			list := d.stored()
			if len(list) != 1 || len(d.queue.dispatches) != 1 || d.queue.dispatches[0] != got.ID {
				t.Fatalf("stored %+v, jobs %v", list, d.queue.dispatches)
			}
			if list[0].Received.IsZero() {
				t.Error("it does not say when it came")
			}
			row.want.ID, row.want.Source, row.want.Received = got.ID, "diun", list[0].Received
			if !equal(list[0], row.want) {
				t.Errorf("stored %+v\nwant   %+v", list[0], row.want)
			}
		})
	}
}

func equal(a, b store.Dispatch) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestTheSameDispatchAgain(t *testing.T) {
	d := newDoor(t, diunToken)
	first := d.post(diunJSON)
	for what, body := range map[string]string{
		"the same again":               diunJSON,
		"from another DIUN, as update": strings.NewReplacer("home", "office", `"new"`, `"update"`, "kubernetes", "docker").Replace(diunJSON),
		"in the minimal form":          `{"image":"vaultwarden/server","tag":"1.35.4","digest":"sha256:216e3ae7de4ca8b553eb11ef7abda00651e79e537e85c46108284e5e91673e01"}`,
	} {
		if got := d.post(body); got.code != http.StatusOK || got.New || got.ID != first.ID {
			t.Errorf("%s: %+v; want 200 and %s", what, got, first.ID)
		}
	}
	if got := d.post(strings.Replace(diunJSON, "sha256:2", "sha256:3", 1)); got.code != http.StatusAccepted || got.ID == first.ID {
		t.Errorf("another digest: %+v", got)
	}
	if len(d.stored()) != 2 || len(d.queue.dispatches) != 2 {
		t.Errorf("%d stored, %d jobs; want 2", len(d.stored()), len(d.queue.dispatches))
	}
}

func TestDispatchesThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, body, field, text string
		code                    int
	}{
		{"no image", `{"tag":"1.0"}`, "image", "missing", 400},
		{"no tag", `{"image":"acme/web"}`, "tag", "missing", 400},
		{"DIUN's own without an image", strings.Replace(diunJSON, "docker.io/vaultwarden/server:1.35.4", "", 1), "image", "missing", 400},
		{"the flattened form without an image", `{"diun_entry_imagetag":"1.0"}`, "diun_entry_image", "missing", 400},
		{"the flattened form without a tag", `{"diun_entry_image":"acme/web"}`, "diun_entry_imagetag", "missing", 400},
		{"a tag that is none", `{"image":"acme/web","tag":"1.0 && reboot"}`, "tag", "is not a tag", 400},
		{"an image that is none", `{"image":"http://[","tag":"1.0"}`, "image", "", 400},
		{"a digest that is none", `{"image":"acme/web","tag":"1.0","digest":"latest"}`, "digest", "is not a digest", 400},
		{"a number for a tag", `{"image":"acme/web","tag":1.0}`, "tag", "number", 400},
		{"nothing", ``, "", "empty", 400},
		{"no JSON", `image=acme/web&tag=1.0`, "", "not JSON: 1:1", 400},
		{"a list", `[{"image":"acme/web","tag":"1.0"}]`, "", "array", 400},
		{"half of it", diunJSON[:100], "", "ends in the middle", 400},
		{"two at once", `{"image":"acme/web","tag":"1.0"}{"image":"acme/web","tag":"1.1"}`, "", "one dispatch per payload", 400},
		{"over 1 MiB", `{"image":"acme/web","tag":"1.0","x":"` + strings.Repeat("x", 1<<20) + `"}`, "", "larger than", 413},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDoor(t, diunToken)
			got := d.post(row.body)
			if got.code != row.code || got.Field != row.field || !strings.Contains(got.Error, row.text) || got.Error == "" {
				t.Errorf("got %d, field %q, %q; want %d, field %q, %q", got.code, got.Field, got.Error, row.code, row.field, row.text)
			}
			if len(d.stored()) != 0 || len(d.queue.dispatches) != 0 {
				t.Error("it was stored all the same")
			}
		})
	}
	t.Run("just under 1 MiB is taken", func(t *testing.T) {
		frame := `{"image":"acme/web","tag":"1.0","x":""}`
		if got := newDoor(t, diunToken).post(strings.Replace(frame, `""`, `"`+strings.Repeat("x", 1<<20-len(frame))+`"`, 1)); got.code != 202 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestTokens holds that tokens are told apart, however they are sent. That they
// are compared in constant time cannot be seen from outside: the server compares
// digests with crypto/subtle, so that not even the length matters.
func TestTokens(t *testing.T) {
	for _, row := range []struct {
		name   string
		header http.Header
		code   int
	}{
		{"as a bearer", http.Header{"Authorization": {"Bearer " + diunToken}}, 202},
		{"as a bearer in lower case", http.Header{"Authorization": {"bearer " + diunToken}}, 202},
		{"bare", http.Header{"Authorization": {diunToken}}, 202},
		{"in belay's own header", http.Header{"X-Belay-Token": {diunToken}}, 202},
		{"none", http.Header{}, 401},
		{"an empty one", http.Header{"Authorization": {"Bearer "}}, 401},
		{"the beginning of it", http.Header{"Authorization": {"Bearer correct"}}, 401},
		{"more than it", http.Header{"Authorization": {"Bearer " + diunToken + "s"}}, 401},
		{"in capitals", http.Header{"Authorization": {"Bearer CORRECT-HORSE"}}, 401},
		{"by another scheme", http.Header{"Authorization": {"Basic " + diunToken}}, 401},
		{"a wrong one in belay's own header beside a right one", http.Header{"X-Belay-Token": {"wrong"}, "Authorization": {"Bearer " + diunToken}}, 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDoor(t, diunToken)
			got := d.send(http.MethodPost, diunJSON, row.header)
			if got.code != row.code {
				t.Errorf("got %+v; want %d", got, row.code)
			}
			if strings.Contains(got.Error, diunToken) {
				t.Error("the answer gives the token away")
			}
			if want := map[int]int{202: 1, 401: 0}[row.code]; len(d.stored()) != want {
				t.Errorf("%d stored", len(d.stored()))
			}
		})
	}
	t.Run("where no token is set nobody is let in", func(t *testing.T) {
		for _, header := range []http.Header{{}, {"Authorization": {"Bearer "}}, {"X-Belay-Token": {""}}} {
			if got := newDoor(t, "").send(http.MethodPost, diunJSON, header); got.code != 401 {
				t.Errorf("%v: got %+v", header, got)
			}
		}
	})
	t.Run("who has no token does not learn what is wrong with the payload", func(t *testing.T) {
		if got := newDoor(t, diunToken).send(http.MethodPost, "{", http.Header{}); got.code != 401 || got.Field != "" {
			t.Errorf("got %+v", got)
		}
	})
}

// TestDIUNsDefaultMethod sends what DIUN sends unless it is told otherwise: a GET
// with a body. DIUN shows the answer's text in its log.
func TestDIUNsDefaultMethod(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		d := newDoor(t, diunToken)
		got := d.send(method, diunJSON, http.Header{"Authorization": {"Bearer " + diunToken}})
		if got.code != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" || !strings.Contains(got.Error, "DIUN_NOTIF_WEBHOOK_METHOD=POST") || !strings.Contains(got.Error, "method: POST") {
			t.Errorf("%s: got %+v", method, got)
		}
		if len(d.stored()) != 0 {
			t.Errorf("%s: it was stored all the same", method)
		}
	}
}

// TestADispatchThatCannotBeStoredIsNotAccepted breaks the state: DIUN then
// reports an error, and the dispatch may be sent again.
func TestADispatchThatCannotBeStoredIsNotAccepted(t *testing.T) {
	for _, row := range []struct {
		name       string
		begin, end func(d *door) error
	}{
		{"the disk is full", pragma("max_page_count = 1"), pragma("max_page_count = 1000000")},
		{"the file can only be read", pragma("query_only = 1"), pragma("query_only = 0")},
		{"the job cannot be made", func(d *door) error { d.queue.err = errors.New("no queue"); return nil }, func(d *door) error { d.queue.err = nil; return nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDoor(t, diunToken)
			if err := row.begin(d); err != nil {
				t.Fatal(err)
			}
			body := strings.Replace(diunJSON, "https://hub.docker.com/", "https://example.org/"+strings.Repeat("x", 1<<16), 1)
			if got := d.post(body); got.code != http.StatusServiceUnavailable || !strings.Contains(got.Error, "send it again") || strings.Contains(got.Error, "belay.db") {
				t.Errorf("got %+v", got)
			}
			if n := len(d.stored()); n != 0 {
				t.Errorf("%d were stored", n)
			}
			if err := row.end(d); err != nil {
				t.Fatal(err)
			}
			if got := d.post(body); got.code != http.StatusAccepted {
				t.Errorf("sent again: %+v", got)
			}
		})
	}
}

func pragma(what string) func(d *door) error {
	return func(d *door) error {
		_, err := d.store.DB().Exec("PRAGMA " + what)
		return err
	}
}

// TestStatusOfOneSource holds that /api/status tells what DIUN sent from what
// was found otherwise.
func TestStatusOfOneSource(t *testing.T) {
	d := newDoor(t, diunToken)
	d.post(`{"image":"docker.io/acme/web","tag":"1.0.1"}`)
	if _, _, err := d.store.AddDispatch(t.Context(), store.Dispatch{Image: "docker.io/acme/links", Tag: "2.0.1", Source: "scan", Received: time.Now()},
		func(context.Context, *sql.Tx, string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]int{"": 2, "diun": 1, "scan": 1, "bulk": 0} {
		req := httptest.NewRequest(http.MethodGet, "/api/status?limit=10&source="+source, nil)
		req.Header.Set("Authorization", "Bearer "+diunToken)
		w := httptest.NewRecorder()
		d.http.ServeHTTP(w, req)
		var got server.Status
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Dispatches) != want {
			t.Errorf("source %q: %d dispatches, %v; want %d", source, len(got.Dispatches), err, want)
		}
	}
}
