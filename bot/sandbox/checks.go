package sandbox

import (
	"fmt"
	"net/http"
)

func (c *call) checkJSON(base object, run *checkRun) object {
	out := with(base, object{"id": run.id, "name": run.name, "head_sha": run.sha, "status": run.status, "external_id": run.externalID, "conclusion": nil, "completed_at": nil,
		"output": object{"title": run.title, "summary": run.summary}})
	if run.conclusion != "" {
		out["conclusion"], out["completed_at"] = run.conclusion, stamp(c.g.opts.Now())
	}
	return out
}

func (c *call) fill(run *checkRun) {
	for field, into := range map[string]*string{"name": &run.name, "status": &run.status, "conclusion": &run.conclusion, "external_id": &run.externalID, "details_url": &run.detailURL} {
		if s, ok := c.body[field].(string); ok {
			*into = s
		}
	}
	if c.text("status") != "completed" && c.text("status") != "" {
		run.conclusion = ""
	}
	if out, ok := c.body["output"].(object); ok {
		run.title, _ = out["title"].(string)
		run.summary, _ = out["summary"].(string)
		notes, _ := out["annotations"].([]any)
		for _, n := range notes { // GitHub adds them to those that are there
			if n, ok := n.(object); ok {
				run.notes = append(run.notes, fmt.Sprintf("%v:%v %v: %v", n["path"], n["start_line"], n["title"], n["message"]))
			}
		}
	}
}

func (c *call) makeCheckRun() (int, any, error) {
	sha := c.text("head_sha")
	if resolve(c.repo.dir, sha) == "" {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "No commit found for SHA: " + sha}
	}
	run := &checkRun{id: c.g.id(), sha: sha, status: "queued", app: c.agent}
	c.fill(run)
	c.repo.runs = append(c.repo.runs, run)
	return http.StatusCreated, c.checkJSON(c.example(201), run), nil
}

func (c *call) editCheckRun() (int, any, error) {
	for _, run := range c.repo.runs {
		if run.id == c.number("check_run_id") {
			c.fill(run)
			return http.StatusOK, c.checkJSON(c.example(200), run), nil
		}
	}
	return 0, nil, notFound
}

// makeStatus takes a commit status, as tokens that may not write checks can.
func (c *call) makeStatus() (int, any, error) {
	sha := c.r.PathValue("sha")
	if resolve(c.repo.dir, sha) == "" {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "No commit found for SHA: " + sha}
	}
	if len([]rune(c.text("description"))) > 140 {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: description is too long (maximum is 140 characters)"}
	}
	c.repo.setStatus(sha, c.text("context"), c.text("state"))
	return http.StatusCreated, with(c.example(201), object{"context": c.text("context"), "state": c.text("state"), "description": c.text("description"), "creator": c.g.user(c.actor)}), nil
}
