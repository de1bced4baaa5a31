package traces_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/belaybot/belay/bot/traces"
)

// stand is a stand-in for a collector: it decodes what it is sent.
type stand struct {
	t      *testing.T
	http   *httptest.Server
	mu     sync.Mutex
	spans  []*otlp.Span
	about  []*common.KeyValue
	header http.Header
	raw    bytes.Buffer
	code   int
}

func newStand(t *testing.T) *stand {
	s := &stand{t: t, code: http.StatusOK}
	s.http = httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(s.http.Close)
	return s
}

func (s *stand) take(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := io.ReadAll(req.Body)
	var got collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &got)
	}
	if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		s.t.Errorf("%s %s: %v", req.Method, req.URL, err)
	}
	s.raw.Write(data)
	s.header = req.Header
	for _, r := range got.GetResourceSpans() {
		s.about = r.GetResource().GetAttributes()
		for _, scope := range r.GetScopeSpans() {
			s.spans = append(s.spans, scope.GetSpans()...)
		}
	}
	w.WriteHeader(s.code)
}

func said(list []*common.KeyValue) string {
	var out []string
	for _, a := range list {
		v := a.GetValue().GetStringValue()
		if i, ok := a.GetValue().GetValue().(*common.AnyValue_IntValue); ok {
			v = fmt.Sprint(i.IntValue)
		}
		out = append(out, a.GetKey()+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestSpansReachACollector(t *testing.T) {
	s := newStand(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.http.URL+"/")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key, other = x")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=home")
	stop, err := traces.Start(t.Context(), "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	defer other.Close()
	client := &http.Client{Transport: traces.Transport(http.DefaultTransport)}
	look := traces.Look(func(ctx context.Context, id string) (time.Time, error) {
		ctx, end := traces.Span(ctx, "merge", "belay.upgrade", id, "belay.service", "")
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, other.URL+"/pulls/7/merge?token=hunter2", strings.NewReader("hunter2"))
		if err != nil {
			return time.Time{}, err
		}
		req.Header.Set("Authorization", "Bearer hunter2")
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		err = errors.New("merging with hunter2 does not work")
		end(err)
		return time.Time{}, err
	})
	intake := traces.Handler("/diun", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = look(req.Context(), "u1")
		w.WriteHeader(http.StatusAccepted)
	}))
	req := httptest.NewRequest(http.MethodPost, "/diun?x=hunter2", strings.NewReader("hunter2"))
	req.Header.Set("Authorization", "hunter2")
	intake.ServeHTTP(httptest.NewRecorder(), req)
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.header.Get("api-key") + s.header.Get("other"); got != "a keyx" {
		t.Errorf("headers %q", got)
	}
	if got := said(s.about); !strings.Contains(got, "deployment.environment.name=home service.name=belay service.version=v1.2.3") {
		t.Errorf("the process is %s", got)
	}
	if strings.Contains(s.raw.String(), "hunter2") {
		t.Error("a secret is in a span")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(other.URL, "http://"), ":")
	want := []string{ // as they end
		"PUT client error http.request.method=PUT http.response.status_code=404 server.address=" + host + " url.path=/pulls/7/merge",
		"merge internal error belay.upgrade=u1 error.type=*errors.errorString",
		"reconcile internal error belay.upgrade=u1 error.type=*errors.errorString",
		"POST /diun server  http.request.method=POST http.response.status_code=202 http.route=/diun",
	}
	kinds := map[otlp.Span_SpanKind]string{otlp.Span_SPAN_KIND_CLIENT: "client", otlp.Span_SPAN_KIND_SERVER: "server", otlp.Span_SPAN_KIND_INTERNAL: "internal"}
	var got []string
	for i, x := range s.spans {
		status := ""
		if x.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR {
			status = "error"
		}
		got = append(got, fmt.Sprintf("%s %s %s %s", x.GetName(), kinds[x.GetKind()], status, said(x.GetAttributes())))
		if i+1 < len(s.spans) && (hex.EncodeToString(x.GetParentSpanId()) != hex.EncodeToString(s.spans[i+1].GetSpanId()) || !bytes.Equal(x.GetTraceId(), s.spans[i+1].GetTraceId())) {
			t.Errorf("%s is not within %s", x.GetName(), s.spans[i+1].GetName())
		}
		if x.GetEndTimeUnixNano() < x.GetStartTimeUnixNano() || x.GetStartTimeUnixNano() == 0 {
			t.Errorf("%s has no time", x.GetName())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestACollectorThatRefusesIsNamedWithoutItsPassword(t *testing.T) {
	s := newStand(t)
	s.code = http.StatusUnauthorized
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(s.http.URL, "http://", "http://me:hunter2@", 1))
	var log bytes.Buffer
	stop, err := traces.Start(t.Context(), "v1", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, end := traces.Span(t.Context(), "a")
	end(nil)
	err = stop(t.Context())
	if text := fmt.Sprint(err) + log.String(); !strings.Contains(text, "401") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

func TestStart(t *testing.T) {
	for _, row := range []struct{ name, variable, value, want string }{
		{"no address", "OTEL_EXPORTER_OTLP_ENDPOINT", "", ""},
		{"an address that is none", "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is not a URL"},
		{"another protocol", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf only"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.variable != "OTEL_EXPORTER_OTLP_ENDPOINT" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			}
			t.Setenv(row.variable, row.value)
			stop, err := traces.Start(t.Context(), "v1", slog.New(slog.DiscardHandler))
			if row.want == "" {
				if err != nil || stop(t.Context()) != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// BenchmarkSpanThatNobodyWants is what a span costs without a collector.
func BenchmarkSpanThatNobodyWants(b *testing.B) {
	for b.Loop() {
		_, end := traces.Span(b.Context(), "merge", "belay.upgrade", "u1")
		end(nil)
	}
}
