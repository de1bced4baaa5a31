package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
)

// Marker is the machine-readable record of an upgrade that stands at the end
// of a pull request's body. See SPEC sections 2 and 16.
type Marker struct {
	Format    int      `json:"format"` // of the marker itself; 1
	Service   string   `json:"service"`
	Directory string   `json:"directory"`
	Also      []string `json:"also,omitempty"` // services that move along
	Images    []string `json:"images,omitempty"`
	Chart     string   `json:"chart,omitempty"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	Steps     []string `json:"steps,omitempty"`
	// Ladder is the way of which this is a step. What people agreed to is not in
	// it: whoever may edit a pull request could write that. Why it stopped is.
	Ladder *ladder.Ladder `json:"ladder,omitempty"`
	Edits  string         `json:"edits"`            // hash of the changed lines
	Branch string         `json:"branch,omitempty"` // of the pull request that it stands in; "" of earlier versions of belay

	Owner string `json:"owner,omitempty"` // who acts on it: "" for the App, "action" for the Action
	Over  string `json:"over,omitempty"`  // the state in which the upgrade ended
	Why   string `json:"why,omitempty"`   // of Over, where the version is left out from then on

	Ignores []string `json:"ignores,omitempty"` // of Over: kinds of bump that are left out, too: major, minor

	Undoes int        `json:"undoes,omitempty"` // of a revert or fix: the upgrade's pull request
	Moves  []pin.Move `json:"moves,omitempty"`  // what the upgrade changed
	Fix    bool       `json:"fix,omitempty"`    // it mends instead of undoing
	Data   bool       `json:"data,omitempty"`   // the version may migrate data
	Blind  bool       `json:"blind,omitempty"`  // of a revert: nobody knows what was unhealthy before the merge
}

// ErrNoMarker means that a body does not end with a marker that can be read.
var ErrNoMarker = errors.New("no marker at the end of the pull request's body")

// markerLine matches the marker's line. Its payload is base64url, so that
// neither "--" with ">" nor anything else can end the comment early.
var markerLine = regexp.MustCompile(`^<!-- belay:marker:v1 ([A-Za-z0-9_=-]+) -->$`)

// MarkerOf is the marker of an upgrade.
func MarkerOf(u plan.Upgrade) Marker {
	h := sha256.New()
	for _, e := range u.Edits {
		fmt.Fprintf(h, "%s\x00%d\x00%s\x00%s\n", e.Path, e.Line, e.Before, e.After)
	}
	return Marker{Format: 1, Service: u.Service, Directory: u.Directory, Also: u.Also, Images: u.Images, Chart: u.Chart,
		From: u.From, To: u.To, Steps: u.Steps, Ladder: MarkerLadder(u.Ladder), Edits: hex.EncodeToString(h.Sum(nil))[:16]}
}

// maxWhy is how much of a reason stands in a marker, in bytes.
const maxWhy = 300

// MarkerWhy is a reason as it stands in a marker: one line, cut where it is long.
func MarkerWhy(why string) string {
	why = strings.Join(strings.Fields(why), " ")
	if len(why) <= maxWhy {
		return why
	}
	return strings.ToValidUTF8(why[:maxWhy], "") + "…"
}

// room is how many characters a marker may grow by once the pull request is
// there: whoever acts adds the branch and the moves, and in the end how it ended.
func room(u plan.Upgrade) int {
	m := MarkerOf(u)
	was := length(m.String())
	m.Owner, m.Branch, m.Moves, m.Data = "action", strings.Repeat("b", 300), u.Moves, true
	m.Over, m.Why, m.Ignores = "not deployed", strings.Repeat("<", maxWhy+1), []string{"major", "minor"} // "<" is six bytes in JSON
	if m.Ladder != nil {
		m.Ladder.Stopped = strings.Repeat("s", 300)
	}
	return length(m.String()) - was
}

// MarkerLadder is a ladder as it stands in a marker.
func MarkerLadder(l *ladder.Ladder) *ladder.Ladder {
	if l == nil {
		return nil
	}
	out := *l
	out.All, out.Asked, out.Next, out.Anew = nil, nil, "", false
	return &out
}

// String is the comment that stands in the body.
func (m Marker) String() string {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings always marshal
	}
	return "<!-- belay:marker:v1 " + base64.URLEncoding.EncodeToString(data) + " -->"
}

// MarkerIn reads the marker of the pull request of a branch. One that was copied
// there from another pull request is not believed.
func MarkerIn(body, branch string) (Marker, error) {
	m, err := ParseMarker(body)
	if err == nil && m.Branch != "" && m.Branch != branch {
		return Marker{}, fmt.Errorf("%w: it is that of branch %s, copied to %s", ErrNoMarker, m.Branch, branch)
	}
	return m, err
}

// ParseMarker reads the marker of a body. Only the body's last line counts:
// what upstream or a person wrote further up is never one.
func ParseMarker(body string) (Marker, error) {
	match := markerLine.FindStringSubmatch(lastLine(body))
	if match == nil {
		return Marker{}, ErrNoMarker
	}
	data, err := base64.URLEncoding.DecodeString(match[1])
	if err != nil {
		return Marker{}, fmt.Errorf("%w: %w", ErrNoMarker, err)
	}
	var m Marker
	if err := json.Unmarshal(data, &m); err != nil {
		return Marker{}, fmt.Errorf("%w: %w", ErrNoMarker, err)
	}
	if m.Format != 1 || m.Service == "" || m.To == "" {
		return Marker{}, fmt.Errorf("%w: format %d is not one that this version reads", ErrNoMarker, m.Format)
	}
	return m, nil
}
