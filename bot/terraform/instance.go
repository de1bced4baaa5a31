package terraform

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// instance is a module as one call sees it: with its own arguments.
type instance struct {
	repo       *repo
	mod        *module
	parent     *instance
	call       *hclsyntax.Block  // the module block; nil for a root
	scope      *scope            // of the call: where arguments are evaluated
	disabled   bool              // the call\'s count, or that of one above it, is 0
	address    string            // "module.a.module.b", "" for a root
	root       string            // directory that path.root stands for
	home       string            // directory that the instance belongs to: its module's, or that of its terragrunt.hcl
	vars       map[string]*value // names that stand for values everywhere in it: Terragrunt's "include"
	gruntDir   string            // directory of the terragrunt.hcl being read; "" elsewhere
	gruntDepth int               // includes followed so far
	given      map[string]*value // a root's variables: tfvars, terragrunt inputs
	cache      map[string]*value
	busy       map[string]bool
	below      map[string][]*instance // children by call name, made once
}

// scope is where an expression is evaluated.
type scope struct {
	inst     *instance
	vars     map[string]*value // each, count, iterators, for variables, template variables
	outer    *scope
	template bool // a template file: only vars, nothing of the module
}

func (s *scope) with(vars map[string]*value) *scope {
	return &scope{inst: s.inst, vars: vars, outer: s, template: s.template}
}

