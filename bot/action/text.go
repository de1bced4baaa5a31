package action

import (
	"io"
	"sync"
)

// Plain is a writer for what a run prints, in which no text is a command of the
// runner's. The runner takes two forms for commands: ::name::data where a line
// begins with it, blanks aside, and ##[name]data wherever in a line it stands. A
// blank breaks either: ": :name::data", "## [name]data". Neither may be hidden by
// being written in parts, or by characters that the runner passes over when it
// compares, such as a soft hyphen.
func Plain(w io.Writer) io.Writer { return &text{w: w, begins: true} }

// Commands is Plain for a stream that holds commands of belay's own, one a line:
// what follows in the line is still no command in the other form.
func Commands(w io.Writer) io.Writer { return &text{w: w, begins: true, own: true} }

// text is one stream of a run.
type text struct {
	w   io.Writer
	own bool // lines may begin with ::

	mu     sync.Mutex
	begins bool // nothing that can be seen stands in the line yet
	hashes int  // that were written last
}

// Write implements io.Writer.
func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]byte, 0, len(p)+8)
	for _, b := range p {
		switch {
		case b == '\n' || b == '\r': // to the runner, both end a line
			t.begins, t.hashes = true, 0
		case b == ' ':
			t.hashes = 0
		case b < ' ' || b > '~': // may be passed over
		case b == '[' && t.hashes >= len("##"):
			out = append(out, ' ')
			t.begins, t.hashes = false, 0
		case b == '#':
			t.begins = false
			t.hashes++
		case b == ':' && t.begins && !t.own:
			out = append(out, b)
			b = ' '
			t.begins, t.hashes = false, 0
		default:
			t.begins, t.hashes = false, 0
		}
		out = append(out, b)
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
