package sandbox

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// call is one request to the REST API.
type call struct {
	g      *GitHub
	r      *http.Request
	path   string // as the description writes it
	body   object
	repo   *Repository
	owner  string // of the installation that asks; "" for the App itself
	header http.Header
}

// problem is an answer that is no success.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

var notFound = &problem{http.StatusNotFound, "Not Found"}

type handlerFunc func(c *call) (status int, body any, err error)

// handler routes what belay calls. Everything else is a violation.
func (g *GitHub) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	routes := map[string]handlerFunc{
		"GET /app":                                                          (*call).app,
		"GET /app/installations":                                            (*call).installations,
		"GET /app/hook/deliveries":                                          (*call).deliveries,
		"GET /app/hook/deliveries/{delivery_id}":                            (*call).delivery,
		"GET /repos/{owner}/{repo}/installation":                            (*call).installation,
		"POST /app/installations/{installation_id}/access_tokens":           (*call).accessToken,
		"GET /installation/repositories":                                    (*call).repositories,
		"GET /repos/{owner}/{repo}":                                         (*call).repository,
		"GET /repos/{owner}/{repo}/branches/{branch}":                       (*call).branch,
		"GET /repos/{owner}/{repo}/rules/branches/{branch}":                 (*call).rules,
		"GET /repos/{owner}/{repo}/pulls":                                   (*call).listPulls,
		"POST /repos/{owner}/{repo}/pulls":                                  (*call).openPull,
		"PATCH /repos/{owner}/{repo}/pulls/{pull_number}":                   (*call).editPull,
		"PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge":               (*call).mergePull,
		"GET /repos/{owner}/{repo}/labels":                                  (*call).listLabels,
		"POST /repos/{owner}/{repo}/labels":                                 (*call).makeLabel,
		"PUT /repos/{owner}/{repo}/issues/{issue_number}/labels":            (*call).setLabels,
		"POST /repos/{owner}/{repo}/issues/{issue_number}/comments":         (*call).comment,
		"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}":          (*call).editComment,
		"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions": (*call).react,
		"POST /repos/{owner}/{repo}/check-runs":                             (*call).makeCheckRun,
		"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}":             (*call).editCheckRun,
		"GET /repos/{owner}/{repo}/collaborators/{username}/permission":     (*call).permission,
		"GET /repos/{owner}/{repo}/releases":                                (*call).releases,
	}
	for pattern, f := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		if g.contract.operation(method, path) == nil {
			return nil, fmt.Errorf("GitHub's description has no %s", pattern)
		}
		mux.HandleFunc(method+" /api/v3"+path, func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, pattern, path, f) })
	}
	mux.HandleFunc("POST /api/graphql", g.serveGraphQL)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		g.violation("%s %s: an operation that belay is not known to use", r.Method, r.URL.Path)
		refuse(w, http.StatusNotFound, "Not Found")
	})
	mux.HandleFunc("/", g.serveGit)
	return g.intercept(mux), nil
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

// parameters are the path parameters of a pattern.
func parameters(r *http.Request, path string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			out[name] = r.PathValue(name)
		}
	}
	return out
}

