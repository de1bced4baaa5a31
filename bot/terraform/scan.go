package terraform

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/belaybot/belay/rules/pin"
)

// Scan reads the tree and finds every pin. What cannot be read is a Problem of
// the inventory; an error means that the tree itself could not be read or that
// ctx ended.
func Scan(ctx context.Context, tree Tree, opts Options) (*Inventory, error) {
	r, err := load(ctx, tree, opts)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.inventory(), nil
}

// inventory evaluates the parsed tree. It may be called again after files have
// been replaced.
func (r *repo) inventory() *Inventory {
	roots := r.roots()
	for _, i := range roots {
		i.setHomes()
	}
	w := &walker{repo: r, names: newNamer(r.opts, roots), files: map[string]map[string]bool{}, dirs: map[string]string{}, places: map[string]*placed{}}
	for _, i := range roots {
		w.instance(i)
	}
	inv := &Inventory{repo: r, places: w.places}
	for _, name := range sortedKeys(w.dirs) {
		inv.Services = append(inv.Services, Service{Name: name, Directory: w.dirs[name], Files: sortedKeys(w.files[name])})
	}
	slices.SortStableFunc(w.pins, order)
	inv.Pins = slices.CompactFunc(w.pins, func(a, b pin.Pin) bool { return order(a, b) == 0 && a.Version == b.Version && a.Reason == b.Reason })
	inv.Problems = slices.Clone(r.problems)
	slices.SortStableFunc(inv.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.At.Path, b.At.Path), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.Text, b.Text))
	})
	inv.Problems = slices.Compact(inv.Problems)
	return inv
}

// setHomes says for every module below a root in which directory it lives.
func (i *instance) setHomes() {
	for _, call := range i.mod.calls {
		for _, c := range i.children(call.Labels[0]) {
			c.home = c.mod.dir
			c.setHomes()
		}
	}
}

func order(a, b pin.Pin) int {
	return cmp.Or(
		cmp.Compare(a.Service, b.Service), cmp.Compare(place(a).Path, place(b).Path), cmp.Compare(place(a).Line, place(b).Line),
		cmp.Compare(a.Span.Start, b.Span.Start), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Image.Name(), b.Image.Name()), cmp.Compare(a.Use.Path, b.Use.Path), cmp.Compare(a.Use.Line, b.Use.Line),
	)
}

// place is where a pin is shown: the version's place, or the use's where there is none.
func place(p pin.Pin) pin.Location {
	if p.Span.Path == "" {
		return p.Use
	}
	return pin.Location{Path: p.Span.Path, Line: p.Span.Line}
}

// Content returns a file's bytes as they were scanned.
func (inv *Inventory) Content(path string) ([]byte, error) {
	f := inv.repo.read(path)
	if f == nil {
		return nil, fmt.Errorf("%s: not a file of the repository", path)
	}
	return f.src, nil
}
