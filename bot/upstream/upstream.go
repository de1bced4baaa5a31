// Package upstream asks the outside about an image or chart: its source
// repository, its releases and changelog, its labels and digests, the versions of
// a chart. Answers are cached on disk with their ETags.
//
// It never guesses: what cannot be found is ErrNotFound, and what cannot be
// asked (no network, rate limit) is another error, without the passwords that an
// address may have. See SPEC section 6.
package upstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/belaybot/belay/rules/notes"
)

// ErrNotFound means that the outside was asked and has no such thing.
var ErrNotFound = errors.New("not found upstream")

// ErrRefused means that the outside was asked and does not let belay see it: it
// wants another credential, or none would do. A used-up rate limit is none.
var ErrRefused = errors.New("refused")

// Lasting reports whether an error is an answer that does not pass by itself:
// not there, or refused. What else goes wrong may be well in a moment.
func Lasting(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrRefused) }

// ErrOffline means that an answer is not in the cache and the network may not be used.
var ErrOffline = errors.New("not in the cache, and --offline is set")

// RateLimited is returned when the API's limit is used up beyond the time that may be waited.
type RateLimited struct {
	Until time.Time
	Host  string
}

// Error says until when.
func (e *RateLimited) Error() string {
	return fmt.Sprintf("%s: rate limit used up until %s: set GITHUB_TOKEN, or wait longer with --wait", e.Host, e.Until.Format(time.RFC3339))
}

// Notes are the releases of a source repository, as found.
type Notes struct {
	Repository string          // "owner/name"
	URL        string          // web address of the repository
	From       string          // "GitHub releases", "CHANGELOG.md", or "" when there are none
	Releases   []notes.Release // every one between the versions asked for, oldest first
	Missing    []string        // tags between the versions that have no notes
}

// ChartVersion is one version of a Helm chart.
type ChartVersion struct {
	Version    string
	AppVersion string
	Sources    []string // Chart.yaml sources
	Home       string
	Deprecated bool
}

// ChartImage is an image that a chart version ships.
type ChartImage struct {
	Name string // familiar or fully qualified, without tag
	Tag  string // "" means the chart's appVersion
}
