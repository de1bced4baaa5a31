package terraform

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// maxWhole is the size in bytes up to which a template is parsed as a whole. The
// parser joins the lines of its text one by one, which costs the square of their number.
const maxWhole = 256 << 10

// templateFile renders a template with its own variables. Text that stands in
// the template keeps its place there.
func (s *scope) templateFile(name, vars *value) *value {
	f, p := s.readPath(name)
	if f == nil {
		return unknown(pin.Computed, fmt.Sprintf("file %q is not in the repository", p))
	}
	if nesting(f.src) > maxNesting {
		return unknown(pin.Computed, fmt.Sprintf("file %q is nested too deeply", p))
	}
	inner := &scope{inst: s.inst, template: true, vars: map[string]*value{}}
	for _, v := range uniqueFields(vars.fields) {
		inner.vars[v.key] = v.val
	}
	// Taken apart, since the parser joins the lines of a text one by one.
	if v, ok := inner.pieces(f); ok {
		return v
	}
	if len(f.src) > maxWhole {
		return unknown(pin.Computed, fmt.Sprintf("file %q is too large a template", p))
	}
	if v, ok := inner.piece(f, f.src, 0); ok {
		return v
	}
	// A template for another program: its own text is still text.
	return s.fileText(name)
}

// pieces renders a template by its sequences, each interpolation and each loop or
// condition parsed on its own between the text around them. ok is false for a
// template that cannot be taken apart so.
func (s *scope) pieces(f *file) (v *value, ok bool) {
	var out []*value
	plain := func(from, to int) {
		if to > from {
			out = append(out, &value{kind: kindString, parts: []part{{text: string(f.src[from:to]), path: f.path, start: from, shape: pin.ShapeLiteral}}})
		}
	}
	at := 0
	for {
		i := nextSequence(f.src, at)
		if i < 0 {
			break
		}
		if i > at && f.src[i-1] == f.src[i] { // "$${" stands for "${"
			plain(at, i-1)
			plain(i, i+2)
			at = i + 2
			continue
		}
		from, end := i, sequenceEnd(f.src, i)
		if end < 0 {
			return nil, false
		}
		// A "~" trims the text beside it as far as its line goes.
		if f.src[i+2] == '~' {
			from = bytes.LastIndexByte(f.src[:i], '\n') + 1
		}
		for end > 0 && f.src[end-2] == '~' {
			line := len(f.src)
			if n := bytes.IndexByte(f.src[end:], '\n'); n >= 0 {
				line = end + n + 1
			}
			next := nextSequence(f.src[:line], end)
			if next < 0 {
				end = line
				break
			}
			end = sequenceEnd(f.src, next)
		}
		if end < 0 || from < at {
			return nil, false
		}
		x, ok := s.piece(f, f.src[from:end], from)
		if !ok {
			return nil, false
		}
		plain(at, from)
		out = append(out, x)
		at = end
	}
	plain(at, len(f.src))
	return concat(out...), true
}

// nextSequence finds the next "${" or "%{", -1 for none.
func nextSequence(src []byte, at int) int {
	for i := at; ; i++ {
		n := bytes.IndexByte(src[i:], '{')
		if n < 0 {
			return -1
		}
		if i += n; i > at && (src[i-1] == '$' || src[i-1] == '%') {
			return i - 1
		}
	}
}

// sequenceEnd is the end of the interpolation or of the whole loop or condition
// that begins at a byte, -1 for none.
func sequenceEnd(src []byte, start int) int {
	if src[start] == '$' {
		return interpolationEnd(src, start)
	}
	depth := 0
	for i := start; i >= 0; {
		end := interpolationEnd(src, i)
		if end < 0 {
			return -1
		}
		switch word := bytes.Fields(bytes.TrimLeft(src[i+2:end-1], "~ ")); {
		case len(word) == 0:
			return -1
		case string(word[0]) == "for" || string(word[0]) == "if":
			depth++
		case bytes.HasPrefix(word[0], []byte("endfor")) || bytes.HasPrefix(word[0], []byte("endif")):
			depth--
		}
		if depth <= 0 {
			return end
		}
		// Sequences in between are the loop's own.
		for i = nextSequence(src, end); i >= 0 && (src[i] == '$' || src[i-1] == '%'); {
			i = nextSequence(src, i+2)
		}
	}
	return -1
}

// piece renders a part of a template that begins at a byte of its file.
func (s *scope) piece(f *file, src []byte, start int) (*value, bool) {
	x, diags := hclsyntax.ParseTemplate(src, f.path, hcl.Pos{Byte: start, Line: 1, Column: 1})
	if diags.HasErrors() || x == nil {
		return nil, false
	}
	return s.eval(x), true
}

// interpolationEnd is the end of the interpolation that begins at a "${", -1 for none.
// It follows braces and quoted strings, which may hold interpolations themselves.
func interpolationEnd(src []byte, start int) int {
	open := []byte{'{'} // and '"'
	for i := start + 2; i < len(src); i++ {
		quoted := open[len(open)-1] == '"'
		switch c := src[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && quoted:
			open = open[:len(open)-1]
		case c == '"':
			open = append(open, '"')
		case quoted && c == '$' && i+1 < len(src) && src[i+1] == '{' && src[i-1] != '$':
			open = append(open, '{')
			i++
		case quoted:
		case c == '{':
			open = append(open, '{')
		case c == '}':
			if open = open[:len(open)-1]; len(open) == 0 {
				return i + 1
			}
		}
	}
	return -1
}
