package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestBulkGoesOnAfterAnInterruption stops a run after its first part, as Ctrl-C
// does, and runs it again.
func TestBulkGoesOnAfterAnInterruption(t *testing.T) {
	address, end, err := newStandIn(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var parts atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(behind)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/bulk" && parts.Add(1) == 2 {
			_, _ = io.Copy(io.Discard, req.Body) // only then is it seen that nobody waits any more
			interrupt()
			<-req.Context().Done()
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	defer srv.Close()
	t.Setenv("BELAY_DIUN_TOKEN", "token")
	var list strings.Builder
	for i := range 2*bulkChunk + 20 {
		fmt.Fprintf(&list, "acme/app%d,1.0.0\n", i)
	}
	name := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(name, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	bulk := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs([]string{"bulk", name, "--yes", "--server", srv.URL})
		root.SetOut(&out)
		root.SetErr(&out)
		err := root.ExecuteContext(ctx)
		return out.String(), err
	}
	out, err := bulk(ctx)
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted: 50 of 120 were sent. Run it again to go on") || !strings.Contains(out, "\n50 filtered\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err = bulk(context.Background()); err != nil || !strings.Contains(out, "\n120 filtered\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