func (s *scope) lookup(name string) *value {
	for ; s != nil; s = s.outer {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	return nil
}

func newInstance(r *repo, m *module) *instance {
	return &instance{repo: r, mod: m, root: m.dir, cache: map[string]*value{}, busy: map[string]bool{}, given: map[string]*value{}}
}

func (i *instance) top() *scope { return &scope{inst: i, vars: i.vars} }

// depth is the number of calls above.
func (i *instance) depth() int {
	n := 0
	for p := i.parent; p != nil; p = p.parent {
		n++
	}
	return n
}

// memo evaluates once and notices cycles.
func (i *instance) memo(key string, f func() *value) *value {
	if v, ok := i.cache[key]; ok {
		return v
	}
	if i.busy[key] || len(i.busy) > maxDepth {
		return unknown(pin.Unresolved, key+" refers to itself")
	}
	i.busy[key] = true
	v := f()
	delete(i.busy, key)
	i.cache[key] = v
	return v
}

func (i *instance) local(name string) *value {
	attr := i.mod.locals[name]
	if attr == nil {
		return unknown(pin.Unresolved, "local."+name+" is not declared")
	}
	return i.memo("local."+name, func() *value { return i.top().eval(attr.Expr).reshaped(pin.ShapeLocal) })
}

func (i *instance) variable(name string) *value {
	return i.memo("var."+name, func() *value {
		decl := i.mod.variables[name]
		if i.call != nil {
			if arg := i.call.Body.Attributes[name]; arg != nil {
				if v := i.scope.eval(arg.Expr).reshaped(pin.ShapeArgument); v.kind != kindNull {
					return i.withDefaults(decl, v)
				}
			}
		} else if v := i.given[name]; v != nil && v.kind != kindNull {
			return i.withDefaults(decl, v)
		}
		if decl == nil {
			return unknown(pin.Unresolved, "var."+name+" is not declared")
		}
		def := decl.Body.Attributes["default"]
		if def == nil {
			return unknown(pin.Unresolved, "var."+name+" has no default, and nothing in the repository gives it a value")
		}
		return i.withDefaults(decl, i.top().eval(def.Expr).reshaped(pin.ShapeVariable))
	})
}

// withDefaults fills in what optional(type, default) in the variable's type says.
func (i *instance) withDefaults(decl *hclsyntax.Block, v *value) *value {
	if decl == nil || decl.Body.Attributes["type"] == nil {
		return v
	}
	return i.fill(decl.Body.Attributes["type"].Expr, v, 0)
}

func (i *instance) fill(typ hclsyntax.Expression, v *value, depth int) *value {
	call, ok := typ.(*hclsyntax.FunctionCallExpr)
	if !ok || len(call.Args) == 0 || depth > maxNesting {
		return v
	}
	switch call.Name {
	case "optional":
		return i.fill(call.Args[0], v, depth+1)
	case "map", "list", "set":
		switch v.kind {
		case kindObject:
			out := object()
			for _, f := range v.fields {
				out.fields = append(out.fields, field{f.key, i.fill(call.Args[0], f.val, depth+1)})
			}
			return out
		case kindList:
			out := &value{kind: kindList}
			for _, e := range v.items {
				out.items = append(out.items, i.fill(call.Args[0], e, depth+1))
			}
			return out
		case kindUnknown, kindNull, kindString, kindChoice:
		}
	case "object":
		cons, ok := call.Args[0].(*hclsyntax.ObjectConsExpr)
		if !ok || v.kind != kindObject {
			return v
		}
		out := object(v.fields...)
		for _, item := range cons.Items {
			key, _ := i.top().eval(item.KeyExpr).known()
			have := out.get(key)
			if have != nil && have.kind != kindNull {
				if filled := i.fill(item.ValueExpr, have, depth+1); filled != have {
					out.fields = append(out.fields, field{key, filled})
				}
				continue
			}
			if opt, ok := item.ValueExpr.(*hclsyntax.FunctionCallExpr); ok && opt.Name == "optional" && len(opt.Args) == 2 {
				def := i.top().eval(opt.Args[1]).reshaped(pin.ShapeVariable)
				out.fields = append(out.fields, field{key, i.fill(opt.Args[0], def, depth+1)})
			}
		}
		return out
	}
	return v
}

// maxInstances bounds what calls with for_each multiply to along one chain.
const maxInstances = 500

// maxModuleDepth is how deep calls are followed. Terraform itself has no limit;
// what people write stays below ten.
const maxModuleDepth = 64

// children are the modules of the repository that the named call makes: one, or
// one for each element of its for_each.
func (i *instance) children(name string) []*instance {
	if i.below == nil {
		i.below = map[string][]*instance{}
		for _, call := range i.mod.calls {
			i.below[call.Labels[0]] = i.make(call)
		}
	}
	return i.below[name]
}

func (i *instance) make(call *hclsyntax.Block) []*instance {
	dir, ok := i.sourceDir(call)
	if !ok {
		return nil
	}
	mod := i.repo.modules[dir]
	if mod == nil {
		return nil
	}
	address := strings.TrimPrefix(i.address+".module."+call.Labels[0], ".")
	if i.depth() >= maxModuleDepth || i.calls(mod) {
		i.repo.problem(call.TypeRange.Filename, call.TypeRange.Start.Line, fmt.Sprintf("module %q calls itself, or modules are nested more than %d deep: not followed", call.Labels[0], maxModuleDepth))
		return nil
	}
	var out []*instance
	for _, e := range i.top().elements(call.Body) {
		child := newInstance(i.repo, mod)
		child.parent, child.call, child.root, child.address = i, call, i.root, address+e.index
		child.scope, child.disabled = e.scope, i.disabled || e.disabled
		out = append(out, child)
	}
	return out
}

// calls reports whether m is this instance's module or one above it.
func (i *instance) calls(m *module) bool {
	for ; i != nil; i = i.parent {
		if i.mod == m {
			return true
		}
	}
	return false
}

// sourceDir is the directory that a module call names, if it is one of the repository.
func (i *instance) sourceDir(call *hclsyntax.Block) (string, bool) {
	attr := call.Body.Attributes["source"]
	if attr == nil {
		return "", false
	}
	src, ok := i.top().eval(attr.Expr).known()
	if !ok {
		return "", false
	}
	return localSource(i.mod.dir, src)
}

// localSource resolves "./x", "../x" and "../x//y" against a directory.
func localSource(dir, src string) (string, bool) {
	if src != "." && src != ".." && !strings.HasPrefix(src, "./") && !strings.HasPrefix(src, "../") {
		return "", false
	}
	p := path.Join(dir, strings.Replace(src, "//", "/", 1))
	return p, p != ".." && !strings.HasPrefix(p, "../")
}

// element is one repetition of a block: the whole block when it is not repeated.
type element struct {
	scope    *scope
	index    string // `["web"]`, "[0]", ""
	disabled bool   // count is 0
}

// elements are the repetitions that count and for_each of a block make.
func (s *scope) elements(body *hclsyntax.Body) []element {
	if attr := body.Attributes["for_each"]; attr != nil {
		return s.repeat(s.eval(attr.Expr), "each")
	}
	if attr := body.Attributes["count"]; attr != nil {
		n, ok := s.eval(attr.Expr).known()
		if ok && n == "0" {
			off := s.with(map[string]*value{"count": object(field{"index", text("0")})})
			return []element{{scope: off, disabled: true}}
		}
		count := 1
		if _, err := fmt.Sscanf(n, "%d", &count); err != nil || count < 1 || !ok {
			count = 1
		}
		var out []element
		for k := range min(count, maxInstances) {
			out = append(out, element{s.with(map[string]*value{"count": object(field{"index", text(fmt.Sprint(k))})}), fmt.Sprintf("[%d]", k), false})
		}
		return out
	}
	return []element{{scope: s}}
}

// repeat makes one scope per element of a collection, in which name stands for
// an object with key and value.
func (s *scope) repeat(over *value, name string) []element {
	var out []element
	add := func(key, val *value) {
		k, _ := key.known()
		out = append(out, element{s.with(map[string]*value{name: object(field{"key", key}, field{"value", val})}), fmt.Sprintf("[%q]", k), false})
	}
	switch over.kind {
	case kindObject:
		for _, f := range uniqueFields(over.fields) {
			add(text(f.key), f.val)
		}
	case kindList:
		for _, e := range over.items {
			add(e, e)
		}
	case kindChoice:
		over.each(func(v *value) { out = append(out, s.repeat(v, name)...) })
	case kindNull:
	case kindUnknown, kindString:
		out = append(out, element{s.with(map[string]*value{name: object(field{"key", over}, field{"value", over})}), "[*]", false})
	}
	return out[:min(len(out), maxInstances)]
}

// uniqueFields keeps the last field of each key.
func uniqueFields(fields []field) []field {
	last := map[string]int{}
	for i, f := range fields {
		last[f.key] = i
	}
	if len(last) == len(fields) {
		return fields
	}
	var out []field
	for i, f := range fields {
		if last[f.key] == i {
			out = append(out, f)
		}
	}
	return out
}

// sortedKeys orders a map's keys.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
