package sandbox

import (
	"fmt"
	"net/http"
	"slices"
)

// RequireChecks has the default branch ask for checks.
func (r *Repository) RequireChecks(contexts ...string) {
	defer r.lock()()
	r.required = contexts
}

// RequireChecksByRule has a ruleset ask for checks, GitHub's newer way.
func (r *Repository) RequireChecksByRule(contexts ...string) {
	defer r.lock()()
	r.ruled = contexts
}

// RequireReviews has the default branch ask for approving reviews by people
// who may write.
func (r *Repository) RequireReviews(n int) {
	defer r.lock()()
	r.reviewers = n
}

func (r *Repository) protected() bool { return len(r.required) > 0 || r.reviewers > 0 }

func (c *call) branch() (int, any, error) {
	name := c.r.PathValue("branch")
	sha := resolve(c.repo.dir, "refs/heads/"+name)
	if sha == "" {
		return 0, nil, &problem{http.StatusNotFound, "Branch not found"}
	}
	protected := name == defaultBranch && c.repo.protected()
	checks, contexts, level := []any{}, []any{}, "off"
	if protected && len(c.repo.required) > 0 {
		level = "non_admins"
		for _, context := range c.repo.required {
			contexts = append(contexts, context)
			checks = append(checks, object{"context": context, "app_id": nil})
		}
	}
	out := with(c.example(200), object{"name": name, "commit": object{"sha": sha}, "protected": protected})
	out["protection"] = object{"enabled": protected, "required_status_checks": object{"enforcement_level": level, "contexts": contexts, "checks": checks}}
	return http.StatusOK, out, nil
}

func (c *call) rules() (int, any, error) {
	list := []any{}
	if name := c.r.PathValue("branch"); name == defaultBranch && len(c.repo.ruled) > 0 {
		checks := []any{}
		for _, context := range c.repo.ruled {
			checks = append(checks, object{"context": context})
		}
		list = append(list, object{"type": "required_status_checks", "ruleset_source_type": "Repository", "ruleset_source": c.repo.FullName(), "ruleset_id": 42,
			"parameters": object{"required_status_checks": checks, "strict_required_status_checks_policy": false}})
	}
	if c.r.PathValue("branch") == defaultBranch {
		list = append(list, c.repo.mergeRules()...)
	}
	return http.StatusOK, list, nil
}

// shut says what keeps a pull request from being merged, nil when nothing does.
func (r *Repository) shut(p *pull) *problem {
	for _, name := range append(slices.Clone(r.required), r.ruled...) {
		switch r.check(p.sha, name) {
		case "success", "neutral", "skipped":
		case "":
			return &problem{http.StatusMethodNotAllowed, fmt.Sprintf("Required status check %q is expected.", name)}
		case "pending":
			return &problem{http.StatusMethodNotAllowed, fmt.Sprintf("Required status check %q is pending.", name)}
		default:
			return &problem{http.StatusMethodNotAllowed, fmt.Sprintf("Required status check %q is failing.", name)}
		}
	}
	if r.reviewers == 0 {
		return nil
	}
	last := map[string]string{}
	for _, v := range p.reviews {
		if level := r.permissions[v.login]; v.state != "COMMENTED" && (level == "admin" || level == "write") {
			last[v.login] = v.state
		}
	}
	n := 0
	for _, state := range last {
		if state == "CHANGES_REQUESTED" {
			return &problem{http.StatusMethodNotAllowed, "Changes have been requested."}
		}
		if state == "APPROVED" {
			n++
		}
	}
	if n < r.reviewers {
		return &problem{http.StatusMethodNotAllowed, fmt.Sprintf("At least %d approving review is required by reviewers with write access.", r.reviewers)}
	}
	return nil
}

// check is how a check or status of a commit stands, "" when there is none.
func (r *Repository) check(sha, name string) string {
	for _, run := range slices.Backward(r.runs) {
		if run.sha == sha && run.name == name {
			return or(run.conclusion, "pending")
		}
	}
	return r.statuses[sha][name]
}

func (c *call) permission() (int, any, error) {
	login := c.r.PathValue("username")
	level := or(c.repo.permissions[login], "read")
	return http.StatusOK, with(c.example(200), object{"permission": level, "role_name": level, "user": object{"login": login}}), nil
}
