package traces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	res "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// exporter sends spans by OTLP over HTTP. OpenTelemetry's own exporter for HTTP
// is made of messages that bring gRPC along, five megabytes of it.
type exporter struct {
	url    string
	header http.Header
	client *http.Client
}

func newExporter(address string, headers ...string) (*exporter, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is not a URL: give one such as http://127.0.0.1:4318")
	}
	e := &exporter{url: address, header: http.Header{}, client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for _, list := range headers {
		for pair := range strings.SplitSeq(list, ",") {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				continue
			}
			if decoded, err := url.PathUnescape(value); err == nil {
				value = decoded
			}
			e.header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	e.header.Set("Content-Type", "application/x-protobuf")
	return e, nil
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	data, err := proto.Marshal(request(spans))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header = e.header.Clone()
	resp, err := e.client.Do(req)
	if err != nil {
		var frame *url.Error
		if errors.As(err, &frame) { // without the address, which may hold a password
			err = frame.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s answers %d to %d spans", req.URL.Host, resp.StatusCode, len(spans))
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (*exporter) Shutdown(context.Context) error { return nil }

// request is a batch of spans, all of this process, as OTLP has it.
func request(spans []sdk.ReadOnlySpan) *collector.ExportTraceServiceRequest {
	byScope := map[string]*otlp.ScopeSpans{}
	out := &otlp.ResourceSpans{}
	for _, s := range spans {
		name := s.InstrumentationScope().Name
		if byScope[name] == nil {
			byScope[name] = &otlp.ScopeSpans{Scope: &common.InstrumentationScope{Name: name}}
			out.ScopeSpans = append(out.ScopeSpans, byScope[name])
		}
		byScope[name].Spans = append(byScope[name].Spans, one(s))
		out.Resource = &res.Resource{Attributes: pairs(s.Resource().Attributes())}
	}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{out}}
}

func one(s sdk.ReadOnlySpan) *otlp.Span {
	id, span, parent := s.SpanContext().TraceID(), s.SpanContext().SpanID(), s.Parent()
	out := &otlp.Span{TraceId: id[:], SpanId: span[:], Name: s.Name(), Kind: kinds[s.SpanKind()],
		StartTimeUnixNano: uint64(s.StartTime().UnixNano()), EndTimeUnixNano: uint64(s.EndTime().UnixNano()),
		Attributes: pairs(s.Attributes()), DroppedAttributesCount: uint32(s.DroppedAttributes())}
	if parent.HasSpanID() {
		p := parent.SpanID()
		out.ParentSpanId = p[:]
	}
	switch st := s.Status(); st.Code {
	case codes.Error:
		out.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: st.Description}
	case codes.Ok:
		out.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_OK}
	case codes.Unset:
	}
	return out
}

var kinds = map[trace.SpanKind]otlp.Span_SpanKind{trace.SpanKindInternal: otlp.Span_SPAN_KIND_INTERNAL, trace.SpanKindServer: otlp.Span_SPAN_KIND_SERVER,
	trace.SpanKindClient: otlp.Span_SPAN_KIND_CLIENT, trace.SpanKindProducer: otlp.Span_SPAN_KIND_PRODUCER, trace.SpanKindConsumer: otlp.Span_SPAN_KIND_CONSUMER}

func pairs(list []attribute.KeyValue) []*common.KeyValue {
	var out []*common.KeyValue
	for _, a := range list {
		v := &common.AnyValue{}
		switch a.Value.Type() {
		case attribute.INT64:
			v.Value = &common.AnyValue_IntValue{IntValue: a.Value.AsInt64()}
		case attribute.BOOL:
			v.Value = &common.AnyValue_BoolValue{BoolValue: a.Value.AsBool()}
		default:
			v.Value = &common.AnyValue_StringValue{StringValue: a.Value.String()}
		}
		out = append(out, &common.KeyValue{Key: string(a.Key), Value: v})
	}
	return out
}
