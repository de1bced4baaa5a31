package server

import (
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/belaybot/belay/bot/reconcile"
)

// FreezeRequest is the body of POST /api/freeze and /api/thaw.
type FreezeRequest struct {
	Repository string `json:"repository,omitempty"` // "owner/name"; "" is every one
	Who        string `json:"who"`
	Reason     string `json:"reason,omitempty"`
}

// Frozen is the answer to both.
type Frozen struct {
	Repository string `json:"repository,omitempty"`
	Was        bool   `json:"was"` // of a thaw: it was frozen
}

// maxSaid is how long a name or a reason may be in bytes.
const maxSaid = 500

// freeze stops all opening and merging in a repository. It asks for the same
// token as a dispatch; who is what the caller says.
func (s *Server) freeze(w http.ResponseWriter, req *http.Request) {
	f, ok := s.freezeRequest(w, req)
	if !ok {
		return
	}
	if err := s.opts.Freezer.Freeze(req.Context(), f.Repository, f.Who, f.Reason); err != nil {
		s.freezeFailed(w, f, err)
		return
	}
	answer(w, http.StatusOK, Frozen{Repository: f.Repository})
}

func (s *Server) thaw(w http.ResponseWriter, req *http.Request) {
	f, ok := s.freezeRequest(w, req)
	if !ok {
		return
	}
	was, err := s.opts.Freezer.Thaw(req.Context(), f.Repository, f.Who)
	if err != nil {
		s.freezeFailed(w, f, err)
		return
	}
	answer(w, http.StatusOK, Frozen{Repository: f.Repository, Was: was})
}

func (s *Server) freezeRequest(w http.ResponseWriter, req *http.Request) (f FreezeRequest, ok bool) {
	if !s.permitted(w, req) {
		return f, false
	}
	if s.opts.Freezer == nil {
		answer(w, http.StatusNotImplemented, refusal{Error: "nothing can be frozen here"})
		return f, false
	}
	if !read(w, req, 64<<10, `{"who": …, "reason": …, "repository": …}`, &f) {
		return f, false
	}
	f.Who, f.Reason, f.Repository = line(f.Who), line(f.Reason), strings.TrimSpace(f.Repository)
	if f.Who == "" {
		answer(w, http.StatusBadRequest, refusal{Error: "missing: say who asks for it", Field: "who"})
		return f, false
	}
	return f, true
}

func (s *Server) freezeFailed(w http.ResponseWriter, f FreezeRequest, err error) {
	var unknown *reconcile.UnknownRepositoryError
	if errors.As(err, &unknown) {
		answer(w, http.StatusBadRequest, refusal{Error: err.Error(), Field: "repository"})
		return
	}
	s.opts.Log.Error("freeze", "repo", f.Repository, "why", err)
	answer(w, http.StatusServiceUnavailable, refusal{Error: "the state cannot be written now; try again"})
}

// line is what somebody said, as one line of bounded length.
func line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + "…"
	}
	return s
}
