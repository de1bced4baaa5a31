package terraform

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/watch"
)

// Trouble is what is known of a failure that may be fixed forward.
type Trouble struct {
	Cause     watch.Cause
	Workload  watch.Workload // that fails; Kind may be ""
	Container string         // of it; "" when not known
	Variable  string         // the environment variable that is missing; "" when none is known to be
	Value     string         // what the release notes say to set it to; "" when they do not
}

// Fix is a change that makes the new version run instead of undoing it. SPEC section 11.
type Fix struct {
	Path       string
	Line       int    // of the first line of Before, from 1
	Before     string // whole lines, without the last line ending
	After      string
	Why        string   // for people, a sentence without its full stop
	NeedsValue bool     // After holds Placeholder, which a person has to replace first
	Changes    []Change // the files with their new content
}

// Placeholder stands in a Fix where only a person knows the value.
const Placeholder = "CHANGE_ME"

// Fix offers a change for a failure: the memory limit doubled in the place
// where it is written, or the missing environment variable added to the
// container. Like Apply it verifies what it made and writes nothing. It
// reports false where the repository does not show the place.
func (inv *Inventory) Fix(service string, t Trouble) (Fix, bool) {
	switch {
	case t.Cause == watch.CauseOOM:
		return inv.moreMemory(service, t)
	case t.Variable != "" && variableForm.MatchString(t.Variable):
		return inv.addVariable(service, t)
	}
	return Fix{}, false
}

// variableForm matches names that may stand as an environment variable.
var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// spot is a container as the repository describes it.
type spot struct {
	service   string
	workload  string // name; of a Helm release its own
	namespace string
	name      string // the container's, or the keys above it in a chart's values
	chart     bool
	body      *hclsyntax.Body // the container's block; nil in YAML
	scope     *scope
	limit     *value // resources.limits.memory; nil when not set
	request   *value
}

// spots walks the repository for its containers.
func (r *repo) spots() []spot {
	var out []spot
	roots := r.roots()
	for _, i := range roots {
		i.setHomes()
	}
	w := &walker{repo: r, names: newNamer(r.opts, roots), files: map[string]map[string]bool{}, dirs: map[string]string{}, places: map[string]*placed{},
		spot: func(s spot) { out = append(out, s) }}
	for _, i := range roots {
		w.instance(i)
	}
	return out
}

// spotBlock notes a container written as a block.
func (w *walker) spotBlock(b nested, u use) {
	if w.spot == nil || u.outside || u.disabled {
		return
	}
	s := spot{service: u.service, workload: u.workload, namespace: u.namespace, name: b.scope.string(b.body, "name"), body: b.body, scope: b.scope}
	for _, in := range b.scope.blocks(b.body) {
		if in.kind == "resources" {
			s.limit, s.request = memoryOf(in, "limits"), memoryOf(in, "requests")
		}
	}
	w.spot(s)
}

// memoryOf is the memory of limits or requests, written as a map or as a block.
func memoryOf(resources nested, kind string) *value {
	if attr := resources.body.Attributes[kind]; attr != nil {
		return resources.scope.eval(attr.Expr).get("memory")
	}
	for _, b := range resources.scope.blocks(resources.body) {
		if attr := b.body.Attributes["memory"]; b.kind == kind && attr != nil {
			return b.scope.eval(attr.Expr)
		}
	}
	return nil
}

// spotValues notes what in a manifest or in a chart's values has a memory limit.
func (w *walker) spotValues(v *value, keys string, u use, depth int) {
	if w.spot == nil || u.outside || u.disabled || v == nil || depth > maxDepth {
		return
	}
	v.each(func(v *value) {
		if res := v.get("resources"); res != nil {
			s := spot{service: u.service, workload: u.workload, namespace: u.namespace, name: keys, chart: u.chart.Name != ""}
			if name := v.get("name"); name != nil && !s.chart {
				s.name = stringOf(name)
			}
			if l := res.get("limits"); l != nil {
				s.limit = l.get("memory")
			}
			if l := res.get("requests"); l != nil {
				s.request = l.get("memory")
			}
			w.spot(s)
		}
		for _, e := range v.items {
			w.spotValues(e, keys, u, depth+1)
		}
		for _, f := range uniqueFields(v.fields) {
			if f.key != "resources" {
				w.spotValues(f.val, strings.TrimPrefix(keys+"."+f.key, "."), u, depth+1)
			}
		}
	})
}

