package sandbox

import (
	"errors"
	"net/http"
	"slices"
)

// pullJSON is a pull request as lists and single answers show it.
func (c *call) pullJSON(base object, p *pull) object {
	r := c.repo
	out := with(base, object{"number": p.number, "title": p.title, "body": p.body, "state": p.state, "draft": p.draft, "user": c.g.user(p.author),
		"html_url": c.g.URL() + "/" + r.FullName() + "/pull/" + itoa(p.number), "created_at": stamp(p.created), "updated_at": stamp(p.updated),
		"head": object{"ref": p.head, "sha": p.sha, "label": r.owner + ":" + p.head, "repo": r.headOf(p)},
		"base": object{"ref": p.base, "label": r.owner + ":" + p.base, "repo": r.fields()}, "closed_at": nil, "merged_at": nil, "merge_commit_sha": nil})
	if _, ok := base["merged"]; ok {
		out["merged"] = p.merged
	}
	if p.state == "closed" {
		out["closed_at"] = stamp(p.updated)
	}
	if p.merged {
		out["merged_at"], out["merge_commit_sha"] = stamp(p.updated), p.mergeSHA
	}
	return out
}

func (c *call) listPulls() (int, any, error) {
	q := c.r.URL.Query()
	list := []any{}
	for _, p := range c.repo.pulls {
		if state := or(q.Get("state"), "open"); state != "all" && state != p.state {
			continue
		}
		if head := q.Get("head"); head != "" && (p.fork || head != c.repo.owner+":"+p.head) {
			continue
		}
		list = append(list, c.pullJSON(c.example(200), p))
	}
	if q.Get("direction") != "asc" {
		slices.Reverse(list)
	}
	return http.StatusOK, c.paged(list), nil
}

func (c *call) openPull() (int, any, error) {
	head, base := c.text("head"), c.text("base")
	sha := resolve(c.repo.dir, "refs/heads/"+head)
	switch {
	case sha == "" || resolve(c.repo.dir, "refs/heads/"+base) == "":
		return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: head or base does not exist"}
	case len([]rune(c.text("body"))) > 65536:
		return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: body is too long"}
	}
	for _, p := range c.repo.pulls {
		if p.head == head && p.state == "open" && !p.fork {
			return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: A pull request already exists for " + c.repo.owner + ":" + head + "."}
		}
	}
	now := c.g.opts.Now()
	p := &pull{number: c.repo.nextNumber(), title: c.text("title"), body: c.text("body"), head: head, sha: sha, base: base, state: "open", author: c.actor, created: now, updated: now}
	c.repo.pulls = append(c.repo.pulls, p)
	c.g.emit(c.repo, "pull_request opened", object{"number": p.number, "pull_request": c.repo.hookPull(p), "sender": c.g.user(p.author)})
	c.repo.autoChecks(sha)
	return http.StatusCreated, c.pullJSON(c.example(201), p), nil
}

func (c *call) thePull(name string) (*pull, error) {
	p := c.repo.pull(int(c.number(name)))
	if p == nil {
		return nil, notFound
	}
	return p, nil
}

func (c *call) editPull() (int, any, error) {
	p, err := c.thePull("pull_number")
	if err != nil {
		return 0, nil, err
	}
	changes := object{}
	for name, at := range map[string]*string{"title": &p.title, "body": &p.body} {
		if _, ok := c.body[name]; ok && *at != c.text(name) {
			changes[name] = object{"from": *at}
			*at = c.text(name)
		}
	}
	p.updated = c.g.opts.Now()
	if len(changes) > 0 {
		c.g.emit(c.repo, "pull_request edited", object{"number": p.number, "pull_request": c.repo.hookPull(p), "changes": changes, "sender": c.g.user(c.actor)})
	}
	if c.text("state") == "closed" && p.state == "open" {
		c.repo.close(p, c.actor)
	}
	return http.StatusOK, c.pullJSON(c.example(200), p), nil
}

func (c *call) mergePull() (int, any, error) {
	p, err := c.thePull("pull_number")
	if err != nil {
		return 0, nil, err
	}
	switch {
	case p.state != "open":
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Pull Request is not mergeable"}
	case p.draft:
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Pull Request is still a draft"}
	case c.text("sha") != "" && c.text("sha") != p.sha:
		return 0, nil, &problem{http.StatusConflict, "Head branch was modified. Review and try the merge again."}
	case c.text("merge_method") != "squash":
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Merge commits are not allowed on this repository."}
	}
	if shut := c.repo.shut(p); shut != nil {
		return 0, nil, shut
	}
	message := or(c.text("commit_title"), p.title+" (#"+itoa(p.number)+")") + "\n\n" + c.text("commit_message")
	sha, err := c.repo.merge(p, c.actor, message)
	if errors.Is(err, errConflict) {
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Pull Request is not mergeable"}
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, with(c.example(200), object{"sha": sha, "merged": true}), nil
}
