package sandbox

import (
	"maps"
	"net/http"
	"slices"
)

// installation is the App on one account.
type installation struct {
	id        int64
	owner     string
	suspended bool
}

func (g *GitHub) byID(id int64) *installation {
	for _, in := range g.installations {
		if in.id == id {
			return in
		}
	}
	return nil
}

// Suspend suspends an owner's installation, or ends that. Its tokens are
// refused meanwhile.
func (g *GitHub) Suspend(owner string, on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := g.installations[owner]
	in.suspended = on
	if on {
		g.emitInstallation("installation suspend", in, nil)
	} else {
		g.emitInstallation("installation unsuspend", in, nil)
	}
}

// Uninstall has an owner remove the App. Its tokens end.
func (g *GitHub) Uninstall(owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := g.installations[owner]
	g.emitInstallation("installation deleted", in, nil)
	delete(g.installations, owner)
}

// Install has an owner install the App, anew and under another number where it
// was removed before.
func (g *GitHub) Install(owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.installations[owner] == nil {
		g.installations[owner] = &installation{id: g.id(), owner: owner}
		g.emitInstallation("installation created", g.installations[owner], nil)
	}
}

// SetInstalled takes a repository out of its owner's installation, or puts it
// back: the App may be installed on some repositories only.
func (r *Repository) SetInstalled(on bool) {
	defer r.lock()()
	r.hidden = !on
	list := []any{r.short()}
	if on {
		r.g.emitInstallation("installation_repositories added", r.g.installations[r.owner], object{"repositories_added": list, "repositories_removed": []any{}})
	} else {
		r.g.emitInstallation("installation_repositories removed", r.g.installations[r.owner], object{"repositories_added": []any{}, "repositories_removed": list})
	}
}

// short is a repository as webhooks about installations list it.
func (r *Repository) short() object {
	return object{"id": r.id, "node_id": "R_" + itoa(int(r.id)), "name": r.name, "full_name": r.FullName(), "private": true}
}

// emitInstallation queues a webhook about an installation. g.mu is held.
func (g *GitHub) emitInstallation(name string, in *installation, values object) {
	list := []any{}
	for _, r := range g.repositories {
		if r.owner == in.owner && !r.hidden {
			list = append(list, r.short())
		}
	}
	all := object{"installation": g.installationJSON(in), "sender": g.user(in.owner)}
	if event, _ := split(name); event == "installation" {
		all["repositories"] = list
	}
	maps.Copy(all, values)
	g.emitFor(in, name, all)
}

func (g *GitHub) installationJSON(in *installation) object {
	out := with(g.contract.example("GET", "/repos/{owner}/{repo}/installation", 200), object{"id": in.id, "app_id": appID, "app_slug": slug, "account": g.user(in.owner),
		"target_type": "User", "suspended_at": nil, "suspended_by": nil, "created_at": stamp(g.opts.Now()), "updated_at": stamp(g.opts.Now())})
	g.granted(in.owner).show(out)
	out["html_url"] = g.URL() + "/settings/installations/" + itoa(int(in.id))
	if in.suspended {
		out["suspended_at"], out["suspended_by"] = stamp(g.opts.Now()), g.user(in.owner)
	}
	return out
}

func (c *call) app() (int, any, error) {
	out := with(c.example(200), object{"id": appID, "slug": slug, "name": "belay", "html_url": c.g.URL() + "/apps/" + slug})
	c.g.granted("").show(out)
	return http.StatusOK, out, nil
}

func (c *call) listInstallations() (int, any, error) {
	out := []any{}
	for _, owner := range slices.Sorted(maps.Keys(c.g.installations)) {
		out = append(out, c.g.installationJSON(c.g.installations[owner]))
	}
	return http.StatusOK, c.paged(out), nil
}

func (c *call) installation() (int, any, error) {
	in := c.g.installations[c.repo.owner]
	if in == nil || c.repo.hidden {
		return 0, nil, notFound
	}
	return http.StatusOK, c.g.installationJSON(in), nil
}

func (c *call) listRepositories() (int, any, error) {
	base := c.example(200)
	item := base["repositories"].([]any)[0].(object)
	list := []any{}
	for _, r := range c.g.repositories {
		if r.owner == c.owner && !r.hidden {
			list = append(list, with(item, r.fields()))
		}
	}
	return http.StatusOK, object{"total_count": len(list), "repositories": c.paged(list)}, nil
}
