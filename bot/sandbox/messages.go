package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Messages is a stand-in for the Messages API of Anthropic with one key and one
// long-lived token. What it is sent is held against the documented form:
// headers, required fields, roles, and the schema of the structured output. It
// answers what it is told to. See https://platform.claude.com/docs/en/api/messages.
type Messages struct {
	listener net.Listener
	server   *http.Server

	mu       sync.Mutex
	takes    []string // credentials: keys and tokens
	requests []MessageRequest
	used     []string // the credential of each request
	answer   func(MessageRequest) MessageAnswer
	report   func(error)
}

// MessageRequest is what was asked, as far as it matters here.
type MessageRequest struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens"`
	System    []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"system"`
	Messages []struct {
		Role    string `json:"role"`
		Content []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
	} `json:"messages"`
	OutputConfig struct {
		Format struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	} `json:"output_config"`
	Tools      json.RawMessage `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Raw        string          `json:"-"` // the whole body
}

// MessageAnswer is what the stand-in answers: a message of text, unless one of
// the other fields says otherwise.
type MessageAnswer struct {
	Text   string
	Stop   string           // stop_reason; "" is end_turn
	Blocks []map[string]any // content in place of Text
	Fault  *Fault           // an answer that is no message
	Wait   <-chan struct{}  // answer only after it is closed, or the request ended
}

// NewMessages starts a stand-in on a free port of loopback. It answers that all
// is well until Answer says otherwise. report takes what breaks the documented
// form; nil: it is only refused. Close ends it.
func NewMessages(report func(error)) (*Messages, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if report == nil {
		report = func(error) {}
	}
	m := &Messages{listener: l, report: report, takes: []string{"sk-ant-api03-" + rand.Text(), "sk-ant-oat01-" + rand.Text()},
		answer: func(MessageRequest) MessageAnswer {
			return MessageAnswer{Text: `{"risk":"safe","summary":["Nothing that needs work."],"findings":[]}`}
		}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", m.message)
	mux.HandleFunc("GET /v1/models", m.models)
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.server.Serve(l) }()
	return m, nil
}

// Close ends the stand-in.
func (m *Messages) Close() error { return m.server.Close() }

// URL is the base address.
func (m *Messages) URL() string { return "http://" + m.listener.Addr().String() }

// Key is the API key that is taken.
func (m *Messages) Key() string { return m.takes[0] }

// Token is the OAuth token that is taken.
func (m *Messages) Token() string { return m.takes[1] }

// Revoke has the stand-in refuse a credential from now on.
func (m *Messages) Revoke(credential string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takes = slices.Clone(m.takes)
	for i, c := range m.takes {
		if c == credential {
			m.takes[i] = "revoked-" + rand.Text()
		}
	}
}

// Answer has f answer from now on.
func (m *Messages) Answer(f func(MessageRequest) MessageAnswer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = f
}

// Requests are the messages asked for so far, those that were refused too.
func (m *Messages) Requests() []MessageRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// Used are the credentials of the requests so far.
func (m *Messages) Used() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.used)
}

// refuse answers an error in the API's form.
func (m *Messages) refuse(w http.ResponseWriter, code int, kind, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": text}, "request_id": "req_" + rand.Text()})
}

// credential is what a request carries, and whether it is taken. A token asks
// for a beta header besides.
func (m *Messages) credential(r *http.Request) (string, bool) {
	key := r.Header.Get("X-Api-Key")
	token, isToken := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	m.mu.Lock()
	defer m.mu.Unlock()
	if isToken && key == "" {
		return token, token == m.takes[1] && strings.Contains(r.Header.Get("Anthropic-Beta"), "oauth-2025-04-20")
	}
	return key, key != "" && !isToken && key == m.takes[0]
}

