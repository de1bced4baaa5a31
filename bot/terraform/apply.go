package terraform

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// Change is a file with its new content.
type Change struct {
	Path    string
	Content []byte
}

// Apply makes the splices and verifies the outcome: every file parses again,
// differs from what it was by the splices only, every pin at a spliced place
// comes to its new version, and every other pin stays as it was. Nothing is
// written; on an error, which names the file, nothing is returned.
func (inv *Inventory) Apply(splices []pin.Splice) ([]Change, []pin.Edit, error) {
	byPath := map[string][]pin.Splice{}
	for _, s := range splices {
		byPath[s.Span.Path] = append(byPath[s.Span.Path], s)
	}
	var changes []Change
	var edits []pin.Edit
	for _, p := range sortedKeys(byPath) {
		f := inv.repo.read(p)
		if f == nil {
			return nil, nil, fmt.Errorf("%s: not a file of the repository", p)
		}
		list, err := ordered(byPath[p])
		if err != nil {
			return nil, nil, err
		}
		content, err := splice(f, list)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, Change{Path: p, Content: content})
		edits = append(edits, lines(f, content, list)...)
	}
	if err := inv.verify(changes, splices); err != nil {
		return nil, nil, err
	}
	return changes, edits, nil
}

// ordered sorts splices by place, merges equal ones and refuses overlaps.
func ordered(list []pin.Splice) ([]pin.Splice, error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b pin.Splice) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	var out []pin.Splice
	for _, s := range list {
		if n := len(out); n > 0 {
			last := out[n-1]
			if last.Span.Start == s.Span.Start && last.Span.End == s.Span.End && last.New == s.New {
				continue
			}
			if s.Span.Start < last.Span.End || s.Span.Start == last.Span.Start {
				return nil, fmt.Errorf("%s:%d: asked to become both %q and %q", s.Span.Path, s.Span.Line, last.New, s.New)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// splice replaces the bytes. The new text may hold what a tag or digest may
// hold and nothing that could end the string that it stands in.
func splice(f *file, list []pin.Splice) ([]byte, error) {
	var out bytes.Buffer
	at := 0
	for _, s := range list {
		switch {
		case s.Span.Start < at || s.Span.End > len(f.src) || s.Span.End <= s.Span.Start:
			return nil, fmt.Errorf("%s:%d: place %d-%d is not in the file", s.Span.Path, s.Span.Line, s.Span.Start, s.Span.End)
		case string(f.src[s.Span.Start:s.Span.End]) != s.Span.Text:
			return nil, fmt.Errorf("%s:%d: %q is not there any more: scan again", s.Span.Path, s.Span.Line, s.Span.Text)
		case s.New == "" || strings.ContainsFunc(s.New, unsafe):
			return nil, fmt.Errorf("%s:%d: %q cannot stand in a version", s.Span.Path, s.Span.Line, s.New)
		}
		out.Write(f.src[at:s.Span.Start])
		out.WriteString(s.New)
		at = s.Span.End
	}
	out.Write(f.src[at:])
	return out.Bytes(), nil
}

func unsafe(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._+-:", r):
		return false
	}
	return true
}

// lines are the lines that the splices change.
func lines(f *file, content []byte, list []pin.Splice) []pin.Edit {
	after := &file{path: f.path, src: content}
	var out []pin.Edit
	for _, s := range list {
		line := f.line(s.Span.Start)
		if n := len(out); n > 0 && out[n-1].Line == line {
			continue
		}
		out = append(out, pin.Edit{Path: f.path, Line: line, Before: f.lineText(line), After: after.lineText(line), Shape: s.Shape})
	}
	return out
}

// verify parses the changed files and evaluates the repository with them.
func (inv *Inventory) verify(changes []Change, splices []pin.Splice) error {
	next, err := inv.repo.replaced(changes)
	if err != nil {
		return err
	}
	wanted := map[pin.Span]string{}
	for _, s := range splices {
		wanted[s.Span] = s.New
	}
	before, after := inv.Pins, next.inventory().Pins
	if len(before) != len(after) {
		return fmt.Errorf("%s: the edit changes which pins there are (%d, then %d): nothing is written", changedPaths(changes), len(before), len(after))
	}
	// An edit moves bytes, never lines, so the order is the same but for ties,
	// which are told apart by their use.
	for i, p := range before {
		q := after[i]
		version, digest := p.Version, p.Image.Digest
		if s, ok := wanted[p.Span]; ok {
			version = p.Prefix + s + p.Suffix
		}
		if p.Digest != nil {
			if s, ok := wanted[*p.Digest]; ok {
				digest = s
			}
		}
		if q.Address != p.Address || q.Image.Name() != p.Image.Name() || q.Chart != p.Chart {
			return fmt.Errorf("%s: the edit would turn %s into %s: nothing is written", changedPaths(changes), p.Address, q.Address)
		}
		if q.Version != version || q.Image.Digest != digest {
			return fmt.Errorf("%s:%d: %s would come to %q instead of %q: nothing is written", place(p).Path, place(p).Line, cmp.Or(p.Address, p.Image.Familiar()), q.Version, version)
		}
	}
	return nil
}

func changedPaths(changes []Change) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Path)
	}
	return strings.Join(out, ", ")
}

// replaced is the repository with some files' content changed; the others are
// shared and not parsed again.
func (r *repo) replaced(changes []Change) (*repo, error) {
	next := &repo{tree: r.tree, opts: r.opts, paths: r.paths, modules: map[string]*module{}, files: maps.Clone(r.files)}
	for _, c := range changes {
		f := &file{path: c.Path, src: c.Content}
		switch {
		case isHCL(c.Path):
			parsed, diags := hclsyntax.ParseConfig(c.Content, c.Path, hcl.InitialPos)
			if diags.HasErrors() {
				return nil, fmt.Errorf("%s:%d: does not parse after the edit (%s): nothing is written", c.Path, diags[0].Subject.Start.Line, diags[0].Summary)
			}
			body, ok := parsed.Body.(*hclsyntax.Body)
			if !ok {
				return nil, errors.New(c.Path + ": parsed to something else than a body")
			}
			f.body = body
		case path.Ext(c.Path) == ".yaml" || path.Ext(c.Path) == ".yml":
			if old := r.files[c.Path]; parsesAsYAML(old.src) == nil {
				if err := parsesAsYAML(c.Content); err != nil {
					return nil, fmt.Errorf("%s: does not parse after the edit (%w): nothing is written", c.Path, err)
				}
			}
		}
		next.files[c.Path] = f
	}
	for _, p := range sortedKeys(next.files) {
		if f := next.files[p]; f != nil && f.body != nil {
			next.place(f)
		}
	}
	return next, nil
}
