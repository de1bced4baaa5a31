package terraform

import (
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// roots makes one instance for every root module: a directory with Terraform
// files that no module of the repository calls, or one that Terragrunt runs. See
// SPEC section 2.
func (r *repo) roots() []*instance {
	called := map[string]bool{}
	var out []*instance
	for _, dir := range sortedKeys(r.modules) {
		m := r.modules[dir]
		probe := newInstance(r, m)
		for _, call := range m.calls {
			if src, ok := probe.sourceDir(call); ok && src != dir {
				called[src] = true
			}
		}
	}
	for _, dir := range sortedKeys(r.modules) {
		m := r.modules[dir]
		if m.grunt == nil {
			continue
		}
		root := r.gruntRoot(m)
		if root == nil {
			continue
		}
		called[root.mod.dir] = true
		out = append(out, root)
	}
	for _, dir := range sortedKeys(r.modules) {
		m := r.modules[dir]
		if len(m.files) == 0 || called[dir] {
			continue
		}
		root := newInstance(r, m)
		root.home = dir
		root.loadVars()
		out = append(out, root)
	}
	// Modules that only call each other have no root; the first of each circle stands for it.
	seen := map[*module]bool{}
	var visit func(i *instance)
	visit = func(i *instance) {
		seen[i.mod] = true
		for _, call := range i.mod.calls {
			if dir, ok := i.sourceDir(call); ok {
				if m := r.modules[dir]; m != nil && !seen[m] {
					visit(newInstance(r, m))
				}
			}
		}
	}
	for _, i := range out {
		visit(i)
	}
	for _, dir := range sortedKeys(r.modules) {
		if m := r.modules[dir]; len(m.files) > 0 && !seen[m] {
			root := newInstance(r, m)
			root.home = dir
			root.loadVars()
			out = append(out, root)
			visit(root)
		}
	}
	slices.SortStableFunc(out, func(a, b *instance) int { return strings.Compare(a.home, b.home) })
	return out
}

// loadVars reads the module's .tfvars: the automatic ones in Terraform's order,
// later ones winning; and the others, any of which a command line may name.
func (i *instance) loadVars() {
	for _, f := range i.mod.autoVars {
		for name, attr := range f.body.Attributes {
			i.given[name] = i.top().eval(attr.Expr).reshaped(pin.ShapeTfvars)
		}
	}
	named := map[string][]*value{}
	for _, f := range i.mod.otherVars {
		for name, attr := range f.body.Attributes {
			named[name] = append(named[name], i.top().eval(attr.Expr).reshaped(pin.ShapeTfvars))
		}
	}
	for name, vs := range named {
		if i.given[name] == nil {
			i.given[name] = choice(vs...)
		}
	}
}

// namer says which service an instance belongs to.
type namer struct {
	patterns []string
	names    map[string]string // directory → name
}

func newNamer(opts Options, roots []*instance) *namer {
	n := &namer{patterns: opts.Roots, names: map[string]string{}}
	var dirs []string
	for _, i := range roots {
		dir := i.home
		if len(n.patterns) > 0 {
			dirs = append(dirs, n.below(i)...)
			continue
		}
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	byBase := map[string]int{}
	for _, d := range dirs {
		byBase[base(d, opts)]++
	}
	for _, d := range dirs {
		name := base(d, opts)
		for up := path.Dir(d); byBase[base(d, opts)] > 1 && up != "." && up != "/"; up = path.Dir(up) {
			name = path.Base(up) + "/" + name
			if !n.clash(name, d, dirs) {
				break
			}
		}
		n.names[d] = name
	}
	return n
}

// clash reports whether another directory ends in the same path.
func (n *namer) clash(name, dir string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return d != dir && (d == name || strings.HasSuffix(d, "/"+name)) })
}

func base(dir string, opts Options) string {
	if dir == "." {
		if opts.Repository != "" {
			return opts.Repository
		}
		return RootName
	}
	return path.Base(dir)
}

// below are the configured directories that an instance or one of the modules
// it calls lies in.
func (n *namer) below(i *instance) []string {
	var out []string
	var visit func(*instance)
	visit = func(i *instance) {
		if d, ok := n.match(i.home); ok {
			out = append(out, d)
			return
		}
		for _, call := range i.mod.calls {
			for _, child := range i.children(call.Labels[0]) {
				visit(child)
			}
		}
	}
	visit(i)
	return out
}

// match finds the directory above or at dir that a configured root matches.
func (n *namer) match(dir string) (string, bool) {
	for d := dir; ; d = path.Dir(d) {
		for _, p := range n.patterns {
			if ok, err := doublestar.Match(strings.Trim(path.Clean(p), "/"), d); err == nil && ok {
				return d, true
			}
		}
		if d == "." || d == "/" {
			return "", false
		}
	}
}

// of names the service of an instance: the outermost call that lies in a
// configured directory, or the root module. ok is false outside the configured ones.
func (n *namer) of(i *instance) (name, dir string, ok bool) {
	var chain []*instance
	for ; i != nil; i = i.parent {
		chain = append(chain, i)
	}
	root := chain[len(chain)-1]
	if len(n.patterns) == 0 {
		return n.names[root.home], root.home, true
	}
	for _, i := range slices.Backward(chain) {
		if d, ok := n.match(i.home); ok {
			return n.names[d], d, true
		}
	}
	if root.home == "." {
		return "root", ".", false
	}
	return path.Base(root.home), root.home, false
}

// repoRoot stands for the repository's root in the absolute paths that
// Terragrunt's functions return.
const repoRoot = "/@repository"

