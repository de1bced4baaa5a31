package terraform

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// walker collects the pins of one instance after another.
type walker struct {
	repo   *repo
	names  *namer
	pins   []pin.Pin
	files  map[string]map[string]bool // service → files that it is made of
	dirs   map[string]string          // service → directory
	places map[string]*placed         // service → where it is
	spot   func(spot)                 // told of every container; nil when nobody asks
	keeps  func(string) *Keeps        // of a service; nil when nobody asks
}

// use is what is known about the thing that uses an image or a chart.
type use struct {
	inst      *instance
	service   string
	directory string
	outside   bool // of the configured roots
	disabled  bool // count is 0
	address   string
	namespace string
	workload  string
	chart     pin.Chart // set inside Helm values
	marks     annotations
	ignored   []string // lifecycle.ignore_changes, as written; "all"
	at        hcl.Range
	shape     pin.Shape // replaces "literal" inside values and manifests
}

// annotations are DIUN's, beside an image.
type annotations struct {
	disabled         bool
	include, exclude []string
}

// instance walks one module and those that it calls.
func (w *walker) instance(i *instance) {
	service, dir, ok := w.names.of(i)
	if ok {
		w.dirs[service] = dir
		for _, f := range i.mod.files {
			w.uses(service, f.path)
		}
		for _, f := range append(i.mod.autoVars, i.mod.otherVars...) {
			w.uses(service, f.path)
		}
	}
	u := use{inst: i, service: service, directory: dir, outside: !ok}
	for _, r := range i.mod.resources {
		for _, e := range i.top().elements(r.Body) {
			v := u
			v.address = strings.TrimPrefix(i.address+"."+r.Labels[0]+"."+r.Labels[1]+e.index, ".")
			v.ignored = ignoreChanges(w.repo, r.Body)
			v.disabled = i.disabled || e.disabled
			w.resource(r, e.scope, v)
		}
	}
	for _, call := range i.mod.calls {
		children := i.children(call.Labels[0])
		for _, c := range children {
			c.home = c.mod.dir
			w.instance(c)
		}
		if len(children) == 0 {
			w.foreign(call, u)
		}
	}
}

func (w *walker) uses(service, p string) {
	if w.files[service] == nil {
		w.files[service] = map[string]bool{}
	}
	w.files[service][p] = true
}

// foreign looks at the arguments of a module outside the repository: what
// becomes of them is not known, but an image written there is one.
func (w *walker) foreign(call *hclsyntax.Block, u use) {
	if _, local := u.inst.sourceDir(call); local {
		return // count = 0, a cycle, or a directory without Terraform files
	}
	u.address = strings.TrimPrefix(u.inst.address+".module."+call.Labels[0], ".")
	u.shape = pin.ShapeArgument
	for _, e := range u.inst.top().elements(call.Body) {
		args := object()
		for _, name := range sortedKeys(call.Body.Attributes) {
			switch name {
			case "source", "version", "providers", "depends_on", "for_each", "count":
				continue
			}
			args.fields = append(args.fields, field{name, e.scope.eval(call.Body.Attributes[name].Expr)})
		}
		u.at = call.TypeRange
		w.keepValues(args, u)
		w.values(args, u)
	}
}

func (w *walker) resource(r *hclsyntax.Block, s *scope, u use) {
	kind := r.Labels[0]
	u.at = r.TypeRange
	w.whereabouts(r, s, u)
	switch {
	case kind == "helm_release":
		w.helm(r, s, u)
	case kind == "kubernetes_manifest" || kind == "kubectl_manifest" || kind == "kustomization_resource" || kind == "k8s_manifest":
		w.manifest(r, s, u)
	case strings.HasPrefix(kind, "kubernetes_"):
		w.kubernetes(r, s, u)
	case kind == "docker_container" || kind == "docker_service":
		w.containers(r.Body, s, "", u, 0)
		if attr := r.Body.Attributes["image"]; attr != nil {
			w.attribute(attr, s, "image", u)
		}
	case kind == "docker_image":
		if attr := r.Body.Attributes["name"]; attr != nil {
			w.attribute(attr, s, "name", u)
		}
	}
}

// kubernetes walks a resource of the Kubernetes provider down to its containers.
func (w *walker) kubernetes(r *hclsyntax.Block, s *scope, u use) {
	if meta := firstBlock(r.Body, "metadata"); meta != nil {
		u.workload = s.string(meta.Body, "name")
		u.namespace = s.string(meta.Body, "namespace")
		u.marks = u.marks.read(s, meta.Body)
	}
	w.keepBlock(r, s, u)
	w.containers(r.Body, s, "", u, 0)
}

// string evaluates an attribute to text, "" when it is absent or not known.
func (s *scope) string(body *hclsyntax.Body, name string) string {
	attr := body.Attributes[name]
	if attr == nil {
		return ""
	}
	v, _ := s.eval(attr.Expr).known()
	return v
}