// matching are the spots that a trouble may mean, the likeliest only: those
// written for the workload, else a chart's in the namespace.
func matching(all []spot, service string, t Trouble, ok func(spot) bool) []spot {
	own := func(chart bool, f func(spot) bool) []spot {
		var out []spot
		for _, s := range all {
			near := s.namespace == "" || t.Workload.Namespace == "" || s.namespace == t.Workload.Namespace
			if s.service == service && s.chart == chart && near && ok(s) && f(s) {
				out = append(out, s)
			}
		}
		return out
	}
	if out := own(false, func(s spot) bool {
		return s.workload == t.Workload.Name && (t.Container == "" || s.name == t.Container)
	}); len(out) > 0 {
		return out
	}
	if out := own(true, func(s spot) bool {
		return t.Container != "" && slices.Contains(strings.Split(s.name, "."), t.Container)
	}); len(out) > 0 {
		return out
	}
	return own(true, func(spot) bool { return true })
}

// moreMemory doubles the limit of the container, and its request where that is equal.
func (inv *Inventory) moreMemory(service string, t Trouble) (Fix, bool) {
	all := inv.repo.spots()
	w := &walker{repo: inv.repo}
	found := matching(all, service, t, func(s spot) bool { return s.limit != nil })
	if len(found) == 0 {
		return Fix{}, false
	}
	s := found[0]
	for _, other := range found[1:] {
		if w.memoryAt(other.limit) != w.memoryAt(s.limit) {
			return Fix{}, false // which one is meant is not known
		}
	}
	at := w.memoryAt(s.limit)
	double, ok := watch.DoubleMemory(at.Text)
	if !ok {
		return Fix{}, false
	}
	splices := []pin.Splice{{Span: at, New: double}}
	why := fmt.Sprintf("the container was killed at its memory limit of %s: the limit is doubled to %s", at.Text, double)
	if s.request != nil {
		if req := w.memoryAt(s.request); req != at && watch.SameMemory(req.Text, at.Text) {
			splices = append(splices, pin.Splice{Span: req, New: double})
			why += ", and so is its request, which was equal"
		}
	}
	if others := sharing(w, all, s, at); len(others) > 0 {
		why += "; the same line is also the limit of " + strings.Join(others, ", ")
	}
	changes, edits, err := inv.Apply(splices)
	if err != nil || len(edits) == 0 {
		return Fix{}, false
	}
	return inv.asFix(changes, edits, at, why)
}

// memoryAt is the one place where an amount of memory is written; the empty span when there is none.
func (w *walker) memoryAt(v *value) pin.Span {
	if v == nil || v.kind != kindString {
		return pin.Span{}
	}
	if _, known := v.known(); !known {
		return pin.Span{}
	}
	span, why := w.span(v, "")
	if why != "" {
		return pin.Span{}
	}
	return *span
}

