package sandbox

import (
	"maps"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// operationNeeds are the permissions that GitHub asks of a token for what belay
// calls in a repository, as "key level". Where GitHub takes either of two for a
// pull request, it is the one for issues. See
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps.
var operationNeeds = map[string]string{
	"GET /repos/{owner}/{repo}":                                         "metadata read",
	"GET /repos/{owner}/{repo}/branches/{branch}":                       "contents read",
	"GET /repos/{owner}/{repo}/rules/branches/{branch}":                 "metadata read",
	"GET /repos/{owner}/{repo}/pulls":                                   "pull_requests read",
	"POST /repos/{owner}/{repo}/pulls":                                  "pull_requests write",
	"PATCH /repos/{owner}/{repo}/pulls/{pull_number}":                   "pull_requests write",
	"PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge":               "contents write",
	"GET /repos/{owner}/{repo}/labels":                                  "issues read",
	"POST /repos/{owner}/{repo}/labels":                                 "issues write",
	"PUT /repos/{owner}/{repo}/issues/{issue_number}/labels":            "issues write",
	"POST /repos/{owner}/{repo}/issues":                                 "issues write",
	"PATCH /repos/{owner}/{repo}/issues/{issue_number}":                 "issues write",
	"POST /repos/{owner}/{repo}/issues/{issue_number}/comments":         "issues write",
	"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}":          "issues write",
	"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions": "issues write",
	"GET /repos/{owner}/{repo}/issues/comments/{comment_id}":            "issues read",
	"POST /repos/{owner}/{repo}/statuses/{sha}":                         "statuses write",
	"POST /repos/{owner}/{repo}/check-runs":                             "checks write",
	"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}":             "checks write",
	"GET /repos/{owner}/{repo}/collaborators/{username}/permission":     "metadata read",
	"GET /repos/{owner}/{repo}/releases":                                "contents read",
	"GET /repos/{owner}/{repo}/tags":                                    "contents read",
	"GET /repos/{owner}/{repo}/contents/{path}":                         "contents read",
	"GET /repos/{owner}/{repo}/git/blobs/{file_sha}":                    "contents read",
}

// fieldNeeds are those that GraphQL asks for a field, or for a type's fields.
var fieldNeeds = map[string]string{
	"object": "contents read", "refs": "contents read", "pullRequest": "pull_requests read", "associatedPullRequests": "pull_requests read", "issue": "issues read", "issues": "issues read",
	"CheckRun": "checks read", "checkSuite": "checks read", "StatusContext": "statuses read",
}

// needs holds a request against what the token may do, and notes what it needs.
func (w *workflow) needs(all ...string) error {
	for _, need := range all {
		key, level, ok := strings.Cut(need, " ")
		if !ok || key == "metadata" { // which every token has
			continue
		}
		if w.used[key] != "write" {
			w.used[key] = level
		}
		if have := w.may[key]; w.may != nil && have != "write" && have != level {
			return forbidden
		}
	}
	return nil
}

// queryNeeds are the permissions that a query asks for.
func queryNeeds(doc *ast.QueryDocument) []string {
	var out []string
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				out = append(out, fieldNeeds[s.Name])
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				out = append(out, fieldNeeds[s.TypeCondition])
				walk(s.SelectionSet)
			}
		}
	}
	for _, op := range doc.Operations {
		walk(op.SelectionSet)
	}
	return out
}

// LimitedToken is a WorkflowToken with some permissions and no others, by their
// names in GitHub's API: "pull_requests": "read".
func (r *Repository) LimitedToken(permissions map[string]string) string {
	return r.token(workflow{login: "github-actions[bot]", app: "github-actions", may: maps.Clone(permissions)})
}

// Used are the permissions that what was asked with a workflow's token needed,
// in that form.
func (g *GitHub) Used(token string) map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.tokens[token]
	if !ok || t.workflow == nil {
		return nil
	}
	return maps.Clone(t.workflow.used)
}
