package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// graph is a repository as GraphQL shows it; what it has not is reported as
// missing. g.mu is held.
func (r *Repository) graph(missing func(kind, what string, path ...string)) object {
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
		"issue": func(args map[string]any) any {
			n := integer(args["number"])
			i := r.issue(n)
			if i == nil {
				missing("Issue", "number of "+itoa(n), "repository", "issue")
				return nil
			}
			return graphIssue(i)
		},
		"issues": func(args map[string]any) any {
			var list []object
			labels := listed(args["labels"])
			for _, i := range r.issues {
				if len(labels) == 0 || slices.ContainsFunc(labels, func(l any) bool { return slices.Contains(i.labels, fmt.Sprint(l)) }) {
					list = append(list, graphIssue(i))
				}
			}
			return nodes(list)
		},
		"pullRequest": func(args map[string]any) any {
			n := integer(args["number"])
			p := r.pull(n)
			if p == nil {
				missing("PullRequest", "number of "+itoa(n), "repository", "pullRequest")
				return nil
			}
			return r.graphPull(p, main)
		},
		"refs": func(args map[string]any) any { return r.graphRefs(args, main) }}
}

// graphRefs is a page of the branches under a prefix that ends with a slash.
func (r *Repository) graphRefs(args map[string]any, main string) object {
	prefix, _ := args["refPrefix"].(string)
	after, _ := args["after"].(string)
	list, err := git(r.dir, nil, nil, "for-each-ref", "--format=%(refname)", prefix)
	if err != nil {
		list = ""
	}
	var page []object
	end, more := after, false
	for name := range strings.Lines(list) {
		name = strings.TrimSpace(name)
		if name <= after {
			continue
		}
		if more = len(page) == integer(args["first"]); more {
			break
		}
		end, page = name, append(page, object{"__typename": "Ref", "id": name, "name": strings.TrimPrefix(name, prefix),
			"associatedPullRequests": func(args map[string]any) any { return r.graphPullsOf(name, args, main) }})
	}
	out := nodes(page)
	out["pageInfo"] = object{"hasNextPage": more, "endCursor": end}
	return out
}

// graphPullsOf are the pull requests in some states whose head is a ref.
func (r *Repository) graphPullsOf(ref string, args map[string]any, main string) object {
	states := listed(args["states"])
	var list []object
	for _, p := range r.pulls {
		if len(list) == integer(args["first"]) {
			break
		}
		if p.fork || "refs/heads/"+p.head != ref {
			continue
		}
		if g := r.graphPull(p, main); len(states) == 0 || slices.Contains(states, g["state"]) {
			list = append(list, g)
		}
	}
	return nodes(list)
}

func (r *Repository) graphPull(p *pull, main string) object {
	out := object{"__typename": "PullRequest", "number": p.number, "id": itoa(p.number), "isDraft": p.draft, "title": p.title, "body": p.body, "headRefOid": p.sha, "headRefName": p.head,
		"updatedAt": stamp(p.updated), "author": actor(p.author), "mergedBy": actor(p.mergedBy), "merged": p.merged, "state": strings.ToUpper(p.state), "mergeable": "UNKNOWN"}
	if resolve(r.dir, "refs/heads/"+p.head) != "" {
		out["headRef"] = object{"id": p.head, "name": p.head}
	}
	switch {
	case p.merged:
		out["state"], out["mergeCommit"] = "MERGED", object{"__typename": "Commit", "oid": p.mergeSHA, "statusCheckRollup": r.rollup(p.mergeSHA)}
	case p.state == "open":
		out["mergeable"] = r.mergeable(p, main)
	}
	var labels, reviews, commits []object
	for _, l := range p.labels {
		labels = append(labels, object{"name": l})
	}
	for _, v := range p.reviews {
		reviews = append(reviews, object{"author": actor(v.login), "state": v.state, "submittedAt": stamp(v.at), "commit": object{"oid": v.sha}})
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
	out["labels"], out["reviews"], out["comments"] = nodes(labels), nodes(reviews), nodes(graphComments(p.comments))
	out["commits"] = func(args map[string]any) any {
		n := len(commits)
		if last, ok := args["last"].(int64); ok && int(last) < n {
			return object{"nodes": commits[n-int(last):], "totalCount": n}
		}
		return nodes(commits)
	}
	return out
}

// integer is an argument that is an integer: written into the query, or a variable.
func integer(v any) int {
	switch v := v.(type) {
	case float64:
		return int(v)
	case int64:
		return int(v)
	}
	return 0
}

// listed is an argument that is a list. A value stands for the list that holds
// it alone: GraphQL specification, 3.11, input coercion.
func listed(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func graphComments(list []*comment) []object {
	var out []object
	for _, c := range list {
		node := object{"fullDatabaseId": itoa(int(c.id)), "author": actor(c.login), "body": c.body, "createdAt": stamp(c.created)}
		if !c.edited.IsZero() {
			node["lastEditedAt"], node["editor"] = stamp(c.edited), actor(c.editor)
		}
		out = append(out, node)
	}
	return out
}

// mergeable is what GitHub says about merging p into main. With LazyMerge it is
// worked out when it was asked for, and UNKNOWN until then.
func (r *Repository) mergeable(p *pull, main string) string {
	if at := p.sha + " " + main; r.g.opts.LazyMerge && p.judged != at {
		p.judged = at
		return "UNKNOWN"
	}
	if _, ok := mergeTree(r.dir, main, p.sha); ok {
		return "MERGEABLE"
	}
	return "CONFLICTING"
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
