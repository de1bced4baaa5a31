package policy

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfig is the largest configuration in bytes that is read.
const maxConfig = 1 << 20

// PositionError is a problem of a configuration with its place.
type PositionError struct {
	File         string
	Line, Column int // from 1; 0 when the file as a whole is meant
	Text         string
}

// Error is "belay.yml:3:5: unknown key …".
func (e *PositionError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// Parse reads belay.yml. name is used in errors ("belay.yml:3:5: …"). The
// error joins a *PositionError for every problem found.
func Parse(name string, data []byte) (Policy, error) {
	p := Default()
	if len(data) > maxConfig {
		return p, &PositionError{File: name, Text: fmt.Sprintf("larger than %d bytes", maxConfig)}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return p, nil // empty, or comments only
	} else if err != nil {
		return p, syntaxError(name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return p, &PositionError{File: name, Text: "more than one YAML document: keep one"}
	}
	r := &reader{file: name, policy: &p}
	if root := doc.Content[0]; root.Tag != "!!null" {
		r.check(root, form, "")
		if len(r.errs) == 0 {
			r.decode(root)
		}
	}
	return p, errors.Join(r.errs...)
}

// yamlLine finds the line in yaml.v3's messages: "yaml: line 3: did not find expected key".
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func syntaxError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &PositionError{File: name, Text: "not YAML: " + text}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, e.Text = 1, "not YAML: "+m[2]
	}
	if strings.Contains(text, "cannot start any token") {
		e.Text += " (indent with spaces, not tabs)"
	}
	return e
}

// reader checks a document against the form and then decodes it.
type reader struct {
	file   string
	policy *Policy
	errs   []error
	nodes  int
}

// maxNodes bounds what aliases can expand to.
const maxNodes = 50_000

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.errs) < 50 { // nobody reads more, and a broken file makes thousands
		r.errs = append(r.errs, &PositionError{File: r.file, Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
	}
}
