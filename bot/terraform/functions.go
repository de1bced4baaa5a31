package terraform

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// callFunction evaluates the functions through which a version can be followed
// to the place where it is written. Others compute.
func (s *scope) callFunction(x *hclsyntax.FunctionCallExpr) *value {
	args := make([]*value, len(x.Args))
	for i, a := range x.Args {
		args[i] = s.eval(a)
	}
	if x.ExpandFinal && len(args) > 0 {
		last := args[len(args)-1]
		args = append(args[:len(args)-1:len(args)-1], last.items...)
	}
	name := strings.TrimPrefix(x.Name, "core::")
	if v := s.pass(name, args); v != nil {
		return v
	}
	if v := s.files(name, args); v != nil {
		return v
	}
	if v := s.grunt(name, args); v != nil {
		return v
	}
	return unknown(pin.Computed, "the result of "+x.Name+"()")
}

// pass handles functions that hand their arguments through. It returns nil for any other.
func (s *scope) pass(name string, args []*value) *value {
	if len(args) == 0 {
		return nil
	}
	switch name {
	case "tostring", "nonsensitive", "sensitive", "tomap", "tolist", "toset", "tonumber", "tobool", "one", "flatten", "distinct", "sort", "ephemeralasnull":
		if name == "one" && args[0].kind == kindList {
			return index(args[0], text("0"))
		}
		if name == "flatten" {
			return flattened(args[0], 0)
		}
		return args[0]
	case "trimspace":
		return trimmed(args[0], strings.TrimSpace)
	case "chomp":
		return trimmed(args[0], func(s string) string { return strings.TrimRight(s, "\r\n") })
	case "format":
		return format(args)
	case "join":
		if args[len(args)-1].kind == kindList && len(args) == 2 {
			var parts []*value
			for i, e := range args[1].items {
				if i > 0 {
					parts = append(parts, args[0])
				}
				parts = append(parts, e)
			}
			return concat(parts...)
		}
	case "lookup":
		if len(args) < 2 {
			return nil
		}
		found := index(args[0], args[1])
		if found.kind == kindUnknown && found.reason == pin.Unresolved && len(args) > 2 {
			return args[2]
		}
		return found
	case "try", "coalesce":
		for _, a := range args {
			empty, known := a.known()
			switch {
			case a.kind == kindUnknown && a.reason == pin.Unresolved, a.kind == kindNull && name == "coalesce", name == "coalesce" && known && empty == "":
				continue
			case a.kind == kindUnknown && len(args) > 1:
				return choice(args...)
			}
			return a
		}
		return args[len(args)-1]
	case "merge":
		return merged(args)
	case "concat":
		out := &value{kind: kindList}
		for _, a := range args {
			out.items = append(out.items, a.items...)
		}
		return out
	case "element":
		if len(args) == 2 {
			return index(args[0], args[1])
		}
	case "keys", "values":
		out := &value{kind: kindList}
		for _, f := range args[0].fields {
			if name == "keys" {
				out.items = append(out.items, text(f.key))
			} else {
				out.items = append(out.items, f.val)
			}
		}
		return out
	case "length":
		if args[0].kind == kindList || args[0].kind == kindObject {
			return text(fmt.Sprint(len(args[0].items) + len(uniqueFields(args[0].fields))))
		}
	case "zipmap":
		if len(args) == 2 && len(args[0].items) == len(args[1].items) {
			out := object()
			for i, k := range args[0].items {
				out.fields = append(out.fields, field{k.flatten(), args[1].items[i]})
			}
			return out
		}
	case "lower":
		// A name in lower case is a name; the version's place is not lost by it.
		if s, ok := args[0].known(); ok && strings.ToLower(s) == s {
			return args[0]
		}
	}
	return nil
}

// trimmed is a string without what is cut off its ends, with its place: the
// version in a file is followed without the newline after it.
func trimmed(v *value, cut func(string) string) *value {
	switch v.kind {
	case kindChoice:
		var out []*value
		v.each(func(a *value) { out = append(out, trimmed(a, cut)) })
		return choice(out...)
	case kindString:
		s := v.flatten()
		rest := cut(s)
		from := strings.Index(s, rest)
		return v.slice(from, from+len(rest))
	case kindUnknown, kindNull, kindObject, kindList:
	}
	return v
}

func flattened(v *value, depth int) *value {
	out := &value{kind: kindList}
	for _, e := range v.items {
		if e.kind == kindList && depth < maxDepth {
			out.items = append(out.items, flattened(e, depth+1).items...)
		} else {
			out.items = append(out.items, e)
		}
	}
	return out
}

// merged merges objects, later ones winning, as merge() does: not deeply.
func merged(args []*value) *value {
	out := object()
	for _, a := range args {
		switch a.kind {
		case kindObject:
			out.fields = append(out.fields, a.fields...)
		case kindUnknown, kindChoice:
			// What an unknown object brings is not known; what the others bring is.
		case kindNull, kindString, kindList:
		}
	}
	return out
}

// format follows format("%s:%s", …) with plain verbs.
func format(args []*value) *value {
	spec, ok := args[0].known()
	if !ok {
		return unknown(pin.Computed, "the result of format()")
	}
	var out []*value
	next, at := 1, 0
	for i := 0; i < len(spec); i++ {
		if spec[i] != '%' {
			continue
		}
		if i+1 >= len(spec) {
			return unknown(pin.Computed, "the result of format()")
		}
		out = append(out, args[0].slice(at, i))
		switch spec[i+1] {
		case '%':
			out = append(out, text("%"))
		case 's', 'v', 'd':
			if next >= len(args) {
				return unknown(pin.Unresolved, "format() with too few arguments")
			}
			out = append(out, args[next])
			next++
		default:
			return unknown(pin.Computed, "the result of format()")
		}
		i++
		at = i + 1
	}
	return concat(append(out, args[0].slice(at, len(spec)))...)
}

// files handles functions that read and write structured text.
func (s *scope) files(name string, args []*value) *value {
	if len(args) == 0 {
		return nil
	}
	switch name {
	case "file":
		return s.fileText(args[0])
	case "templatefile":
		if len(args) == 2 {
			return s.templateFile(args[0], args[1])
		}
	case "yamldecode", "jsondecode":
		return decodeYAML(args[0])
	case "yamlencode", "jsonencode":
		// Encoded and decoded again by whoever takes it: the structure is what counts.
		return args[0]
	case "abspath", "pathexpand", "basename", "dirname":
		if p, ok := args[0].known(); ok {
			switch name {
			case "basename":
				return text(path.Base(p))
			case "dirname":
				return text(path.Dir(p))
			}
			return args[0]
		}
	case "fileexists":
		if _, ok := args[0].known(); ok {
			f, _ := s.readPath(args[0])
			return boolean(f != nil)
		}
	}
	return nil
}

func (s *scope) fileText(name *value) *value {
	f, p := s.readPath(name)
	if f == nil {
		return unknown(pin.Computed, fmt.Sprintf("file %q is not in the repository", p))
	}
	return &value{kind: kindString, parts: []part{{text: string(f.src), path: f.path, shape: pin.ShapeLiteral}}}
}
