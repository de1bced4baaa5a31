package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// FreezeLine is a freeze in the audit trail, as one line of JSON.
type FreezeLine struct {
	Repository string    `json:"repository"` // "" is every repository
	Who        string    `json:"who"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
	Ended      time.Time `json:"ended,omitzero"` // left out while it lasts
	EndedBy    string    `json:"ended_by,omitempty"`
}

// WriteFreezes writes the freezes that there were as JSON lines, oldest first: of
// a repository, which those of every repository concern, too, and that lasted at
// or after a moment. "" and zero are all.
func WriteFreezes(ctx context.Context, st *store.Store, repository string, since time.Time, w io.Writer) error {
	all, err := st.AllFreezes(ctx)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range all {
		if repository != "" && f.Repository != "" && !strings.EqualFold(f.Repository, repository) || !f.Ended.IsZero() && f.Ended.Before(since) {
			continue
		}
		if err := enc.Encode(FreezeLine(f)); err != nil {
			return err
		}
	}
	return nil
}

// auditFreezes answers GET /api/audit/freezes.
func (s *Server) auditFreezes(w http.ResponseWriter, req *http.Request) {
	if !s.permitted(w, req) {
		return
	}
	since, ok := sinceOf(w, req)
	if !ok {
		return
	}
	s.lines(w, req, func() error { return WriteFreezes(req.Context(), s.opts.Store, req.URL.Query().Get("repo"), since, w) })
}
