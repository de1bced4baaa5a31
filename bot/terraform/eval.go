package terraform

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/belaybot/belay/rules/pin"
)

// eval finds out what an expression comes to without running Terraform. It
// never fails: what cannot be known is an unknown value that says why.
func (s *scope) eval(x hclsyntax.Expression) *value {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return s.literal(x)
	case *hclsyntax.TemplateExpr:
		parts := make([]*value, len(x.Parts))
		for i, p := range x.Parts {
			parts[i] = s.eval(p)
		}
		return concat(parts...)
	case *hclsyntax.TemplateWrapExpr:
		return s.eval(x.Wrapped)
	case *hclsyntax.TemplateJoinExpr:
		if v := s.eval(x.Tuple); v.kind == kindList {
			return concat(v.items...)
		}
		return unknown(pin.Computed, "a loop in a template")
	case *hclsyntax.ParenthesesExpr:
		return s.eval(x.Expression)
	case *hclsyntax.ScopeTraversalExpr:
		return s.traverse(x.Traversal)
	case *hclsyntax.RelativeTraversalExpr:
		return s.steps(s.eval(x.Source), x.Traversal)
	case *hclsyntax.IndexExpr:
		return index(s.eval(x.Collection), s.eval(x.Key))
	case *hclsyntax.SplatExpr:
		return s.splat(x)
	case *hclsyntax.AnonSymbolExpr:
		if v := s.lookup(anonymous(x)); v != nil {
			return v
		}
	case *hclsyntax.ObjectConsExpr:
		return s.objectCons(x)
	case *hclsyntax.ObjectConsKeyExpr:
		if name := hcl.ExprAsKeyword(x.Wrapped); name != "" && !x.ForceNonLiteral {
			return text(name)
		}
		return s.eval(x.Wrapped)
	case *hclsyntax.TupleConsExpr:
		out := &value{kind: kindList}
		for _, e := range x.Exprs {
			out.items = append(out.items, s.eval(e).reshaped(pin.ShapeElement))
		}
		return out
	case *hclsyntax.FunctionCallExpr:
		return s.callFunction(x)
	case *hclsyntax.ConditionalExpr:
		return s.conditional(x)
	case *hclsyntax.ForExpr:
		return s.loop(x)
	case *hclsyntax.BinaryOpExpr:
		return s.binary(x)
	case *hclsyntax.UnaryOpExpr:
		if b, ok := s.eval(x.Val).known(); ok && x.Op == hclsyntax.OpLogicalNot {
			return boolean(b != "true")
		}
	}
	return unknown(pin.Computed, "an expression that only Terraform can work out")
}

func boolean(b bool) *value { return text(fmt.Sprint(b)) }

func (s *scope) literal(x *hclsyntax.LiteralValueExpr) *value {
	switch {
	case x.Val.IsNull():
		return null
	case x.Val.Type() == cty.String:
		return &value{kind: kindString, parts: s.inst.repo.at(x.SrcRange, x.Val.AsString())}
	case x.Val.Type() == cty.Bool:
		return boolean(x.Val.True())
	case x.Val.Type() == cty.Number:
		f := s.inst.repo.files[x.SrcRange.Filename]
		if f == nil || x.SrcRange.End.Byte > len(f.src) {
			return text(x.Val.AsBigFloat().Text('f', -1))
		}
		// A number keeps its spelling: a tag 1.10 is not 1.1.
		raw := string(f.src[x.SrcRange.Start.Byte:x.SrcRange.End.Byte])
		return &value{kind: kindString, parts: s.inst.repo.at(x.SrcRange, raw)}
	}
	return unknown(pin.Computed, "a literal of an unusual type")
}

func (s *scope) objectCons(x *hclsyntax.ObjectConsExpr) *value {
	out := s.assignments(x)
	for i := range out.fields {
		out.fields[i].val = out.fields[i].val.reshaped(pin.ShapeElement)
	}
	return out
}

// assignments are an object's fields where each is a setting of its own, such
// as Terragrunt's inputs, and not an element of something.
func (s *scope) assignments(x *hclsyntax.ObjectConsExpr) *value {
	out := object()
	for _, item := range x.Items {
		key, ok := s.eval(item.KeyExpr).known()
		if !ok {
			key = s.eval(item.KeyExpr).flatten()
		}
		out.fields = append(out.fields, field{key, s.eval(item.ValueExpr)})
	}
	return out
}

// traverse follows a reference: var.x, local.y.z, each.value, a resource's attribute.
func (s *scope) traverse(t hcl.Traversal) *value {
	root := t.RootName()
	if v := s.lookup(root); v != nil {
		return s.steps(v, t[1:])
	}
	if s.template {
		return unknown(pin.Computed, root+" is not among the template's variables")
	}
	name := ""
	if len(t) > 1 {
		if attr, ok := t[1].(hcl.TraverseAttr); ok {
			name = attr.Name
		}
	}
	switch root {
	case "var":
		return s.steps(s.inst.variable(name), t[min(2, len(t)):])
	case "local":
		return s.steps(s.inst.local(name), t[min(2, len(t)):])
	case "path":
		return s.pathOf(name)
	case "module":
		return s.output(name, t)
	case "data":
		return unknown(pin.Computed, "read from the data source "+written(t))
	case "terraform", "self", "count", "each":
		return unknown(pin.Computed, written(t)+" is only known when Terraform runs")
	}
	return s.attribute(t)
}

