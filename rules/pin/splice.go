package pin

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoDigest means that a pin carries a digest and the new one is not known.
// belay never writes a tag beside a stale digest.
var ErrNoDigest = errors.New("the pin carries a digest, and the new tag's is not known")

// Splices returns what has to change for the pin to stand at tag, and at
// digest where it carries one. It returns an error wrapping ErrNoDigest when
// the pin carries a digest and none is given, and an error when the new tag
// does not fit around the pin's prefix and suffix ("…:v${var.v}-cuda").
func (p Pin) Splices(tag, digest string) ([]Splice, error) {
	if p.Reason != Followed {
		return nil, fmt.Errorf("pin is not followed: %s", p.Reason)
	}
	text, ok := strings.CutPrefix(tag, p.Prefix)
	if !ok {
		return nil, fmt.Errorf("tag %q does not begin with %q, which stands outside the place that fixes the version", tag, p.Prefix)
	}
	text, ok = strings.CutSuffix(text, p.Suffix)
	if !ok || text == "" {
		return nil, fmt.Errorf("tag %q does not end with %q, which stands outside the place that fixes the version", tag, p.Suffix)
	}
	out := []Splice{{Span: p.Span, New: text, Shape: p.Shape}}
	if p.Digest == nil {
		return out, nil
	}
	if digest == "" {
		return nil, fmt.Errorf("%s: %w: send the digest with the dispatch, or let belay reach the registry", tag, ErrNoDigest)
	}
	return append(out, Splice{Span: *p.Digest, New: digest, Shape: p.Shape}), nil
}
