package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/rules/pin"
)

// maxNesting bounds brackets within one file: hclsyntax descends once per
// bracket, so a file made of them would exhaust the stack.
const maxNesting = 256

// maxDepth bounds how deep an expression, a chain of references or a value is followed.
const maxDepth = 200

// file is one file of the repository, parsed at most once.
type file struct {
	path string
	src  []byte
	body *hclsyntax.Body // of HCL files that parse; nil otherwise
}

// line is the line of a byte offset, from 1.
func (f *file) line(offset int) int {
	return bytes.Count(f.src[:min(offset, len(f.src))], []byte("\n")) + 1
}

// lineText is a whole line without its line ending.
func (f *file) lineText(line int) string {
	rest := f.src
	for ; line > 1; line-- {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return ""
		}
		rest = rest[i+1:]
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(string(rest), "\r")
}

// repo is a parsed tree.
type repo struct {
	tree     Tree
	opts     Options
	paths    map[string]File
	modules  map[string]*module // by directory
	problems []Problem

	mu    sync.Mutex
	files map[string]*file // every file read so far, HCL and values alike
}

// module is a directory of Terraform files.
type module struct {
	dir       string
	files     []*file
	variables map[string]*hclsyntax.Block
	locals    map[string]*hclsyntax.Attribute
	outputs   map[string]*hclsyntax.Block
	resources []*hclsyntax.Block
	named     map[string]*hclsyntax.Block // resources by "type.name"
	calls     []*hclsyntax.Block
	autoVars  []*file // terraform.tfvars, *.auto.tfvars, in the order Terraform loads them
	otherVars []*file // other .tfvars files, which some command line may name
	grunt     *file   // terragrunt.hcl
}

// load lists and parses the tree's Terraform files.
func load(ctx context.Context, tree Tree, opts Options) (*repo, error) {
	listed, err := tree.Files(ctx)
	if err != nil {
		return nil, err
	}
	r := &repo{tree: tree, opts: opts, paths: make(map[string]File, len(listed)), modules: map[string]*module{}, files: map[string]*file{}}
	var wanted []string
	for _, f := range listed {
		r.paths[f.Path] = f
		if f.Link != "" {
			if isHCL(f.Path) || strings.HasSuffix(f.Path, ".tf.json") {
				r.link(f)
			}
			continue
		}
		switch {
		case isHCL(f.Path):
			wanted = append(wanted, f.Path)
		case strings.HasSuffix(f.Path, ".tf.json"):
			r.problem(f.Path, 0, "Terraform's JSON syntax is not read: write it as HCL for belay to follow its pins")
		}
	}
	if err := r.parseAll(ctx, wanted); err != nil {
		return nil, err
	}
	for _, p := range wanted {
		if f := r.files[p]; f != nil && f.body != nil {
			r.place(f)
		}
	}
	return r, nil
}

// isHCL reports whether a path is read as HCL.
func isHCL(p string) bool {
	switch path.Ext(p) {
	case ".tf", ".tofu", ".tfvars":
		return true
	case ".hcl":
		return path.Base(p) != ".terraform.lock.hcl"
	}
	return false
}

// link reports symbolic links to Terraform files that belay does not follow.
func (r *repo) link(f File) {
	target := path.Join(path.Dir(f.Path), f.Link)
	if path.IsAbs(f.Link) || target == ".." || strings.HasPrefix(target, "../") {
		r.problem(f.Path, 0, fmt.Sprintf("symbolic link to %s leaves the repository: not followed", f.Link))
		return
	}
	r.problem(f.Path, 0, fmt.Sprintf("symbolic link to %s: read where it points, not here", f.Link))
}

func (r *repo) problem(p string, line int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, Problem{At: pin.Location{Path: p, Line: line}, Text: text})
}