func (s *scope) pathOf(name string) *value {
	switch name {
	case "module":
		return text(s.inst.mod.dir)
	case "root":
		return text(s.inst.root)
	case "cwd":
		return text(s.inst.root)
	}
	return unknown(pin.Computed, "path."+name)
}

// output follows module.x.y into the module's output.
func (s *scope) output(name string, t hcl.Traversal) *value {
	children := s.inst.children(name)
	if len(children) == 0 {
		return unknown(pin.External, written(t)+" comes from a module outside the repository")
	}
	rest := t[min(2, len(t)):]
	child := children[0]
	if len(rest) > 0 {
		if _, indexed := rest[0].(hcl.TraverseIndex); indexed {
			rest = rest[1:]
		}
	}
	if len(rest) == 0 {
		return unknown(pin.Computed, written(t)+" is a whole module")
	}
	attr, ok := rest[0].(hcl.TraverseAttr)
	if !ok {
		return unknown(pin.Computed, written(t))
	}
	block := child.mod.outputs[attr.Name]
	if block == nil || block.Body.Attributes["value"] == nil {
		return unknown(pin.Unresolved, written(t)+" is not an output")
	}
	v := child.memo("output."+attr.Name, func() *value { return child.top().eval(block.Body.Attributes["value"].Expr) })
	return s.steps(v, rest[1:])
}

// attribute follows type.name.attr into a resource of the same module, as far
// as the attribute is written there.
func (s *scope) attribute(t hcl.Traversal) *value {
	computed := unknown(pin.Computed, written(t)+" is an attribute of a resource")
	if len(t) < 3 {
		return computed
	}
	name, ok := t[1].(hcl.TraverseAttr)
	if !ok {
		return computed
	}
	block := s.inst.mod.named[t.RootName()+"."+name.Name]
	if block == nil {
		return computed
	}
	return s.inst.memo(written(t), func() *value {
		body, rest := block.Body, t[2:]
		if _, indexed := rest[0].(hcl.TraverseIndex); indexed && body.Attributes["count"] != nil || indexed && body.Attributes["for_each"] != nil {
			rest = rest[1:]
		}
		sc := s.inst.top()
		if repeats := sc.elements(block.Body); len(repeats) > 0 {
			sc = repeats[0].scope
		}
		for len(rest) > 0 {
			attr, ok := rest[0].(hcl.TraverseAttr)
			if !ok {
				return computed
			}
			rest = rest[1:]
			if a := body.Attributes[attr.Name]; a != nil {
				v := s.steps(sc.eval(a.Expr), rest)
				if v.kind == kindUnknown {
					return computed
				}
				return v
			}
			inner := firstBlock(body, attr.Name)
			if inner == nil {
				return computed
			}
			body = inner.Body
			if len(rest) > 0 {
				if _, indexed := rest[0].(hcl.TraverseIndex); indexed {
					rest = rest[1:]
				}
			}
		}
		return computed
	})
}

func firstBlock(body *hclsyntax.Body, name string) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if b.Type == name {
			return b
		}
	}
	return nil
}

// steps follows the rest of a reference into a value.
func (s *scope) steps(v *value, rest hcl.Traversal) *value {
	for _, step := range rest {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			v = index(v, text(step.Name))
		case hcl.TraverseIndex:
			switch {
			case step.Key.Type() == cty.String:
				v = index(v, text(step.Key.AsString()))
			case step.Key.Type() == cty.Number:
				v = index(v, text(step.Key.AsBigFloat().Text('f', -1)))
			default:
				return unknown(pin.Computed, "an unusual index")
			}
		default:
			return unknown(pin.Computed, "a splat")
		}
	}
	return v
}

// index takes an element of an object or a list.
func index(v, key *value) *value {
	switch v.kind {
	case kindUnknown:
		return v
	case kindChoice:
		var out []*value
		v.each(func(a *value) { out = append(out, index(a, key)) })
		return choice(out...)
	case kindNull, kindString:
		return unknown(pin.Computed, "an attribute of something that is no object")
	case kindObject, kindList:
	}
	k, ok := key.known()
	if !ok {
		// Any element may be meant: each is a possible origin.
		var out []*value
		for _, f := range v.fields {
			out = append(out, f.val)
		}
		out = append(out, v.items...)
		if len(out) == 0 || len(out) > maxChoices {
			return unknown(pin.Computed, "an element chosen by a computed key")
		}
		return choice(out...)
	}
	if v.kind == kindObject {
		if e := v.get(k); e != nil {
			return e
		}
		return unknown(pin.Unresolved, fmt.Sprintf("no element %q", k))
	}
	n := 0
	if _, err := fmt.Sscanf(k, "%d", &n); err != nil || n < 0 || n >= len(v.items) {
		return unknown(pin.Unresolved, fmt.Sprintf("no element [%s]", k))
	}
	return v.items[n]
}