// gruntConfig is what one terragrunt.hcl says.
type gruntConfig struct {
	inst   *instance // in which its expressions are evaluated
	inputs *value
	source *value // terraform.source, nil when it has none
}

// maxIncludes bounds chains of includes and read_terragrunt_config.
const maxIncludes = 16

// gruntRoot makes the instance that a terragrunt.hcl runs: the module that its
// terraform.source names, or the directory itself, with its inputs.
func (r *repo) gruntRoot(m *module) *instance {
	cfg := r.gruntConfig(m.grunt, m.dir, 0)
	if cfg == nil {
		return nil
	}
	target := m
	if cfg.source != nil {
		src, ok := cfg.source.known()
		if !ok {
			return nil
		}
		dir, local := gruntSource(m.dir, src)
		if !local || r.modules[dir] == nil {
			return nil // a module outside the repository; its inputs are walked apart
		}
		target = r.modules[dir]
	}
	if len(target.files) == 0 {
		return nil // a parent that others include
	}
	root := newInstance(r, target)
	root.home = m.dir
	root.loadVars()
	for _, f := range cfg.inputs.fields {
		root.given[f.key] = f.val.reshaped(pin.ShapeInputs)
	}
	return root
}

func gruntSource(dir, src string) (string, bool) {
	src = strings.Replace(src, "//", "/", 1)
	if rest, ok := strings.CutPrefix(src, repoRoot); ok {
		return path.Clean(strings.TrimPrefix(rest, "/")), true
	}
	return localSource(dir, src)
}

func (r *repo) gruntConfig(f *file, dir string, depth int) *gruntConfig {
	if f == nil || f.body == nil || depth > maxIncludes {
		return nil
	}
	mod := &module{dir: path.Dir(f.path), locals: map[string]*hclsyntax.Attribute{}, variables: map[string]*hclsyntax.Block{}, named: map[string]*hclsyntax.Block{}}
	inst := newInstance(r, mod)
	inst.gruntDir, inst.gruntDepth = dir, depth
	for _, b := range f.body.Blocks {
		if b.Type == "locals" {
			for name, attr := range b.Body.Attributes {
				mod.locals[name] = attr
			}
		}
	}
	cfg := &gruntConfig{inst: inst, inputs: object()}
	includes := object()
	for _, b := range f.body.Blocks {
		if b.Type != "include" || b.Body.Attributes["path"] == nil {
			continue
		}
		parentFile, _ := inst.top().readPath(inst.top().eval(b.Body.Attributes["path"].Expr))
		if parentFile != nil && parentFile.body == nil {
			parentFile = r.files[parentFile.path]
		}
		parent := r.gruntConfig(parentFile, dir, depth+1)
		if parent == nil {
			continue
		}
		cfg.inputs = merged([]*value{cfg.inputs, parent.inputs})
		if parent.source != nil {
			cfg.source = parent.source
		}
		label := ""
		if len(b.Labels) > 0 {
			label = b.Labels[0]
		}
		includes.fields = append(includes.fields, field{label, parent.exposed()})
	}
	inst.vars = map[string]*value{"include": includes}
	top := inst.top()
	for _, b := range f.body.Blocks {
		if b.Type == "terraform" && b.Body.Attributes["source"] != nil {
			cfg.source = top.eval(b.Body.Attributes["source"].Expr)
		}
	}
	if attr := f.body.Attributes["inputs"]; attr != nil {
		own := top.eval(attr.Expr)
		if x, ok := attr.Expr.(*hclsyntax.ObjectConsExpr); ok {
			own = top.assignments(x)
		}
		cfg.inputs = merged([]*value{cfg.inputs, own})
	}
	return cfg
}

// exposed is a configuration as others see it: include.root.locals.x, .inputs.y.
func (c *gruntConfig) exposed() *value {
	locals := object()
	for _, name := range sortedKeys(c.inst.mod.locals) {
		locals.fields = append(locals.fields, field{name, c.inst.local(name)})
	}
	return object(field{"locals", locals}, field{"inputs", c.inputs})
}

// grunt handles Terragrunt's own functions. It returns nil for any other and
// outside terragrunt.hcl.
func (s *scope) grunt(name string, args []*value) *value {
	dir := s.inst.gruntDir
	if dir == "" {
		return nil
	}
	switch name {
	case "get_repo_root", "get_path_to_repo_root":
		return text(repoRoot)
	case "get_terragrunt_dir", "get_original_terragrunt_dir":
		return text(repoRoot + "/" + dir)
	case "get_parent_terragrunt_dir":
		return text(repoRoot + "/" + s.inst.mod.dir)
	case "path_relative_to_include":
		return text(strings.TrimPrefix(strings.TrimPrefix(dir, s.inst.mod.dir), "/"))
	case "find_in_parent_folders":
		names := []string{"terragrunt.hcl", "root.hcl"}
		if len(args) > 0 {
			if n, ok := args[0].known(); ok {
				names = []string{n}
			}
		}
		for d := path.Dir(dir); ; d = path.Dir(d) {
			for _, n := range names {
				if _, ok := s.inst.repo.paths[path.Join(d, n)]; ok {
					return text(repoRoot + "/" + path.Join(d, n))
				}
			}
			if d == "." {
				return unknown(pin.Unresolved, "no parent folder has "+names[0])
			}
		}
	case "read_terragrunt_config":
		if len(args) > 0 {
			f, _ := s.readPath(args[0])
			if cfg := s.inst.repo.gruntConfig(f, dir, s.inst.gruntDepth+1); cfg != nil {
				return cfg.exposed()
			}
		}
	}
	return nil
}