func (r *repo) parseAll(ctx context.Context, paths []string) error {
	g, ctx := errgroup.WithContext(ctx)
	limit := r.opts.Parallel
	if limit <= 0 {
		limit = runtime.GOMAXPROCS(0)
	}
	parsed := make([]*file, len(paths))
	// One goroutine per worker, not per file: trees have tens of thousands.
	for worker := range limit {
		g.Go(func() error {
			for i := worker; i < len(paths); i += limit {
				if err := ctx.Err(); err != nil {
					return err
				}
				src, ok := r.source(paths[i])
				if !ok {
					continue
				}
				parsed[i] = r.parse(paths[i], src)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, f := range parsed {
		if f != nil {
			r.files[f.path] = f
		}
	}
	return nil
}

// maxFile is the size in bytes above which a file is reported and not read.
const maxFile = 8 << 20

// source reads a file's bytes; what cannot be read is a problem with its name.
func (r *repo) source(p string) ([]byte, bool) {
	if size := r.paths[p].Size; size > maxFile {
		r.problem(p, 0, fmt.Sprintf("%d MB: larger than %d MB, not read", size>>20, maxFile>>20))
		return nil, false
	}
	src, err := r.tree.ReadFile(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case err != nil:
		r.problem(p, 0, "not read: "+strings.TrimPrefix(err.Error(), p+": "))
		return nil, false
	case len(src) > maxFile:
		r.problem(p, 0, fmt.Sprintf("%d MB: larger than %d MB, not read", len(src)>>20, maxFile>>20))
		return nil, false
	}
	return src, true
}

// parse parses one HCL file. A file that does not parse keeps its bytes only.
func (r *repo) parse(p string, src []byte) *file {
	f := &file{path: p, src: src}
	if depth := nesting(src); depth > maxNesting {
		r.problem(p, 0, fmt.Sprintf("brackets nested %d deep: not read", depth))
		return f
	}
	parsed, diags := hclsyntax.ParseConfig(src, p, hcl.InitialPos)
	if diags.HasErrors() {
		r.problem(p, diags[0].Subject.Start.Line, fmt.Sprintf("does not parse: %s: %s", diags[0].Summary, diags[0].Detail))
	}
	if parsed == nil {
		return f
	}
	// What could be read of a broken file is still looked at, so that its pins
	// are listed; Apply refuses to edit it.
	f.body, _ = parsed.Body.(*hclsyntax.Body)
	return f
}

// nesting is the deepest nesting of brackets in the bytes, comments and strings
// included: an upper bound of what the parser descends.
func nesting(src []byte) int {
	deepest, depth := 0, 0
	for _, c := range src {
		switch c {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

func (r *repo) module(dir string) *module {
	m := r.modules[dir]
	if m == nil {
		m = &module{dir: dir, variables: map[string]*hclsyntax.Block{}, locals: map[string]*hclsyntax.Attribute{},
			outputs: map[string]*hclsyntax.Block{}, named: map[string]*hclsyntax.Block{}}
		r.modules[dir] = m
	}
	return m
}

// place puts a parsed file into its module.
func (r *repo) place(f *file) {
	dir := path.Dir(f.path)
	base := path.Base(f.path)
	switch path.Ext(f.path) {
	case ".tfvars":
		m := r.module(dir)
		if base == "terraform.tfvars" {
			m.autoVars = slices.Insert(m.autoVars, 0, f)
		} else if strings.HasSuffix(base, ".auto.tfvars") {
			m.autoVars = append(m.autoVars, f)
		} else {
			m.otherVars = append(m.otherVars, f)
		}
		return
	case ".hcl":
		if base == "terragrunt.hcl" {
			r.module(dir).grunt = f
		}
		return
	case ".tf":
		// OpenTofu reads main.tofu instead of a main.tf beside it.
		if _, shadowed := r.files[strings.TrimSuffix(f.path, ".tf")+".tofu"]; shadowed {
			return
		}
	}
	m := r.module(dir)
	m.files = append(m.files, f)
	for _, b := range f.body.Blocks {
		m.add(b)
	}
}

func (m *module) add(b *hclsyntax.Block) {
	switch {
	case b.Type == "variable" && len(b.Labels) == 1:
		m.variables[b.Labels[0]] = b
	case b.Type == "output" && len(b.Labels) == 1:
		m.outputs[b.Labels[0]] = b
	case b.Type == "locals":
		for name, attr := range b.Body.Attributes {
			m.locals[name] = attr
		}
	case b.Type == "resource" && len(b.Labels) == 2:
		m.resources = append(m.resources, b)
		m.named[b.Labels[0]+"."+b.Labels[1]] = b
	case b.Type == "module" && len(b.Labels) == 1:
		m.calls = append(m.calls, b)
	}
}

// read returns a file that Terraform refers to by path: values, manifests, templates.
func (r *repo) read(p string) *file {
	r.mu.Lock()
	f, ok := r.files[p]
	r.mu.Unlock()
	if ok {
		return f
	}
	listed, ok := r.paths[p]
	if !ok || listed.Link != "" {
		return nil
	}
	src, ok := r.source(p)
	if ok {
		f = &file{path: p, src: src}
	}
	r.mu.Lock()
	r.files[p] = f
	r.mu.Unlock()
	return f
}

// at turns a range of a file into the parts of a string. Text that the file
// does not hold as such, because of an escape, gets no place.
func (r *repo) at(rng hcl.Range, s string) []part {
	f := r.files[rng.Filename]
	if f == nil || rng.End.Byte > len(f.src) || rng.Start.Byte > rng.End.Byte {
		return []part{{text: s}}
	}
	raw := string(f.src[rng.Start.Byte:rng.End.Byte])
	if raw == s {
		return []part{{text: s, path: f.path, start: rng.Start.Byte, shape: pin.ShapeLiteral}}
	}
	// An indented heredoc (<<-) loses its indentation line by line.
	rawLines, lines := strings.SplitAfter(raw, "\n"), strings.SplitAfter(s, "\n")
	if len(rawLines) != len(lines) {
		return []part{{text: s}}
	}
	var out []part
	at := rng.Start.Byte
	for i, line := range lines {
		at += len(rawLines[i])
		if !strings.HasSuffix(rawLines[i], line) {
			return []part{{text: s}}
		}
		if line != "" {
			out = append(out, part{text: line, path: f.path, start: at - len(line), shape: pin.ShapeLiteral})
		}
	}
	return out
}