func (g *GitHub) serve(w http.ResponseWriter, r *http.Request, pattern, path string, f handlerFunc) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<22))
	if err != nil {
		refuse(w, http.StatusBadRequest, "Problems reading the body")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[pattern]++
	if g.opts.Validate {
		if err := g.contract.checkRequest(r, body, path, parameters(r, path)); err != nil {
			g.violation("%w", err)
		}
	}
	c := &call{g: g, r: r, path: path, header: w.Header()}
	status, answer, err := c.answer(pattern, body, f)
	var p *problem
	if errors.As(err, &p) {
		refuse(w, p.status, p.message)
		return
	}
	if err != nil {
		g.violation("%s: the stand-in itself: %w", pattern, err)
		refuse(w, http.StatusInternalServerError, "Server Error")
		return
	}
	if status == http.StatusMovedPermanently {
		w.WriteHeader(status)
		return
	}
	data, err := json.Marshal(complete(g.contract.answerSchema(r.Method, path, status), answer))
	if err != nil {
		g.violation("%s: %w", pattern, err)
		return
	}
	if g.opts.Validate {
		if err := g.contract.checkResponse(r.Method, path, status, data); err != nil {
			g.violation("%w", err)
		}
	}
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("X-RateLimit-Limit", "5000")
	w.Header().Set("X-RateLimit-Remaining", "4999")
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(g.opts.Now().Add(time.Hour).Unix(), 10))
	w.Header().Set("X-RateLimit-Resource", "core")
	if r.Method == http.MethodGet {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// answer checks who asks, and for what, and has the handler answer.
func (c *call) answer(pattern string, body []byte, f handlerFunc) (int, any, error) {
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &c.body); err != nil {
			return 0, nil, &problem{http.StatusBadRequest, "Problems parsing JSON"}
		}
	}
	asApp := strings.Contains(pattern, " /app") || strings.HasSuffix(pattern, "/installation")
	if asApp {
		if err := c.g.jwt(c.r); err != nil {
			return 0, nil, &problem{http.StatusUnauthorized, err.Error()}
		}
	} else {
		t, status := c.g.bearer(c.r)
		if status != 0 {
			return 0, nil, &problem{status, "Bad credentials"}
		}
		c.owner = t.owner
	}
	if owner := c.r.PathValue("owner"); owner != "" {
		repo, now := c.g.find(owner, c.r.PathValue("repo"))
		if repo == nil || !asApp && repo.owner != c.owner {
			return 0, nil, notFound
		}
		if now != "" {
			c.header.Set("Location", fmt.Sprintf("%s/api/v3%s", c.g.URL(), strings.Replace(strings.TrimPrefix(c.r.URL.Path, "/api/v3"), "/"+c.r.PathValue("repo"), "/"+now, 1)))
			return http.StatusMovedPermanently, nil, nil
		}
		c.repo = repo
	}
	return f(c)
}

// jwt checks the App's own token: RS256, the App's key, at most ten minutes.
func (g *GitHub) jwt(r *http.Request) error {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return errors.New("A JSON web token could not be decoded") //nolint:staticcheck // GitHub's words
	}
	claims := &jwt.RegisteredClaims{}
	p := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	if _, err := p.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &g.key.PublicKey, nil }); err != nil {
		return fmt.Errorf("A JSON web token could not be decoded: %w", err) //nolint:staticcheck // GitHub's words
	}
	now := time.Now() // tokens are made with the real clock
	switch {
	case claims.Issuer != strconv.Itoa(appID):
		return errors.New("'Issuer' claim ('iss') must be an Integer or a client ID") //nolint:staticcheck // GitHub's words
	case claims.ExpiresAt == nil || claims.ExpiresAt.Before(now):
		return errors.New("'Expiration time' claim ('exp') must be a numeric value representing the future time") //nolint:staticcheck // GitHub's words
	case claims.IssuedAt == nil || claims.IssuedAt.After(now.Add(time.Minute)) || claims.ExpiresAt.Sub(claims.IssuedAt.Time) > 12*time.Minute:
		return errors.New("'Expiration time' claim ('exp') is too far in the future") //nolint:staticcheck // GitHub's words
	}
	return nil
}

// bearer finds the installation of a token; status is not 0 when there is none.
func (g *GitHub) bearer(r *http.Request) (token, int) {
	raw := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
	t, ok := g.tokens[raw]
	if !ok || !g.opts.Now().Before(t.until) {
		return t, http.StatusUnauthorized
	}
	if g.installations[t.owner].suspended {
		return t, http.StatusForbidden
	}
	return t, 0
}

func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	return n
}

func (c *call) text(name string) string {
	s, _ := c.body[name].(string)
	return s
}

// example is the description's example of the call's answer.
func (c *call) example(status int) object {
	return c.g.contract.example(c.r.Method, c.path, status)
}

func itoa(n int) string { return strconv.Itoa(n) }

func (c *call) app() (int, any, error) {
	return http.StatusOK, with(c.example(200), object{"id": appID, "slug": slug, "name": "belay"}), nil
}

func (g *GitHub) installationJSON(in *installation) object {
	out := with(g.contract.example("GET", "/repos/{owner}/{repo}/installation", 200), object{"id": in.id, "app_id": appID, "app_slug": slug, "account": g.user(in.owner),
		"target_type": "User", "suspended_at": nil, "suspended_by": nil, "created_at": stamp(g.opts.Now()), "updated_at": stamp(g.opts.Now())})
	if in.suspended {
		out["suspended_at"] = stamp(g.opts.Now())
	}
	return out
}

func (c *call) installations() (int, any, error) {
	out := []any{}
	for _, owner := range slices.Sorted(maps.Keys(c.g.installations)) {
		out = append(out, c.g.installationJSON(c.g.installations[owner]))
	}
	return http.StatusOK, out, nil
}

