// Package traces records what belay does as OpenTelemetry spans and sends them
// to a collector by OTLP over HTTP, when OTEL_EXPORTER_OTLP_ENDPOINT is set.
// Otherwise a span costs a call that returns at once.
//
// A span says what was done to which upgrade, and which host was asked. No
// credentials, headers, query strings or bodies are in it. See SPEC section 16.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names belay's own spans among others'.
const scope = "github.com/belaybot/belay"

// Start sends spans to the collector that the environment names, as the
// specification of OpenTelemetry's exporters has it; stop sends what is left and
// ends it. Without an address nothing is recorded.
func Start(ctx context.Context, version string, log *slog.Logger) (stop func(context.Context) error, err error) {
	address := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if address == "" {
		if base := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); base != "" {
			address = strings.TrimSuffix(base, "/") + "/v1/traces"
		}
	}
	if address == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return func(context.Context) error { return nil }, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(name); p != "" && p != "http/protobuf" {
			return nil, fmt.Errorf("%s is %q: belay speaks http/protobuf only", name, p)
		}
	}
	e, err := newExporter(address, os.Getenv("OTEL_EXPORTER_OTLP_HEADERS"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS"))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "belay"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces were not sent", "why", err) }))
	p := sdk.NewTracerProvider(sdk.WithBatcher(e), sdk.WithResource(about))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(p)
	return func(ctx context.Context) error {
		otel.SetTracerProvider(before)
		return p.Shutdown(ctx)
	}, nil
}

// Span begins a span. End it with the error of what was done, nil for none.
// Pairs are names and values: "upgrade", "u1".
func Span(ctx context.Context, name string, pairs ...string) (context.Context, func(error)) {
	return span(ctx, name, trace.SpanKindInternal, pairs...)
}

func span(ctx context.Context, name string, kind trace.SpanKind, pairs ...string) (context.Context, func(error)) {
	ctx, s := otel.Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	if !s.IsRecording() {
		return ctx, func(error) {}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			s.SetAttributes(attribute.String(pairs[i], pairs[i+1]))
		}
	}
	return ctx, func(err error) {
		if err != nil {
			s.SetStatus(codes.Error, kindOf(err))
			s.SetAttributes(attribute.String("error.type", kindOf(err)))
		}
		s.End()
	}
}

// kindOf names an error by its type: what it says may hold addresses.
func kindOf(err error) string {
	type waits interface{ RetryAt() time.Time }
	for e := err; e != nil; {
		if _, ok := e.(waits); ok {
			return "waits"
		}
		wrapped, ok := e.(interface{ Unwrap() error })
		if !ok {
			return fmt.Sprintf("%T", e)
		}
		e = wrapped.Unwrap()
	}
	return fmt.Sprintf("%T", err)
}

// Look records each look at an upgrade.
func Look(look func(context.Context, string) (time.Time, error)) func(context.Context, string) (time.Time, error) {
	return func(ctx context.Context, id string) (time.Time, error) {
		ctx, end := Span(ctx, "reconcile", "belay.upgrade", id)
		wake, err := look(ctx, id)
		end(err)
		return wake, err
	}
}

// Work records each piece of other work; name says which, key what id is.
func Work(name, key string, work func(context.Context, string) error) func(context.Context, string) error {
	if work == nil {
		return nil
	}
	return func(ctx context.Context, id string) error {
		ctx, end := Span(ctx, name, key, id)
		err := work(ctx, id)
		end(err)
		return err
	}
}

// Transport records requests to other servers: the method, the host and the
// path, but neither the query nor headers.
func Transport(base http.RoundTripper) http.RoundTripper { return transport{base} }

type transport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, s := otel.Tracer(scope).Start(req.Context(), req.Method, trace.WithSpanKind(trace.SpanKindClient))
	defer s.End()
	if !s.IsRecording() {
		return t.base.RoundTrip(req)
	}
	s.SetAttributes(attribute.String("http.request.method", req.Method), attribute.String("server.address", req.URL.Hostname()), attribute.String("url.path", req.URL.Path))
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		s.SetStatus(codes.Error, kindOf(err))
		s.SetAttributes(attribute.String("error.type", kindOf(err)))
	default:
		s.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
		if resp.StatusCode >= http.StatusBadRequest {
			s.SetStatus(codes.Error, http.StatusText(resp.StatusCode))
		}
	}
	return resp, err
}

// Handler records what is taken in at an address: dispatches and webhooks.
func Handler(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, s := otel.Tracer(scope).Start(req.Context(), req.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer))
		defer s.End()
		if !s.IsRecording() {
			next.ServeHTTP(w, req)
			return
		}
		code := &status{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(code, req.WithContext(ctx))
		s.SetAttributes(attribute.String("http.request.method", req.Method), attribute.String("http.route", route), attribute.Int("http.response.status_code", code.code))
		if code.code >= http.StatusInternalServerError {
			s.SetStatus(codes.Error, http.StatusText(code.code))
		}
	})
}

type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes the status.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
