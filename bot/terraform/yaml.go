package terraform

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/pin"
)

// maxYAML bounds the nodes that one document is read to.
const maxYAML = 100_000

// decodeYAML reads YAML (and JSON, which is YAML) into a value whose texts keep
// the places where they stand. Several documents make a list. What does not
// parse, because it is a template of another program, is read line by line.
func decodeYAML(v *value) *value {
	if v.kind == kindChoice {
		var out []*value
		v.each(func(a *value) { out = append(out, decodeYAML(a)) })
		return choice(out...)
	}
	if v.kind != kindString {
		return v // an object that was never encoded, or unknown
	}
	src := v.flatten()
	y := yamlText{v: v, src: src, lines: lineStarts(src)}
	var docs []*value
	dec := yaml.NewDecoder(strings.NewReader(src))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return y.lenient()
		}
		docs = append(docs, y.node(&doc, 0))
		if len(docs) > 1000 {
			break
		}
	}
	switch len(docs) {
	case 0:
		return null
	case 1:
		return docs[0]
	}
	return &value{kind: kindList, items: docs}
}

// yamlText is a text being read as YAML.
type yamlText struct {
	v     *value
	src   string
	lines []int
	nodes int
}

func lineStarts(s string) []int {
	starts := []int{0}
	for i := range len(s) {
		if s[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (y *yamlText) node(n *yaml.Node, depth int) *value {
	if y.nodes++; y.nodes > maxYAML || depth > maxDepth {
		return unknown(pin.Computed, "YAML nested too deeply")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) > 0 {
			return y.node(n.Content[0], depth+1)
		}
	case yaml.MappingNode:
		out := object()
		for i := 0; i+1 < len(n.Content); i += 2 {
			val := y.node(n.Content[i+1], depth+1)
			if n.Content[i].Tag == "!!merge" {
				out.fields = append(append([]field(nil), val.fields...), out.fields...)
				continue
			}
			out.fields = append(out.fields, field{n.Content[i].Value, val})
		}
		return out
	case yaml.SequenceNode:
		out := &value{kind: kindList}
		for _, e := range n.Content {
			out.items = append(out.items, y.node(e, depth+1))
		}
		return out
	case yaml.AliasNode:
		return y.node(n.Alias, depth+1)
	case yaml.ScalarNode:
		return y.scalar(n)
	}
	return null
}

func (y *yamlText) scalar(n *yaml.Node) *value {
	if n.Tag == "!!null" {
		return null
	}
	at, ok := y.offset(n.Line, n.Column)
	if !ok {
		return text(n.Value)
	}
	// The mark of a scalar with an anchor or a tag is the anchor's.
	for at < len(y.src) && (y.src[at] == '&' || y.src[at] == '!') {
		end := strings.IndexAny(y.src[at:], " \t\n")
		if end < 0 {
			return text(n.Value)
		}
		at += end
		at += len(y.src[at:]) - len(strings.TrimLeft(y.src[at:], " \t"))
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		at++
	}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || !strings.HasPrefix(y.src[at:], n.Value) {
		// Block scalars and escapes: the text is known and its place is not.
		return text(n.Value)
	}
	return y.v.slice(at, at+len(n.Value))
}

// offset turns yaml.v3's line and column, which counts characters, into bytes.
func (y *yamlText) offset(line, column int) (int, bool) {
	if line < 1 || line > len(y.lines) {
		return 0, false
	}
	at := y.lines[line-1]
	if line == 1 && strings.HasPrefix(y.src, "\ufeff") {
		at += len("\ufeff")
	}
	for range column - 1 {
		if at >= len(y.src) {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(y.src[at:])
		at += size
	}
	return at, at <= len(y.src)
}

// lenient reads "key: value" lines by their indentation and skips the rest:
// what a template with {{ }} still shows of its structure.
func (y *yamlText) lenient() *value {
	type level struct {
		indent int
		obj    *value
	}
	root := object()
	stack := []level{{-1, root}}
	for i, start := range y.lines {
		end := len(y.src)
		if i+1 < len(y.lines) {
			end = y.lines[i+1] - 1
		}
		line := strings.TrimSuffix(y.src[start:end], "\r")
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		if rest, ok := strings.CutPrefix(trimmed, "- "); ok {
			indent += 2 + len(rest) - len(strings.TrimLeft(rest, " "))
			trimmed = strings.TrimLeft(rest, " ")
		}
		colon := strings.Index(trimmed, ":")
		if colon <= 0 || trimmed[0] == '#' || trimmed[0] == '{' || strings.ContainsAny(trimmed[:colon], " \t") {
			continue
		}
		key, val := trimmed[:colon], trimmed[colon+1:]
		if val != "" && val[0] != ' ' && val[0] != '\t' {
			continue
		}
		for stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		parent := stack[len(stack)-1].obj
		at := start + indent + colon + 1
		at += len(val) - len(strings.TrimLeft(val, " \t"))
		val = strings.TrimLeft(val, " \t")
		if i := strings.Index(val, " #"); i >= 0 {
			val = val[:i]
		}
		val = strings.TrimRight(val, " \t")
		if len(val) > 1 && (val[0] == '"' || val[0] == '\'') && val[len(val)-1] == val[0] {
			val, at = val[1:len(val)-1], at+1
		}
		if val == "" {
			child := object()
			parent.fields = append(parent.fields, field{key, child})
			stack = append(stack, level{indent, child})
			continue
		}
		parent.fields = append(parent.fields, field{key, y.v.slice(at, at+len(val))})
	}
	return root
}

// parsesAsYAML reports whether every document of a file parses.
func parsesAsYAML(src []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
