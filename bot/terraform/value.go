package terraform

import (
	"strings"

	"github.com/belaybot/belay/rules/pin"
)

// A value is what an expression comes to as far as it can be known without
// running Terraform, with the place in a file that every piece of text came
// from. Values never change once made.
type value struct {
	kind   kind
	parts  []part   // kindString
	fields []field  // kindObject, in the order written
	items  []*value // kindList; the alternatives of kindChoice
	reason pin.Reason
	detail string // kindUnknown: the reason in words
}

type kind int

const (
	kindUnknown kind = iota
	kindNull
	kindString // numbers and booleans too, as written
	kindObject // maps too
	kindList   // sets too
	kindChoice // one of several, which one is not known
)

type field struct {
	key string
	val *value
}

// part is a run of a string's text that has one origin.
type part struct {
	text    string
	unknown *value    // set instead of text when the run is not known
	path    string    // the file that the text stands in; "" when it stands nowhere as such
	start   int       // byte offset of the text there
	shape   pin.Shape // how the place is written
}

var null = &value{kind: kindNull}

func unknown(reason pin.Reason, detail string) *value {
	return &value{kind: kindUnknown, reason: reason, detail: detail}
}

// text makes a string that stands nowhere in the repository.
func text(s string) *value { return &value{kind: kindString, parts: []part{{text: s}}} }

func object(fields ...field) *value { return &value{kind: kindObject, fields: fields} }

// choice is one of several values; a choice of one is that one.
func choice(vs ...*value) *value {
	var flat []*value
	for _, v := range vs {
		if v.kind == kindChoice {
			flat = append(flat, v.items...)
		} else {
			flat = append(flat, v)
		}
	}
	if len(flat) == 1 {
		return flat[0]
	}
	if len(flat) > maxChoices {
		flat = flat[:maxChoices]
	}
	return &value{kind: kindChoice, items: flat}
}

// maxChoices bounds what nested conditionals can multiply to.
const maxChoices = 16

// each calls f for every alternative of v.
func (v *value) each(f func(*value)) {
	if v.kind != kindChoice {
		f(v)
		return
	}
	for _, alternative := range v.items {
		f(alternative)
	}
}

// known returns a string's text, and whether all of it is known.
func (v *value) known() (string, bool) {
	if v.kind != kindString {
		return "", false
	}
	if len(v.parts) == 1 {
		return v.parts[0].text, v.parts[0].unknown == nil
	}
	var b strings.Builder
	for _, p := range v.parts {
		if p.unknown != nil {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// get returns a field of an object, nil when it has none.
func (v *value) get(key string) *value {
	if v.kind != kindObject {
		return nil
	}
	// A later duplicate wins, as in merge().
	for i := len(v.fields) - 1; i >= 0; i-- {
		if v.fields[i].key == key {
			return v.fields[i].val
		}
	}
	return nil
}

// reshaped returns v with every place written as `shape` where it was written as
// a plain literal so far: a literal inside a local is a local.
func (v *value) reshaped(shape pin.Shape) *value {
	return v.mapParts(func(p part) part {
		if p.shape == pin.ShapeLiteral {
			p.shape = shape
		}
		return p
	}, 0)
}

func (v *value) mapParts(f func(part) part, depth int) *value {
	if depth > maxDepth {
		return unknown(pin.Computed, "values nested too deeply")
	}
	switch v.kind {
	case kindString:
		out := make([]part, len(v.parts))
		for i, p := range v.parts {
			out[i] = f(p)
		}
		return &value{kind: kindString, parts: out}
	case kindObject:
		out := make([]field, len(v.fields))
		for i, e := range v.fields {
			out[i] = field{e.key, e.val.mapParts(f, depth+1)}
		}
		return &value{kind: kindObject, fields: out}
	case kindList, kindChoice:
		out := make([]*value, len(v.items))
		for i, e := range v.items {
			out[i] = e.mapParts(f, depth+1)
		}
		return &value{kind: v.kind, items: out}
	case kindUnknown, kindNull:
	}
	return v
}

// concat joins values as a template does. What is no string makes an unknown part.
func concat(vs ...*value) *value {
	// A template over alternatives is a choice of templates.
	for i, v := range vs {
		if v.kind == kindChoice {
			var out []*value
			for _, alternative := range v.items {
				with := append(append(append([]*value(nil), vs[:i]...), alternative), vs[i+1:]...)
				out = append(out, concat(with...))
			}
			return choice(out...)
		}
	}
	out := &value{kind: kindString}
	for _, v := range vs {
		switch v.kind {
		case kindString:
			out.parts = append(out.parts, v.parts...)
		case kindNull:
		case kindUnknown, kindObject, kindList, kindChoice:
			if v.kind != kindUnknown {
				v = unknown(pin.Computed, "not a string")
			}
			out.parts = append(out.parts, part{unknown: v})
		}
	}
	return out
}

// slice returns the part of a string's text from byte `from` to byte `to`. The
// offsets count an unknown part as its placeholder, see flatten.
func (v *value) slice(from, to int) *value {
	out := &value{kind: kindString}
	at := 0
	for i, p := range v.parts {
		length := len(p.text)
		if p.unknown != nil {
			length = len(placeholder(i))
		}
		lo, hi := max(from, at), min(to, at+length)
		if lo < hi {
			q := p
			if p.unknown == nil {
				q.text = p.text[lo-at : hi-at]
				q.start += lo - at
			}
			out.parts = append(out.parts, q)
		}
		at += length
	}
	return out
}

// flatten is a string's text with a word in the place of every unknown part, so
// that what stands around it can be parsed.
func (v *value) flatten() string {
	if s, ok := v.known(); ok {
		return s
	}
	var b strings.Builder
	for i, p := range v.parts {
		if p.unknown != nil {
			b.WriteString(placeholder(i))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// placeholder stands for the i-th part of a string while it is not known. It is
// a valid element of an image's name, a tag and a YAML scalar.
func placeholder(i int) string {
	return "zzunknown" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + "zz"
}