func (m *Messages) models(w http.ResponseWriter, r *http.Request) {
	if _, ok := m.credential(r); !ok {
		m.refuse(w, http.StatusUnauthorized, "authentication_error", "invalid x-api-key")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"data":[],"has_more":false,"first_id":null,"last_id":null}`)
}

func (m *Messages) message(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err != nil {
		return
	}
	var req MessageRequest
	form := json.Unmarshal(data, &req)
	req.Raw = string(data)
	credential, ok := m.credential(r)
	m.mu.Lock()
	m.requests, m.used = append(m.requests, req), append(m.used, credential)
	answer := m.answer
	m.mu.Unlock()
	if form == nil {
		form = documented(r, req)
	}
	if form != nil {
		m.report(form)
		m.refuse(w, http.StatusBadRequest, "invalid_request_error", form.Error())
		return
	}
	if !ok {
		m.refuse(w, http.StatusUnauthorized, "authentication_error", "invalid x-api-key")
		return
	}
	m.reply(w, r, req, answer(req))
}

func (m *Messages) reply(w http.ResponseWriter, r *http.Request, req MessageRequest, a MessageAnswer) {
	if a.Wait != nil {
		select {
		case <-a.Wait:
		case <-r.Context().Done():
			return
		}
	}
	if f := a.Fault; f != nil {
		if f.Reset {
			panic(http.ErrAbortHandler)
		}
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return
	}
	if a.Stop == "" {
		a.Stop = "end_turn"
	}
	if a.Blocks == nil {
		a.Blocks = []map[string]any{{"type": "text", "text": a.Text}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"id": "msg_" + rand.Text(), "type": "message", "role": "assistant", "model": req.Model, "content": a.Blocks,
		"stop_reason": a.Stop, "stop_sequence": nil, "usage": map[string]any{"input_tokens": len(req.Raw) / 4, "output_tokens": max(1, len(a.Text)/4)}})
}

// documented holds a request against the documented form.
func documented(r *http.Request, req MessageRequest) error {
	switch {
	case r.Header.Get("Anthropic-Version") != "2023-06-01":
		return fmt.Errorf("anthropic-version: %q", r.Header.Get("Anthropic-Version"))
	case r.Header.Get("Content-Type") != "application/json":
		return fmt.Errorf("content-type: %q", r.Header.Get("Content-Type"))
	case req.Model == "":
		return fmt.Errorf("model: field required")
	case req.MaxTokens < 1:
		return fmt.Errorf("max_tokens: at least 1")
	case len(req.Messages) == 0 || req.Messages[0].Role != "user":
		return fmt.Errorf("messages: first message must use the user role")
	}
	for i, msg := range req.Messages {
		if msg.Role != "user" && msg.Role != "assistant" || len(msg.Content) == 0 {
			return fmt.Errorf("messages.%d: role %q, %d blocks", i, msg.Role, len(msg.Content))
		}
		for _, b := range msg.Content {
			if b.Type != "text" || b.Text == "" {
				return fmt.Errorf("messages.%d.content: text content blocks must be non-empty", i)
			}
		}
	}
	if f := req.OutputConfig.Format; f.Type != "" {
		if f.Type != "json_schema" {
			return fmt.Errorf("output_config.format.type: %q", f.Type)
		}
		return strict("output_config.format.schema", f.Schema)
	}
	return nil
}

// strict holds a schema to what structured outputs take: every object lists its
// properties as the only ones.
func strict(at string, schema json.RawMessage) error {
	var s struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
		Additional *bool                      `json:"additionalProperties"`
		Items      json.RawMessage            `json:"items"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	switch s.Type {
	case "object":
		if s.Additional == nil || *s.Additional {
			return fmt.Errorf("%s: additionalProperties must be false", at)
		}
		for name, p := range s.Properties {
			if err := strict(at+"."+name, p); err != nil {
				return err
			}
		}
	case "array":
		return strict(at+".items", s.Items)
	case "string", "number", "integer", "boolean", "null":
	default:
		return fmt.Errorf("%s: type %q", at, s.Type)
	}
	return nil
}
