// Package advice is what an optional adviser, a language model, may say about an
// upgrade: what it is asked, and what of its answer is kept.
//
// In go the release notes and the names of a service's settings; out come the
// text to send, and from the answer an Advice of which every part was held
// against what was asked. It talks to nobody. How advice and rules go together
// is decided by rules/risk: the adviser may raise the risk and never lower it.
// Neither the notes nor the answer are trusted. See SPEC sections 7, 16 and 17.
package advice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/risk"
)

// Question is what an adviser is asked about one upgrade. It holds no value of
// any setting, and nothing that names the repository or its owner.
type Question struct {
	Images   []string // names of images, or of the chart
	From, To string
	Releases []notes.Release // between, oldest first
	Settings []string        // names of the service's settings, never their values
}

// Advice is what is left of an answer after it was held against the question.
type Advice struct {
	Level    risk.Level // Safe or Caution
	Summary  []string   // sentences
	Findings []Finding
	Dropped  int    // parts of the answer that named what is not there, or may not be shown
	Cut      bool   // the notes were longer than what was sent
	Model    string // who said it
}

// Finding is one thing that may concern the service.
type Finding struct {
	Version  string     // tag of a release that was asked about
	Quote    string     // passage of that release's notes, word for word
	Text     string     // what it means, in the adviser's words
	Settings []string   // names that occur in the notes or among the service's settings
	Uses     []risk.Use `json:"-"` // where they stand in the service's files, looked up by belay and not the adviser's word
}

// Outcome is what came of asking: advice, or the reason why there is none.
type Outcome struct {
	Advice  *Advice
	Problem string // "" when there is advice, or when nobody was to be asked
}

// Raised is what an assessment becomes with what came of asking.
func Raised(a risk.Assessment, o Outcome) risk.Assessment {
	if o.Advice == nil {
		return a
	}
	return a.Advised(o.Advice.Level, "the adviser, a language model, asks for a look at it")
}

// Silent says why there is no use in asking, or "".
func (q Question) Silent() string {
	if !slices.ContainsFunc(q.Releases, func(r notes.Release) bool { return strings.TrimSpace(r.Body) != "" }) {
		return "there are no release notes to read"
	}
	return ""
}

// Key names a question put to a model: the same one need not be asked twice. It
// holds for one version of the prompt, one set of notes, and one set of settings.
func (q Question) Key(model string) string {
	return digest(struct {
		Version int
		Model   string
		Q       Question
	}{promptVersion, model, q})
}

// Subject names what a question is about, whatever the settings and whichever
// model: an earlier answer to it is better than none.
func (q Question) Subject() string {
	return digest(struct {
		Images   []string
		From, To string
	}{q.Images, q.From, q.To})
}

func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data always marshals
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:32]
}
