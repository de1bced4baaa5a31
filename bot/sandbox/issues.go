package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (c *call) label(name string) object {
	base := c.g.contract.example("POST", "/repos/{owner}/{repo}/labels", 201)
	return with(base, object{"name": name, "default": false})
}

func (c *call) listLabels() (int, any, error) {
	list := []any{}
	for _, l := range c.repo.labels {
		list = append(list, c.label(l))
	}
	return http.StatusOK, c.paged(list), nil
}

func (c *call) makeLabel() (int, any, error) {
	name := c.text("name")
	if slices.ContainsFunc(c.repo.labels, func(l string) bool { return strings.EqualFold(l, name) }) {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: already_exists"}
	}
	c.repo.labels = append(c.repo.labels, name)
	return http.StatusCreated, c.label(name), nil
}

func (c *call) setLabels() (int, any, error) {
	p, err := c.thePull("issue_number")
	if err != nil {
		return 0, nil, err
	}
	names, _ := c.body["labels"].([]any)
	p.labels = nil
	list := []any{}
	for _, n := range names {
		p.labels = append(p.labels, fmt.Sprint(n))
		list = append(list, c.label(fmt.Sprint(n)))
	}
	return http.StatusOK, list, nil
}

func (c *call) commentJSON(status int, x *comment) object {
	base := c.example(status)
	return with(base, object{"id": x.id, "body": x.body, "user": c.g.user(x.login), "created_at": stamp(x.created), "updated_at": stamp(x.created)})
}

func (c *call) comment() (int, any, error) {
	if i := c.repo.issue(int(c.number("issue_number"))); i != nil {
		return http.StatusCreated, c.commentJSON(201, c.repo.commentIssue(i, c.actor, c.text("body"))), nil
	}
	p, err := c.thePull("issue_number")
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.commentJSON(201, c.repo.comment(p, c.actor, c.text("body"))), nil
}

func (c *call) theComment() (*comment, error) {
	var all []*comment
	for _, p := range c.repo.pulls {
		all = append(all, p.comments...)
	}
	for _, i := range c.repo.issues {
		all = append(all, i.comments...)
	}
	for _, x := range all {
		if x.id == c.number("comment_id") {
			return x, nil
		}
	}
	return nil, notFound
}

func (c *call) getComment() (int, any, error) {
	x, err := c.theComment()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.commentJSON(200, x), nil
}

func (c *call) editComment() (int, any, error) {
	x, err := c.theComment()
	if err != nil {
		return 0, nil, err
	}
	x.body, x.edited, x.editor = c.text("body"), c.g.opts.Now(), c.actor
	return http.StatusOK, c.commentJSON(200, x), nil
}

func (c *call) react() (int, any, error) {
	x, err := c.theComment()
	if err != nil {
		return 0, nil, err
	}
	content := c.text("content")
	status := http.StatusOK
	if !slices.Contains(x.reactions, content) {
		x.reactions = append(x.reactions, content)
		status = http.StatusCreated
	}
	return status, with(c.example(status), object{"content": content, "user": c.g.user(c.actor)}), nil
}