// containers finds the containers below a body. where is the path to it, as
// ignore_changes spells it: "spec[0].template[0]".
func (w *walker) containers(body *hclsyntax.Body, s *scope, where string, u use, depth int) {
	if depth > maxDepth {
		return
	}
	if meta := firstBlock(body, "metadata"); meta != nil && where != "" {
		u.marks = u.marks.read(s, meta.Body) // the pod template's
	}
	count := map[string]int{}
	visit := func(b nested) {
		kind, inner, s := b.kind, b.body, b.scope
		path := strings.TrimPrefix(fmt.Sprintf("%s.%s[%d]", where, kind, count[kind]), ".")
		count[kind]++
		switch kind {
		case "container", "init_container", "ephemeral_container", "container_spec":
			if attr := inner.Attributes["image"]; attr != nil {
				w.attribute(attr, s, path+".image", u)
			}
			w.spotBlock(b, u)
		}
		w.containers(inner, s, path, u, depth+1)
	}
	for _, b := range s.blocks(body) {
		visit(b)
	}
}

// nested is a block inside another, with the scope that its expressions see.
type nested struct {
	kind  string
	body  *hclsyntax.Body
	scope *scope
}

// blocks are the blocks of a body, dynamic ones repeated for each element.
func (s *scope) blocks(body *hclsyntax.Body) []nested {
	var out []nested
	for _, b := range body.Blocks {
		if b.Type != "dynamic" || len(b.Labels) != 1 {
			out = append(out, nested{b.Type, b.Body, s})
			continue
		}
		content, each := firstBlock(b.Body, "content"), b.Body.Attributes["for_each"]
		if content == nil || each == nil {
			continue
		}
		iterator := b.Labels[0]
		if attr := b.Body.Attributes["iterator"]; attr != nil {
			if name := hcl.ExprAsKeyword(attr.Expr); name != "" {
				iterator = name
			}
		}
		for _, e := range s.repeat(s.eval(each.Expr), iterator) {
			out = append(out, nested{b.Labels[0], content.Body, e.scope})
		}
	}
	return out
}

// attribute takes the image that an attribute names. where is its path within the resource.
func (w *walker) attribute(attr *hclsyntax.Attribute, s *scope, where string, u use) {
	u.at = attr.NameRange
	w.image(s.eval(attr.Expr), u, covers(u.ignored, where))
}

// read takes DIUN's annotations from a metadata block, over those further out.
func (a annotations) read(s *scope, meta *hclsyntax.Body) annotations {
	attr := meta.Attributes["annotations"]
	if attr == nil {
		return a
	}
	return a.from(s.eval(attr.Expr))
}

func (a annotations) from(v *value) annotations {
	if v == nil || v.kind != kindObject {
		return a
	}
	for _, f := range v.fields {
		val, ok := f.val.known()
		if !ok {
			continue
		}
		switch f.key {
		case "diun.enable":
			a.disabled = val == "false"
		case "diun.include_tags":
			a.include = patterns(val)
		case "diun.exclude_tags":
			a.exclude = patterns(val)
		}
	}
	return a
}

// patterns splits a list of regular expressions as DIUN does, at semicolons
// (https://crazymax.dev/diun/providers/kubernetes/).
func patterns(s string) []string {
	var out []string
	for _, p := range strings.Split(s, ";") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// ignoreChanges is a resource's lifecycle.ignore_changes, each path as written.
func ignoreChanges(r *repo, body *hclsyntax.Body) []string {
	cycle := firstBlock(body, "lifecycle")
	if cycle == nil || cycle.Body.Attributes["ignore_changes"] == nil {
		return nil
	}
	expr := cycle.Body.Attributes["ignore_changes"].Expr
	list := []hclsyntax.Expression{expr}
	if tuple, ok := expr.(*hclsyntax.TupleConsExpr); ok {
		list = tuple.Exprs
	}
	var out []string
	for _, e := range list {
		rng := e.Range()
		f := r.files[rng.Filename]
		if f == nil || rng.End.Byte > len(f.src) {
			continue
		}
		out = append(out, strings.Trim(strings.Join(strings.Fields(string(f.src[rng.Start.Byte:rng.End.Byte])), ""), `"`))
	}
	return out
}

// covers reports whether ignore_changes holds for a path: the path itself or
// anything above it. An index that is left out or "*" stands for any.
func covers(ignored []string, where string) bool {
	for _, i := range ignored {
		if i == "all" || covered(strings.Split(i, "."), strings.Split(where, ".")) {
			return true
		}
	}
	return false
}

func covered(ignored, where []string) bool {
	if len(ignored) > len(where) {
		return false
	}
	for i, step := range ignored {
		if step == where[i] {
			continue
		}
		name, index, has := strings.Cut(step, "[")
		other, _, _ := strings.Cut(where[i], "[")
		if name != other || has && index != "*]" {
			return false
		}
	}
	return true
}
