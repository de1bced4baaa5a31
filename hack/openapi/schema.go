package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

// trimSchema keeps some fields of the GraphQL schema, and the arguments,
// scalars and enumerations that they need.
func trimSchema(data []byte) ([]byte, error) {
	whole, err := parser.ParseSchema(&ast.Source{Name: "schema.graphql", Input: string(data)}) // it does not hold in parts that are not used here
	if err != nil {
		return nil, err
	}
	types := map[string]*ast.Definition{}
	for _, d := range whole.Definitions {
		types[d.Name] = d
	}
	keep := map[string]bool{}
	var need func(t *ast.Type)
	need = func(t *ast.Type) {
		d := types[t.Name()]
		if d == nil || keep[d.Name] { // nil: a scalar of GraphQL itself
			return
		}
		keep[d.Name] = true
		for _, f := range d.Fields {
			if d.Kind == ast.InputObject {
				need(f.Type)
			}
		}
	}
	for name, list := range fields {
		d := types[name]
		if d == nil {
			return nil, fmt.Errorf("the schema has no type %s", name)
		}
		keep[name] = true
		var kept ast.FieldList
		for _, f := range strings.Fields(list) {
			field := d.Fields.ForName(f)
			if field == nil {
				return nil, fmt.Errorf("the schema has no %s.%s", name, f)
			}
			kept = append(kept, field)
		}
		d.Fields = kept
	}
	for name := range fields {
		for _, f := range types[name].Fields {
			need(f.Type)
			for _, a := range f.Arguments {
				need(a.Type)
			}
		}
	}
	doc := &ast.SchemaDocument{}
	for name, d := range types {
		if !keep[name] {
			continue
		}
		d.Description = ""
		d.Directives = nil
		d.Interfaces = slices.DeleteFunc(d.Interfaces, func(i string) bool { return fields[i] == "" })
		d.Types = slices.DeleteFunc(d.Types, func(t string) bool { return !keep[t] })
		for _, f := range d.Fields {
			f.Description, f.Directives = "", nil
			for _, a := range f.Arguments {
				a.Description, a.Directives = "", nil
			}
		}
		for _, v := range d.EnumValues {
			v.Description, v.Directives = "", nil
		}
		doc.Definitions = append(doc.Definitions, d)
	}
	slices.SortFunc(doc.Definitions, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	formatter.NewFormatter(&b).FormatSchemaDocument(doc)
	if _, err := gqlparser.LoadSchema(&ast.Source{Name: "trimmed", Input: b.String()}); err != nil {
		return nil, fmt.Errorf("the trimmed schema does not hold: %w", err)
	}
	return b.Bytes(), nil
}
