package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	_ "github.com/vektah/gqlparser/v2/validator/rules" // those of the GraphQL specification
)

// serveGraphQL answers a query that holds against GitHub's schema.
func (g *GitHub) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls["GRAPHQL"]++
	t, status := g.bearer(r)
	if status != 0 {
		refuse(w, status, "Bad credentials")
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
	fail := func(kind, message string) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object{"data": nil, "errors": []object{{"type": kind, "message": message}}})
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: in.Query})
	if err == nil {
		if list := validator.Validate(g.contract.graphql, doc); len(list) > 0 { //nolint:staticcheck // the rules are those of the specification
			err = list
		}
	}
	if err != nil {
		g.violation("GraphQL: %w", err)
		fail("", err.Error())
		return
	}
	g.contract.count("GRAPHQL")
	data := object{"repository": func(args map[string]any) any {
		owner, _ := args["owner"].(string)
		name, _ := args["name"].(string)
		repo, _ := g.find(owner, name)
		if repo == nil || repo.owner != t.owner {
			return nil
		}
		return repo.graph()
	}}
	out := selected(doc.Operations[0].SelectionSet, data, in.Variables)
	if out["repository"] == nil {
		fail("NOT_FOUND", "Could not resolve to a Repository with the name given.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object{"data": out})
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

// graph is a repository as GraphQL shows it. g.mu is held.
func (r *Repository) graph() object {
	main := resolve(r.dir, "refs/heads/"+defaultBranch)
	return object{"__typename": "Repository", "id": itoa(int(r.id)), "nameWithOwner": r.FullName(),
		"defaultBranchRef": object{"id": "main", "name": defaultBranch, "target": object{"__typename": "Commit", "oid": main}},
		"object": func(args map[string]any) any {
			oid, _ := args["oid"].(string)
			if resolve(r.dir, oid) == "" {
				return nil
			}
			return r.graphCommit(oid)
		},
		"pullRequest": func(args map[string]any) any {
			n := 0
			switch v := args["number"].(type) {
			case float64:
				n = int(v)
			case int64:
				n = int(v)
			}
			p := r.pull(n)
			if p == nil {
				return nil
			}
			return r.graphPull(p, main)
		}}
}

func (r *Repository) graphPull(p *pull, main string) object {
	out := object{"__typename": "PullRequest", "number": p.number, "id": itoa(p.number), "isDraft": p.draft, "title": p.title, "body": p.body, "headRefOid": p.sha, "headRefName": p.head,
		"updatedAt": stamp(p.updated), "author": actor(p.author), "mergedBy": actor(p.mergedBy), "merged": p.merged, "state": strings.ToUpper(p.state), "mergeable": "UNKNOWN"}
	if resolve(r.dir, "refs/heads/"+p.head) != "" {
		out["headRef"] = object{"id": p.head, "name": p.head}
	}
	switch {
	case p.merged:
		out["state"], out["mergeCommit"] = "MERGED", object{"__typename": "Commit", "oid": p.mergeSHA}
	case p.state == "open":
		out["mergeable"] = "CONFLICTING"
		if _, ok := mergeTree(r.dir, main, p.sha); ok {
			out["mergeable"] = "MERGEABLE"
		}
	}
	var labels, reviews, comments, commits []object
	for _, l := range p.labels {
		labels = append(labels, object{"name": l})
	}
	for _, v := range p.reviews {
		reviews = append(reviews, object{"author": actor(v.login), "state": v.state, "submittedAt": stamp(v.at), "commit": object{"oid": v.sha}})
	}
	for _, c := range p.comments {
		node := object{"fullDatabaseId": itoa(int(c.id)), "author": actor(c.login), "body": c.body, "createdAt": stamp(c.created)}
		if !c.edited.IsZero() {
			node["lastEditedAt"] = stamp(c.edited)
		}
		comments = append(comments, node)
	}
	list, err := git(r.dir, nil, nil, "log", "--reverse", "--format=%H %ae", p.sha, "--not", main)
	if err == nil && list != "" {
		for line := range strings.Lines(list) {
			sha, email, _ := strings.Cut(strings.TrimSpace(line), " ")
			login, _, _ := strings.Cut(email, "@")
			node := object{"__typename": "Commit", "oid": sha, "author": object{"email": email, "user": actorUser(login)}, "statusCheckRollup": r.rollup(sha)}
			commits = append(commits, object{"commit": node})
		}
	}
	if len(commits) == 0 {
		commits = []object{{"commit": r.graphCommit(p.sha)}}
	}
	out["labels"], out["reviews"], out["comments"] = nodes(labels), nodes(reviews), nodes(comments)
	out["commits"] = func(args map[string]any) any {
		n := len(commits)
		if last, ok := args["last"].(int64); ok && int(last) < n {
			return object{"nodes": commits[n-int(last):], "totalCount": n}
		}
		return nodes(commits)
	}
	return out
}

// actorUser is a commit's author. Bots are no users in GraphQL's GitActor.
func actorUser(login string) any {
	if strings.HasSuffix(login, "[bot]") {
		return nil
	}
	return object{"__typename": "User", "login": login}
}

func (r *Repository) graphCommit(sha string) object {
	return object{"__typename": "Commit", "oid": sha, "author": object{"email": "", "user": nil}, "statusCheckRollup": r.rollup(sha)}
}

func (r *Repository) rollup(sha string) any {
	var list []object
	for name, state := range r.statuses[sha] {
		list = append(list, object{"__typename": "StatusContext", "context": name, "state": strings.ToUpper(state)})
	}
	for _, c := range r.runs {
		if c.sha != sha {
			continue
		}
		node := object{"__typename": "CheckRun", "name": c.name, "status": strings.ToUpper(c.status), "checkSuite": object{"app": object{"slug": c.app}}}
		if c.conclusion != "" {
			node["conclusion"] = strings.ToUpper(c.conclusion)
		}
		list = append(list, node)
	}
	if len(list) == 0 {
		return nil
	}
	return object{"state": "PENDING", "contexts": nodes(list)}
}