func (c *call) installation() (int, any, error) {
	return http.StatusOK, c.g.installationJSON(c.g.installations[c.repo.owner]), nil
}

func (c *call) accessToken() (int, any, error) {
	for _, in := range c.g.installations {
		if in.id != c.number("installation_id") {
			continue
		}
		if in.suspended {
			return 0, nil, &problem{http.StatusForbidden, "This installation has been suspended"}
		}
		key := "ghs_" + rand.Text()
		until := c.g.opts.Now().Add(time.Hour)
		c.g.tokens[key] = token{owner: in.owner, until: until}
		out := with(c.example(201), object{"token": key, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
		delete(out, "repositories")
		return http.StatusCreated, out, nil
	}
	return 0, nil, notFound
}

func (c *call) repositories() (int, any, error) {
	base := c.example(200)
	item := base["repositories"].([]any)[0].(object)
	list := []any{}
	for _, r := range c.g.repositories {
		if r.owner == c.owner {
			list = append(list, with(item, r.fields()))
		}
	}
	return http.StatusOK, object{"total_count": len(list), "repositories": list}, nil
}

func (r *Repository) fields() object {
	return object{"id": r.id, "name": r.name, "full_name": r.FullName(), "default_branch": defaultBranch, "owner": object{"login": r.owner}}
}

func (c *call) repository() (int, any, error) {
	return http.StatusOK, with(c.example(200), c.repo.fields()), nil
}

func (c *call) branch() (int, any, error) {
	sha := resolve(c.repo.dir, "refs/heads/"+c.r.PathValue("branch"))
	if sha == "" {
		return 0, nil, &problem{http.StatusNotFound, "Branch not found"}
	}
	checks := []any{}
	contexts := []any{}
	for _, name := range c.repo.required {
		contexts = append(contexts, name)
		checks = append(checks, object{"context": name, "app_id": nil})
	}
	level := "off"
	if len(contexts) > 0 {
		level = "non_admins"
	}
	out := with(c.example(200), object{"name": c.r.PathValue("branch"), "commit": object{"sha": sha}, "protected": len(contexts) > 0})
	out["protection"] = object{"enabled": len(contexts) > 0, "required_status_checks": object{"enforcement_level": level, "contexts": contexts, "checks": checks}}
	return http.StatusOK, out, nil
}

func (c *call) rules() (int, any, error) { return http.StatusOK, []any{}, nil }

func (c *call) releases() (int, any, error) { return http.StatusOK, []any{}, nil }

// pullJSON is a pull request as lists and single answers show it.
func (c *call) pullJSON(base object, p *pull) object {
	r := c.repo
	out := with(base, object{"number": p.number, "title": p.title, "body": p.body, "state": p.state, "draft": p.draft, "user": c.g.user(p.author),
		"html_url": c.g.URL() + "/" + r.FullName() + "/pull/" + itoa(p.number), "created_at": stamp(p.created), "updated_at": stamp(p.updated),
		"head": object{"ref": p.head, "sha": p.sha, "label": r.owner + ":" + p.head, "repo": r.fields()},
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
		if head := q.Get("head"); head != "" && head != c.repo.owner+":"+p.head {
			continue
		}
		list = append(list, c.pullJSON(c.example(200), p))
	}
	if q.Get("direction") != "asc" {
		slices.Reverse(list)
	}
	return c.paged(list)
}

// paged cuts a list into pages, with GitHub's Link header.
func (c *call) paged(list []any) (int, any, error) {
	q := c.r.URL.Query()
	size, page := 30, 1
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 && n <= 100 {
		size = n
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		page = n
	}
	from, to := min((page-1)*size, len(list)), min(page*size, len(list))
	if to < len(list) {
		u := *c.r.URL
		u.Scheme, u.Host = "http", c.r.Host
		c.header.Set("Link", pageLink(&u, page+1))
	}
	return http.StatusOK, list[from:to], nil
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
		if p.head == head && p.state == "open" {
			return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed: A pull request already exists for " + c.repo.owner + ":" + head + "."}
		}
	}
	now := c.g.opts.Now()
	p := &pull{number: len(c.repo.pulls) + 1, title: c.text("title"), body: c.text("body"), head: head, sha: sha, base: base, state: "open", author: slug + "[bot]", created: now, updated: now}
	c.repo.pulls = append(c.repo.pulls, p)
	c.g.emit(c.repo, "pull_request opened", object{"action": "opened", "number": p.number, "pull_request": c.repo.hookPull(p), "sender": c.g.user(p.author)})
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
	if _, ok := c.body["title"]; ok {
		p.title = c.text("title")
	}
	if _, ok := c.body["body"]; ok {
		p.body = c.text("body")
	}
	p.updated = c.g.opts.Now()
	if c.text("state") == "closed" && p.state == "open" {
		c.repo.close(p, slug+"[bot]")
	}
	return http.StatusOK, c.pullJSON(c.example(200), p), nil
}

func (c *call) mergePull() (int, any, error) {
	p, err := c.thePull("pull_number")
	if err != nil {
		return 0, nil, err
	}
	switch {
	case c.text("sha") != "" && c.text("sha") != p.sha:
		return 0, nil, &problem{http.StatusConflict, "Head branch was modified. Review and try the merge again."}
	case p.state != "open" || p.draft:
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Pull Request is not mergeable"}
	case c.text("merge_method") != "squash":
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Merge commits are not allowed on this repository."}
	}
	for _, name := range c.repo.required {
		if c.repo.statuses[p.sha][name] != "success" && !slices.ContainsFunc(c.repo.runs, func(r *checkRun) bool { return r.sha == p.sha && r.name == name && r.conclusion == "success" }) {
			return 0, nil, &problem{http.StatusMethodNotAllowed, fmt.Sprintf("Required status check %q is expected.", name)}
		}
	}
	message := or(c.text("commit_title"), p.title+" (#"+itoa(p.number)+")") + "\n\n" + c.text("commit_message")
	sha, err := c.repo.merge(p, slug+"[bot]", message)
	if errors.Is(err, errConflict) {
		return 0, nil, &problem{http.StatusMethodNotAllowed, "Pull Request is not mergeable"}
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, with(c.example(200), object{"sha": sha, "merged": true}), nil
}

func (c *call) label(name string) object {
	base := c.g.contract.example("POST", "/repos/{owner}/{repo}/labels", 201)
	return with(base, object{"name": name, "default": false})
}

func (c *call) listLabels() (int, any, error) {
	list := []any{}
	for _, l := range c.repo.labels {
		list = append(list, c.label(l))
	}
	return c.paged(list)
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
	p, err := c.thePull("issue_number")
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.commentJSON(201, c.repo.comment(p, slug+"[bot]", c.text("body"))), nil
}

func (c *call) theComment() (*comment, error) {
	for _, p := range c.repo.pulls {
		for _, x := range p.comments {
			if x.id == c.number("comment_id") {
				return x, nil
			}
		}
	}
	return nil, notFound
}

func (c *call) editComment() (int, any, error) {
	x, err := c.theComment()
	if err != nil {
		return 0, nil, err
	}
	x.body, x.edited = c.text("body"), c.g.opts.Now()
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
	return status, with(c.example(status), object{"content": content, "user": c.g.user(slug + "[bot]")}), nil
}

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
	}
}

func (c *call) makeCheckRun() (int, any, error) {
	sha := c.text("head_sha")
	if resolve(c.repo.dir, sha) == "" {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "No commit found for SHA: " + sha}
	}
	run := &checkRun{id: c.g.id(), sha: sha, status: "queued", app: slug}
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

func (c *call) permission() (int, any, error) {
	login := c.r.PathValue("username")
	level := or(c.repo.permissions[login], "read")
	return http.StatusOK, with(c.example(200), object{"permission": level, "role_name": level, "user": object{"login": login}}), nil
}

func (c *call) deliveries() (int, any, error) {
	list := []any{}
	for _, d := range slices.Backward(c.g.deliveries) {
		if d.status == 0 {
			continue
		}
		list = append(list, c.deliveryFields(c.example(200), d))
	}
	return c.paged(list)
}

func (c *call) deliveryFields(base object, d *delivery) object {
	out := with(base, object{"id": d.id, "guid": d.guid, "event": d.event, "action": nil, "delivered_at": stamp(d.at), "status_code": d.status, "installation_id": nil, "repository_id": nil})
	if d.action != "" {
		out["action"] = d.action
	}
	return out
}

func (c *call) delivery() (int, any, error) {
	for _, d := range c.g.deliveries {
		if d.id != c.number("delivery_id") {
			continue
		}
		var payload any
		if err := json.Unmarshal(d.body, &payload); err != nil {
			return 0, nil, err
		}
		out := c.deliveryFields(c.example(200), d)
		out["request"] = object{"headers": object{"X-GitHub-Event": d.event}, "payload": payload}
		return http.StatusOK, out, nil
	}
	return 0, nil, notFound
}
