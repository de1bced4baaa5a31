// Package credentials keeps an eye on the secrets that belay was given: does
// each still work, and when does it end?
//
// In go the secrets as functions and what the services answered when they were
// used; out comes a list that the page, the doctor and the metrics show alike.
// A secret itself is never part of what comes out. What an end means is decided
// by rules/credential. See SPEC sections 16 and 17.
package credentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/rules/credential"
)

// Kept is one secret to keep an eye on.
type Kept struct {
	// Name is the label that people see: the variable's name in lower case
	// without BELAY_, such as "adviser_token".
	Name string
	// Read reads the secret; "" says that it is not configured, and it is then
	// not listed.
	Read func() (string, error)
	// Minted and Lifetime read when it was made and how long it lives, as
	// configured; nil or "" says nothing.
	Minted, Lifetime func() (string, error)
	// Ask asks whom the secret is for whether it is good. Without it, being read
	// is being seen, and it is listed only where its end is known.
	Ask func(ctx context.Context, secret string) (Answer, error)
	// Spare says that it is used when another of its kind is refused.
	Spare bool
}

// Answer is what a service says about a credential that it takes.
type Answer struct {
	Expires time.Time // zero: it does not say
}

// ErrRefused is wrapped by an Ask whose service does not take the credential.
var ErrRefused = errors.New("the credential is refused")

// Registry holds what is known. It may be used by several goroutines. Use New
// to make one; the methods of a nil one do nothing.
type Registry struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	kept  []*state
	index map[string]*state
}

// state is what was found out about one secret. It belongs to the secret with
// this sum: another one, put in its place, begins anew.
type state struct {
	Kept
	sum     [sha256.Size]byte
	seen    time.Time
	expires time.Time // what the service said
	refused bool
	problem string
	last    credential.State // what was logged last
}

// New makes a Registry. A nil clock is the real one, a nil log the default.
func New(now func() time.Time, log *slog.Logger) *Registry {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.Default()
	}
	return &Registry{now: now, log: log, index: map[string]*state{}}
}

// Keep adds a secret. The same name again replaces it.
func (r *Registry) Keep(k Kept) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.index[k.Name]; old != nil {
		*old = state{Kept: k}
		return
	}
	s := &state{Kept: k}
	r.kept, r.index[k.Name] = append(r.kept, s), s
}

// Worked records that a credential was taken just now. A zero end says nothing
// about it.
func (r *Registry) Worked(name string, expires time.Time) {
	r.record(name, func(s *state) {
		s.seen, s.refused, s.problem = r.now(), false, ""
		if !expires.IsZero() {
			s.expires = expires
		}
	})
}

// Refused records that a credential was not taken, with the reason for people:
// which service answered what, never the secret.
func (r *Registry) Refused(name, problem string) {
	r.record(name, func(s *state) { s.refused, s.problem = true, problem })
}

// record changes what is known of the secret that is configured now.
func (r *Registry) record(name string, change func(*state)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.index[name]
	if s == nil {
		return
	}
	if secret, err := s.Read(); err == nil {
		s.is(secret)
	}
	change(s)
	r.say(s)
}

// is forgets what was known of another secret.
func (s *state) is(secret string) {
	if sum := sha256.Sum256([]byte(secret)); sum != s.sum {
		*s = state{Kept: s.Kept, sum: sum}
	}
}

// say logs a change that somebody has to know of, once.
func (r *Registry) say(s *state) {
	c, ok := r.view(s)
	if !ok {
		return
	}
	now := r.now()
	is := c.State(now)
	before := s.last
	s.last = is
	if is == before || is == credential.Never { // before it was asked, nobody can know
		return
	}
	switch is {
	case credential.OK:
		if before != "" && before != credential.Never {
			r.log.Info("a credential works again", "credential", s.Name)
		}
	case credential.Refused, credential.Expired, credential.Critical:
		r.log.Error("a credential needs you", "credential", s.Name, "state", string(is), "what", c.Line(now))
	default:
		r.log.Warn("a credential needs you soon", "credential", s.Name, "state", string(is), "what", c.Line(now))
	}
}

// view is what is known of one secret. ok is false for one that is not
// configured, or of which there is nothing to say.
func (r *Registry) view(s *state) (credential.Credential, bool) {
	secret, err := s.Read()
	out := credential.Credential{Name: s.Name, Spare: s.Spare}
	if err != nil { // a file that is named and cannot be read
		out.Problem = err.Error()
		out.SeenAt = s.seen
		return out, true
	}
	if secret = strings.TrimSpace(secret); secret == "" {
		return out, false
	}
	s.is(secret)
	known := credential.Known{Secret: secret}
	for _, part := range []struct {
		into *string
		read func() (string, error)
	}{{&known.Minted, s.Minted}, {&known.Lifetime, s.Lifetime}} {
		if part.read == nil {
			continue
		}
		var problem error
		*part.into, problem = part.read()
		err = errors.Join(err, problem)
	}
	if err == nil {
		out.Expires, out.Source, err = credential.Expiry(known)
	}
	if !s.expires.IsZero() { // the service knows best
		out.Expires, out.Source = s.expires, credential.SourceHeader
	}
	out.SeenAt, out.Refused, out.Problem = s.seen, s.refused, s.problem
	if err != nil && out.Problem == "" {
		out.Problem = err.Error()
	}
	if s.Ask == nil {
		out.SeenAt = r.now()
		return out, !out.Expires.IsZero() || out.Problem != ""
	}
	return out, true
}

// List is what is known of every configured credential, in the order of Keep.
func (r *Registry) List() []credential.Credential {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []credential.Credential
	for _, s := range r.kept {
		if c, ok := r.view(s); ok {
			out = append(out, c)
		}
	}
	return out
}

// Look asks whom the credentials are for. Not reaching somebody is no error: it
// is said of the credential, which becomes stale by and by. The error is the
// context's.
func (r *Registry) Look(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	kept := slices.Clone(r.kept)
	r.mu.Unlock()
	for _, s := range kept {
		secret, err := s.Read()
		if secret = strings.TrimSpace(secret); err != nil || secret == "" || s.Ask == nil {
			r.record(s.Name, func(*state) {})
			continue
		}
		answer, err := s.Ask(ctx, secret)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			r.Worked(s.Name, answer.Expires)
		case errors.Is(err, ErrRefused):
			r.Refused(s.Name, err.Error())
		default:
			r.record(s.Name, func(s *state) { s.problem = err.Error() })
		}
	}
	return nil
}
