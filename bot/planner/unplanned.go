package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/plan"
)

// Unplanned is the error of Plan where some services could not be planned. The
// result beside it has the others.
type Unplanned struct{ Stuck []Stuck }

// Stuck is a service that could not be planned, with the place and why.
type Stuck struct {
	Service string // "": it is not known whether any service uses the image
	Path    string
	Line    int
	Err     error // what is missing, and the way out
}

// Lasting reports whether planning again would come to the same.
func (s Stuck) Lasting() bool {
	var unasked *unaskedError
	if errors.As(s.Err, &unasked) {
		return unasked.lasting()
	}
	var edit *editError
	return upstream.Lasting(s.Err) || errors.As(s.Err, &edit)
}

// Error names each service with its place and why.
func (u *Unplanned) Error() string {
	var out []string
	for _, s := range u.Stuck {
		text := s.Err.Error()
		if s.Path != "" {
			text = fmt.Sprintf("%s:%d: %s", s.Path, s.Line, text)
		}
		if s.Service != "" {
			text = fmt.Sprintf("service %s: %s", s.Service, text)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// Unwrap is for errors.Is and errors.As.
func (u *Unplanned) Unwrap() []error {
	var out []error
	for _, s := range u.Stuck {
		out = append(out, s.Err)
	}
	return out
}

// About is what of an error of Plan concerns one service: nil where only others
// could not be planned.
func About(err error, service string) error {
	var all *Unplanned
	if !errors.As(err, &all) {
		return err
	}
	var own Unplanned
	for _, s := range all.Stuck {
		if s.Service == "" || s.Service == service {
			own.Stuck = append(own.Stuck, s)
		}
	}
	if len(own.Stuck) == 0 {
		return nil
	}
	return &own
}

// Settle makes what will not change by asking again part of the result, as pins
// that stay and why. What may pass is left in the error.
func (r Result) Settle(err error) (Result, error) {
	var all *Unplanned
	if !errors.As(err, &all) {
		return r, err
	}
	var left Unplanned
	r.Skipped = slices.Clone(r.Skipped)
	for _, s := range all.Stuck {
		switch {
		case !s.Lasting():
			left.Stuck = append(left.Stuck, s)
		case s.Service == "":
			r.Refused = s.Err.Error()
		default:
			r.Skipped = append(r.Skipped, plan.Skipped{Service: s.Service, Path: s.Path, Line: s.Line, Reason: s.Err.Error()})
		}
	}
	if len(left.Stuck) == 0 {
		return r, nil
	}
	return r, &left
}

// noDigest is why a pin with a digest cannot be planned.
func noDigest(d plan.Dispatch, err error) error {
	what := d.Image.Familiar() + ":" + d.Tag
	switch {
	case errors.Is(err, upstream.ErrNotFound):
		return fmt.Errorf("the pin carries a digest, and the registry has no %s: send the dispatch again when it is there (%w)", what, err)
	case errors.Is(err, upstream.ErrRefused):
		return fmt.Errorf("the pin carries a digest, and the registry does not show %s to belay: give belay the registry's credentials (docker login), or a dispatch with the digest, and send it again (%w)", what, err)
	}
	return fmt.Errorf("the pin carries a digest, and the registry could not be asked for that of %s: %w", what, err)
}

// editError is an edit that cannot be made on these files, whoever asks again.
type editError struct{ error }

// Unwrap is for errors.Is.
func (e *editError) Unwrap() error { return e.error }

// unasked is a chart that could not be asked which images it ships.
type unasked struct {
	chart string
	err   error
}

// unaskedError is charts that could not be asked about an image that is pinned
// nowhere directly.
type unaskedError struct {
	ref    image.Ref
	charts []unasked
}

// lasting reports whether each has answered, and refused.
func (e *unaskedError) lasting() bool {
	return !slices.ContainsFunc(e.charts, func(u unasked) bool { return !upstream.Lasting(u.err) })
}

// Error names the charts.
func (e *unaskedError) Error() string {
	var texts []string
	for _, u := range e.charts {
		texts = append(texts, fmt.Sprintf("chart %s: %v", u.chart, u.err))
	}
	out := fmt.Sprintf("image %s is not used here as far as can be seen; these charts could not be asked whether they ship it: %s", e.ref.Familiar(), some(texts))
	if e.lasting() {
		out += ": if one does, give belay access to its repository and send the dispatch again"
	}
	return out
}

// Unwrap is for errors.Is and errors.As.
func (e *unaskedError) Unwrap() []error {
	var out []error
	for _, u := range e.charts {
		out = append(out, u.err)
	}
	return out
}

// some joins texts, each once, and no more of them than a person reads.
func some(texts []string) string {
	const most = 2
	texts = slices.Compact(slices.Sorted(slices.Values(texts)))
	if left := len(texts) - most; left > 0 {
		texts = append(texts[:most:most], fmt.Sprintf("and %d more", left))
	}
	return strings.Join(texts, "; ")
}