// sharing names the other workloads whose limit stands at the same place.
func sharing(w *walker, all []spot, s spot, at pin.Span) []string {
	var out []string
	for _, o := range all {
		if o.limit == nil || o.service == s.service && o.workload == s.workload && o.name == s.name {
			continue
		}
		if name := strings.Trim(o.service+"/"+o.workload, "/"); w.memoryAt(o.limit) == at && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// nearby is how many lines apart two edits may be to be shown as one.
const nearby = 20

// asFix shows the edits of the file that the limit is in as one run of lines.
func (inv *Inventory) asFix(changes []Change, edits []pin.Edit, at pin.Span, why string) (Fix, bool) {
	first, last := at.Line, at.Line
	for _, e := range edits {
		if e.Path == at.Path && e.Line >= at.Line-nearby && e.Line <= at.Line+nearby {
			first, last = min(first, e.Line), max(last, e.Line)
		}
	}
	fix := Fix{Path: at.Path, Line: first, Why: why, Changes: changes}
	before := inv.repo.files[at.Path]
	for _, c := range changes {
		if c.Path == at.Path {
			fix.Before, fix.After = before.span(first, last), (&file{src: c.Content}).span(first, last)
		}
	}
	return fix, fix.Before != fix.After
}

// span is the text of whole lines, without line endings' carriage returns.
func (f *file) span(first, last int) string {
	var out []string
	for l := first; l <= last; l++ {
		out = append(out, f.lineText(l))
	}
	return strings.Join(out, "\n")
}

// addVariable adds an env block to the container, after those that it has.
func (inv *Inventory) addVariable(service string, t Trouble) (Fix, bool) {
	found := matching(inv.repo.spots(), service, t, func(s spot) bool { return s.body != nil })
	if len(found) != 1 {
		return Fix{}, false // none, or several made of one block
	}
	s := found[0]
	f := inv.repo.files[s.body.SrcRange.Filename]
	if f == nil || !within(s, f.path) || has(s, t.Variable) {
		return Fix{}, false
	}
	line := s.after()
	if line == 0 {
		return Fix{}, false
	}
	value := t.Value
	if value == "" {
		value = Placeholder
	}
	block := envBlock(indentOf(f.lineText(line)), t.Variable, value, strings.Contains(string(f.src), "\r\n"))
	end := lineEnd(f.src, line)
	content := append(append(slices.Clone(f.src[:end]), block...), f.src[end:]...)
	changes := []Change{{Path: f.path, Content: content}}
	if inv.verifyVariable(changes, service, t) != nil {
		return Fix{}, false
	}
	fix := Fix{Path: f.path, Line: line, Before: f.lineText(line), NeedsValue: value == Placeholder, Changes: changes,
		Why: fmt.Sprintf("the log says that %s is missing, and the release notes name it", t.Variable)}
	fix.After = (&file{src: content}).span(line, line+strings.Count(block, "\n"))
	if fix.NeedsValue {
		fix.Why += "; its value has to be filled in, from a Secret if it is one"
	}
	return fix, true
}

// within reports whether a file belongs to the spot's service alone: a module
// that others call is not changed for one of them.
func within(s spot, p string) bool {
	i := s.scope.inst
	for i.parent != nil {
		i = i.parent
	}
	root := i.home
	return i.home == "." || path.Dir(p) == root || strings.HasPrefix(p, root+"/")
}

// has reports whether the container has the variable already, or may get it from a loop.
func has(s spot, name string) bool {
	for _, b := range s.scope.blocks(s.body) {
		if n := b.body.Attributes["name"]; b.kind == "env" && n != nil {
			if v, known := b.scope.eval(n.Expr).known(); !known || v == name {
				return true
			}
		}
	}
	return false
}

// after is the line after which the block goes: that of the last env block, else of the image.
func (s spot) after() int {
	line := 0
	for _, b := range s.body.Blocks {
		if b.Type == "env" || b.Type == "dynamic" && len(b.Labels) == 1 && b.Labels[0] == "env" {
			line = b.CloseBraceRange.End.Line
		}
	}
	if image := s.body.Attributes["image"]; line == 0 && image != nil {
		line = image.SrcRange.End.Line
	}
	return line
}

func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// lineEnd is the offset after a line's ending.
func lineEnd(src []byte, line int) int {
	at := 0
	for ; line > 0 && at < len(src); line-- {
		i := strings.IndexByte(string(src[at:]), '\n')
		if i < 0 {
			return len(src)
		}
		at += i + 1
	}
	return at
}

func envBlock(indent, name, value string, crlf bool) string {
	block := indent + "env {\n" + indent + "  name  = " + quoted(name) + "\n" + indent + "  value = " + quoted(value) + "\n" + indent + "}\n"
	if crlf {
		block = strings.ReplaceAll(block, "\n", "\r\n")
	}
	return block
}

// verifyVariable parses the changed file and looks whether the container has
// the variable now and every pin is what it was.
func (inv *Inventory) verifyVariable(changes []Change, service string, t Trouble) error {
	next, err := inv.repo.replaced(changes)
	if err != nil {
		return err
	}
	before, after := inv.Pins, next.inventory().Pins
	if !slices.EqualFunc(before, after, func(a, b pin.Pin) bool {
		return a.Address == b.Address && a.Image == b.Image && a.Version == b.Version && a.Reason == b.Reason
	}) {
		return fmt.Errorf("%s: the edit changes pins: nothing is written", changedPaths(changes))
	}
	for _, s := range matching(next.spots(), service, t, func(s spot) bool { return s.body != nil }) {
		if has(s, t.Variable) {
			return nil
		}
	}
	return fmt.Errorf("%s: %s did not reach the container: nothing is written", changedPaths(changes), t.Variable)
}
