package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// AuditLine is one line of the audit trail in JSON.
type AuditLine struct {
	ID         int64             `json:"id"`
	At         time.Time         `json:"at"`
	Who        string            `json:"who"`
	What       string            `json:"what"`
	Why        string            `json:"why,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
	Upgrade    string            `json:"upgrade"`
	Repository string            `json:"repository"`
	Service    string            `json:"service"`
	From       string            `json:"from"`
	To         string            `json:"to"`
}

// WriteAudit writes the trail as JSON lines. flush, which may be nil, is called
// every now and then, so that a reader sees it grow.
func WriteAudit(ctx context.Context, st *store.Store, f store.TrailFilter, w io.Writer, flush func()) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	n := 0
	return st.Trail(ctx, f, func(r store.Record) error {
		if n++; n%100 == 0 && flush != nil {
			flush()
		}
		return enc.Encode(auditLine(r))
	})
}

func auditLine(r store.Record) AuditLine {
	return AuditLine{ID: r.ID, At: r.At, Who: r.Who, What: r.What, Why: r.Why, Data: r.Data, Upgrade: r.Upgrade, Repository: r.Repository, Service: r.Service, From: r.From, To: r.To}
}

// auditPatience is how long one line of the trail may take to be taken.
const auditPatience = time.Minute

// audit answers GET /api/audit with the trail as JSON lines. It asks for the
// same token as a dispatch. A trail that breaks off in the middle is an answer
// that breaks off: whoever reads goes on after the last id.
func (s *Server) audit(w http.ResponseWriter, req *http.Request) {
	if !s.permitted(w, req) {
		return
	}
	q := req.URL.Query()
	f := store.TrailFilter{Repository: q.Get("repo"), Service: q.Get("service"), Upgrade: q.Get("upgrade")}
	if text := q.Get("after"); text != "" {
		var err error
		if f.After, err = strconv.ParseInt(text, 10, 64); err != nil {
			answer(w, http.StatusBadRequest, refusal{Error: "after is not the id of an event", Field: "after"})
			return
		}
	}
	var ok bool
	if f.Since, ok = sinceOf(w, req); !ok {
		return
	}
	s.lines(w, req, func() error {
		control := http.NewResponseController(w)
		return WriteAudit(req.Context(), s.opts.Store, f, w, func() {
			_ = control.Flush()
			_ = control.SetWriteDeadline(s.opts.Now().Add(auditPatience))
		})
	})
}

// sinceOf is the moment that a request asks about, zero for none. Whoever writes
// another thing is answered.
func sinceOf(w http.ResponseWriter, req *http.Request) (since time.Time, ok bool) {
	text := req.URL.Query().Get("since")
	if text == "" {
		return since, true
	}
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: "since is not a time such as 2026-03-04T05:06:07Z", Field: "since"})
	}
	return since, err == nil
}

// lines answers with JSON lines. One that breaks off in the middle is an answer
// that breaks off, or it would look like the end.
func (s *Server) lines(w http.ResponseWriter, req *http.Request, write func() error) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := write(); err != nil && req.Context().Err() == nil {
		s.opts.Log.Error("audit", "why", err)
		panic(http.ErrAbortHandler)
	}
}
