package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
	_ "github.com/vektah/gqlparser/v2/validator/rules" // those of the GraphQL specification
)

// serveGraphQL answers a query that holds against GitHub's schema.
func (g *GitHub) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls["GRAPHQL"]++
	t, p := g.bearer(r)
	if p != nil {
		refuse(w, p.status, p.message)
		return
	}
	var in struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	answer := func(data any, errs ...object) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		out := object{"data": data}
		if len(errs) > 0 {
			out["errors"] = errs
		}
		_ = json.NewEncoder(w).Encode(out)
	}
	if p := g.spend(w.Header(), t.owner, "graphql"); p != nil {
		if w.Header().Get("X-RateLimit-Remaining") != "0" { // a secondary limit
			refuse(w, p.status, p.message)
			return
		}
		answer(nil, object{"type": "RATE_LIMITED", "message": p.message})
		return
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: in.Query})
	if err == nil {
		if list := validator.ValidateWithRules(g.contract.graphql, doc, rules.NewDefaultRules()); len(list) > 0 {
			err = list
		}
	}
	if err != nil {
		g.violation("GraphQL: %w", err)
		answer(nil, object{"message": err.Error()})
		return
	}
	g.contract.countQuery(doc)
	if t.workflow != nil && t.workflow.needs(queryNeeds(doc)...) != nil {
		answer(nil, object{"type": "FORBIDDEN", "message": forbidden.message})
		return
	}
	var errs []object
	missing := func(kind, what string, path ...string) {
		errs = append(errs, object{"type": "NOT_FOUND", "path": path, "message": "Could not resolve to a " + kind + " with the " + what + "."})
	}
	viewer := slug + "[bot]"
	if t.workflow != nil {
		viewer = t.workflow.login
	}
	data := object{"viewer": object{"__typename": "User", "login": viewer}, "repository": func(args map[string]any) any {
		owner, _ := args["owner"].(string)
		name, _ := args["name"].(string)
		repo, _ := g.find(owner, name)
		if repo == nil || repo.owner != t.owner || repo.hidden {
			missing("Repository", "name '"+owner+"/"+name+"'", "repository")
			return nil
		}
		return repo.graph(missing)
	}}
	answer(selected(doc.Operations[0].SelectionSet, data, in.Variables), errs...)
}

// countQuery notes a query by what it asks a repository for, and the fields of
// the schema that it reads.
func (c *contract) countQuery(doc *ast.QueryDocument) {
	var walk func(set ast.SelectionSet, depth int)
	walk = func(set ast.SelectionSet, depth int) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if depth == 1 && len(s.Arguments) > 0 {
					c.count("GRAPHQL query of repository." + s.Name)
				}
				if s.ObjectDefinition != nil && s.Name != "__typename" {
					c.count("GRAPHQL field " + s.ObjectDefinition.Name + "." + s.Name)
				}
				walk(s.SelectionSet, depth+1)
			case *ast.InlineFragment:
				walk(s.SelectionSet, depth)
			}
		}
	}
	for _, op := range doc.Operations {
		walk(op.SelectionSet, 0)
	}
}

// selected takes what a query asks for out of a value. Functions are fields
// that have arguments.
func selected(set ast.SelectionSet, v object, variables map[string]any) object {
	out := object{}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			value, ok := v[s.Name]
			if s.Name == "__typename" {
				value, ok = v["__typename"], true
			}
			if !ok {
				value = nil
			}
			if f, ok := value.(func(map[string]any) any); ok {
				args := map[string]any{}
				for _, a := range s.Arguments {
					args[a.Name], _ = a.Value.Value(variables)
				}
				value = f(args)
			}
			out[s.Alias] = inner(s.SelectionSet, value, variables)
		case *ast.InlineFragment:
			if s.TypeCondition == "" || s.TypeCondition == v["__typename"] {
				for k, value := range selected(s.SelectionSet, v, variables) {
					out[k] = value
				}
			}
		}
	}
	return out
}

func inner(set ast.SelectionSet, value any, variables map[string]any) any {
	switch value := value.(type) {
	case object:
		if value == nil {
			return nil
		}
		return selected(set, value, variables)
	case []object:
		list := []any{}
		for _, v := range value {
			list = append(list, selected(set, v, variables))
		}
		return list
	}
	return value
}

func nodes(list []object) object { return object{"nodes": list, "totalCount": len(list)} }

func actor(login string) any {
	if login == "" {
		return nil
	}
	if name, ok := strings.CutSuffix(login, "[bot]"); ok {
		return object{"__typename": "Bot", "login": name}
	}
	return object{"__typename": "User", "login": login}
}
