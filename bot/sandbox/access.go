package sandbox

import (
	"maps"
	"net/http"

	"github.com/belaybot/belay/rules/access"
)

// rights is what the App, or one of its installations, may do and hears of.
type rights struct {
	permissions map[string]string
	events      []string
}

// full is what belay needs.
func full() *rights {
	g := &rights{permissions: map[string]string{}, events: access.Events()}
	for _, p := range access.Permissions() {
		g.permissions[p.Key] = p.Level
	}
	return g
}

// show writes the grant into an App or an installation.
func (r *rights) show(out object) {
	permissions, events := object{}, []any{}
	for k, v := range r.permissions {
		permissions[k] = v
	}
	for _, e := range r.events {
		events = append(events, e)
	}
	out["permissions"], out["events"] = permissions, events
}

// granted is the grant of an owner's installation, of the App itself for "".
func (g *GitHub) granted(owner string) *rights {
	if a := g.accepted[owner]; a != nil {
		return a
	}
	if g.granting != nil {
		return g.granting
	}
	return full()
}

// SetPermission changes one of the App's permissions, "" takes it away.
func (g *GitHub) SetPermission(key, level string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change(func(to *rights) {
		to.permissions[key] = level
		if level == "" {
			delete(to.permissions, key)
		}
	})
}

// SetEvents changes what the App is subscribed to.
func (g *GitHub) SetEvents(events ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change(func(to *rights) { to.events = events })
}

func (g *GitHub) change(f func(*rights)) {
	now := g.granted("")
	to := &rights{permissions: maps.Clone(now.permissions), events: now.events}
	f(to)
	g.granting = to
}

// KeepAccepted has an owner's installation stay at what it was granted so far,
// as GitHub does until the owner accepts new permissions.
func (g *GitHub) KeepAccepted(owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.accepted == nil {
		g.accepted = map[string]*rights{}
	}
	g.accepted[owner] = g.granted(owner)
}

// SetSquash switches merging by squash on or off.
func (r *Repository) SetSquash(on bool) {
	defer r.lock()()
	r.noSquash = !on
}

// SetArchived archives the repository, or ends that.
func (r *Repository) SetArchived(on bool) {
	defer r.lock()()
	r.archived = on
}

// RuleMethods has a ruleset allow some methods of merging only.
func (r *Repository) RuleMethods(methods ...string) {
	defer r.lock()()
	r.methods = methods
}

// RuleQueue has a ruleset ask for a merge queue.
func (r *Repository) RuleQueue() {
	defer r.lock()()
	r.queue = true
}

// mergeRules are the rules of the default branch about merging.
func (r *Repository) mergeRules() []any {
	rule := func(kind string, parameters object) object {
		return object{"type": kind, "ruleset_source_type": "Repository", "ruleset_source": r.FullName(), "ruleset_id": 43, "parameters": parameters}
	}
	var list []any
	if r.methods != nil {
		methods := []any{}
		for _, m := range r.methods {
			methods = append(methods, m)
		}
		list = append(list, rule("pull_request", object{"allowed_merge_methods": methods, "dismiss_stale_reviews_on_push": false, "require_code_owner_review": false,
			"require_last_push_approval": false, "required_approving_review_count": 0, "required_review_thread_resolution": false}))
	}
	if r.queue {
		list = append(list, rule("merge_queue", object{"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5, "max_entries_to_merge": 5,
			"merge_method": "SQUASH", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5}))
	}
	return list
}

func (c *call) hookConfig() (int, any, error) {
	out := with(c.example(200), object{"url": or(c.g.hookURL, "https://belay.example.org/github/webhook"), "content_type": "json", "insecure_ssl": "0", "secret": "********"})
	return http.StatusOK, out, nil
}