func anonymous(x *hclsyntax.AnonSymbolExpr) string { return fmt.Sprintf("%p", x) }

func (s *scope) splat(x *hclsyntax.SplatExpr) *value {
	src := s.eval(x.Source)
	items := src.items
	switch src.kind {
	case kindUnknown:
		return src
	case kindObject, kindString:
		items = []*value{src}
	case kindNull, kindList, kindChoice:
	}
	out := &value{kind: kindList}
	for _, e := range items {
		out.items = append(out.items, s.with(map[string]*value{anonymous(x.Item): e}).eval(x.Each))
	}
	return out
}

func (s *scope) conditional(x *hclsyntax.ConditionalExpr) *value {
	switch b, ok := s.eval(x.Condition).known(); {
	case ok && b == "true":
		return s.eval(x.TrueResult)
	case ok && b == "false":
		return s.eval(x.FalseResult)
	}
	return choice(s.eval(x.TrueResult), s.eval(x.FalseResult))
}

func (s *scope) binary(x *hclsyntax.BinaryOpExpr) *value {
	a, b := s.eval(x.LHS), s.eval(x.RHS)
	sa, oka := a.known()
	sb, okb := b.known()
	nullA, nullB := a.kind == kindNull, b.kind == kindNull
	comparable := (oka || nullA) && (okb || nullB)
	definite := nullA && b.kind != kindUnknown && b.kind != kindChoice || nullB && a.kind != kindUnknown && a.kind != kindChoice
	switch x.Op {
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		if comparable || definite {
			equal := nullA == nullB && sa == sb && comparable
			return boolean(equal == (x.Op == hclsyntax.OpEqual))
		}
	case hclsyntax.OpLogicalAnd:
		if sa == "false" && oka || sb == "false" && okb {
			return boolean(false)
		}
		if oka && okb {
			return boolean(sa == "true" && sb == "true")
		}
	case hclsyntax.OpLogicalOr:
		if sa == "true" && oka || sb == "true" && okb {
			return boolean(true)
		}
		if oka && okb {
			return boolean(sa == "true" || sb == "true")
		}
	}
	return unknown(pin.Computed, "a calculation")
}

func (s *scope) loop(x *hclsyntax.ForExpr) *value {
	over := s.eval(x.CollExpr)
	out := &value{kind: kindList}
	if x.KeyExpr != nil {
		out = object()
	}
	run := func(key, val *value) {
		vars := map[string]*value{x.ValVar: val}
		if x.KeyVar != "" {
			vars[x.KeyVar] = key
		}
		sc := s.with(vars)
		if x.CondExpr != nil {
			if b, ok := sc.eval(x.CondExpr).known(); ok && b == "false" {
				return
			}
		}
		v := sc.eval(x.ValExpr)
		if x.KeyExpr == nil {
			out.items = append(out.items, v)
			return
		}
		k := sc.eval(x.KeyExpr).flatten()
		if x.Group {
			v = &value{kind: kindList, items: append(items(out.get(k)), v)}
		}
		out.fields = append(out.fields, field{k, v})
	}
	switch over.kind {
	case kindObject:
		for _, f := range uniqueFields(over.fields) {
			run(text(f.key), f.val)
		}
	case kindList:
		for i, e := range over.items {
			run(text(fmt.Sprint(i)), e)
		}
	case kindUnknown, kindChoice, kindString:
		return unknown(pin.Computed, "a loop over something computed")
	case kindNull:
	}
	return out
}

func items(v *value) []*value {
	if v == nil {
		return nil
	}
	return v.items
}

// written is a reference as written: "data.x.y", "kubernetes_namespace.a.metadata".
func written(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(step.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + step.Name)
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String {
				fmt.Fprintf(&b, "[%q]", step.Key.AsString())
			} else if step.Key.Type() == cty.Number {
				fmt.Fprintf(&b, "[%s]", step.Key.AsBigFloat().Text('f', -1))
			}
		}
	}
	return b.String()
}

// readPath reads a file that an expression names. Relative paths are looked up
// from the root module, as Terraform does, and then from the module itself.
func (s *scope) readPath(v *value) (*file, string) {
	p, ok := v.known()
	if !ok || p == "" {
		return nil, ""
	}
	if rest, ok := strings.CutPrefix(p, repoRoot); ok {
		p = strings.TrimPrefix(path.Clean(rest), "/")
	}
	for _, candidate := range []string{path.Clean(p), path.Join(s.inst.root, p), path.Join(s.inst.mod.dir, p)} {
		if f := s.inst.repo.read(candidate); f != nil {
			return f, candidate
		}
	}
	return nil, p
}
