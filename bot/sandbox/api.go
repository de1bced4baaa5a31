package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// call is one request to the REST API.
type call struct {
	g      *GitHub
	r      *http.Request
	path   string // as the description writes it
	body   object
	repo   *Repository
	owner  string // of the installation that asks; "" for the App itself
	login  string // of the person who asks, with a token of their own
	actor  string // whom an answer names as the one who did it: "belay[bot]"
	agent  string // slug of the App that acts
	header http.Header
}

// problem is an answer that is no success.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

var notFound = &problem{http.StatusNotFound, "Not Found"}

// raw is an answer that is no JSON.
type raw []byte

type handlerFunc func(c *call) (status int, body any, err error)

// routes is what belay calls, by operation of GitHub's description.
var routes = map[string]handlerFunc{
	"GET /app":                                                          (*call).app,
	"GET /app/installations":                                            (*call).listInstallations,
	"GET /app/hook/config":                                              (*call).hookConfig,
	"POST /app-manifests/{code}/conversions":                            (*call).convert,
	"GET /app/hook/deliveries":                                          (*call).deliveries,
	"GET /app/hook/deliveries/{delivery_id}":                            (*call).delivery,
	"GET /repos/{owner}/{repo}/installation":                            (*call).installation,
	"POST /app/installations/{installation_id}/access_tokens":           (*call).accessToken,
	"GET /installation/repositories":                                    (*call).listRepositories,
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
	"POST /repos/{owner}/{repo}/issues":                                 (*call).makeIssue,
	"PATCH /repos/{owner}/{repo}/issues/{issue_number}":                 (*call).changeIssue,
	"POST /repos/{owner}/{repo}/issues/{issue_number}/comments":         (*call).comment,
	"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}":          (*call).editComment,
	"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions": (*call).react,
	"GET /repos/{owner}/{repo}/issues/comments/{comment_id}":            (*call).getComment,
	"POST /repos/{owner}/{repo}/statuses/{sha}":                         (*call).makeStatus,
	"POST /repos/{owner}/{repo}/check-runs":                             (*call).makeCheckRun,
	"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}":             (*call).editCheckRun,
	"GET /repos/{owner}/{repo}/collaborators/{username}/permission":     (*call).permission,
	"GET /repos/{owner}/{repo}/releases":                                (*call).releases,
	"GET /repos/{owner}/{repo}/tags":                                    (*call).tags,
	"GET /repos/{owner}/{repo}/contents/{path}":                         (*call).contents,
	"GET /repos/{owner}/{repo}/git/blobs/{file_sha}":                    (*call).blob,
	"GET /user":               (*call).me,
	"GET /user/installations": (*call).myInstallations,
	"GET /user/installations/{installation_id}/repositories": (*call).myRepositories,
	"DELETE /applications/{client_id}/token":                 (*call).revoke,
}

// handler routes what belay calls. Everything else is a violation.
func (g *GitHub) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	for pattern, f := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		if g.contract.operation(method, path) == nil {
			return nil, fmt.Errorf("GitHub's description has no %s", pattern)
		}
		mux.HandleFunc(method+" /api/v3"+strings.Replace(path, "{path}", "{path...}", 1), func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, pattern, path, f) })
	}
	mux.HandleFunc("/api/v3/repositories/{id}/{rest...}", func(w http.ResponseWriter, r *http.Request) { g.byNumber(mux, w, r) })
	mux.HandleFunc("/api/v3/repositories/{id}", func(w http.ResponseWriter, r *http.Request) { g.byNumber(mux, w, r) })
	mux.HandleFunc("POST /api/graphql", g.serveGraphQL)
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.exchange)
	mux.HandleFunc("POST /settings/apps/new", g.newApp)
	mux.HandleFunc("POST /organizations/{org}/settings/apps/new", g.newApp)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		g.violation("%s %s: an operation that belay is not known to use", r.Method, r.URL.Path)
		refuse(w, http.StatusNotFound, "Not Found")
	})
	mux.HandleFunc("/", g.serveGit)
	return g.intercept(mux), nil
}

// byNumber answers at the address to which a renamed repository's old one
// leads: /repositories/{id}, and all below it.
func (g *GitHub) byNumber(mux http.Handler, w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	name := ""
	for _, repo := range g.repositories {
		if itoa(int(repo.id)) == r.PathValue("id") {
			name = repo.FullName()
		}
	}
	g.mu.Unlock()
	if name == "" {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	mux.ServeHTTP(w, withPath(r, strings.TrimSuffix("/api/v3/repos/"+name+"/"+r.PathValue("rest"), "/")))
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"message": message, "documentation_url": "https://docs.github.com/rest", "status": itoa(status)})
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
	c := &call{g: g, r: r, path: path, header: w.Header(), actor: slug + "[bot]", agent: slug}
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
	c.write(w, status, answer)
}

// write sends an answer, or says that the asker has it already.
func (c *call) write(w http.ResponseWriter, status int, answer any) {
	g, r := c.g, c.r
	data, plain := answer.(raw)
	if !plain {
		var err error
		if data, err = json.Marshal(complete(g.contract.answerSchema(r.Method, c.path, status), answer)); err != nil {
			g.violation("%s %s: %w", r.Method, c.path, err)
			return
		}
		if g.opts.Validate {
			if err := g.contract.checkResponse(r.Method, c.path, status, data); err != nil {
				g.violation("%w", err)
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	if r.Method == http.MethodGet && status == http.StatusOK {
		// As on GitHub, the same answer to another token has another ETag.
		sum := sha256.Sum256(append([]byte(r.Header.Get("Authorization")+"\n"), data...))
		etag := `"` + hex.EncodeToString(sum[:]) + `"`
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if r.Header.Get("If-None-Match") == etag {
			g.refund(w.Header(), c.owner, "core")
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// anonymous is who asks without a token.
const anonymous = "nobody"

// answer checks who asks, and for what, and has the handler answer.
func (c *call) answer(pattern string, body []byte, f handlerFunc) (int, any, error) {
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &c.body); err != nil {
			return 0, nil, &problem{http.StatusBadRequest, "Problems parsing JSON"}
		}
	}
	repo, moved := c.g.find(c.r.PathValue("owner"), c.r.PathValue("repo"))
	asApp := strings.HasSuffix(pattern, " /app") || strings.Contains(pattern, " /app/") || strings.HasSuffix(pattern, "/installation")
	public := repo != nil && repo.public && c.r.Method == http.MethodGet && !asApp
	if err := c.identify(asApp, public, pattern); err != nil {
		return 0, nil, err
	}
	if p := c.g.spend(c.header, c.owner, "core"); p != nil {
		return 0, nil, p
	}
	if c.r.PathValue("owner") == "" {
		return f(c)
	}
	if repo == nil || !asApp && !public && (repo.owner != c.owner || repo.hidden) {
		return 0, nil, notFound
	}
	if moved {
		return 0, nil, c.redirect(repo)
	}
	c.repo = repo
	return f(c)
}

// identify checks the token of a request.
func (c *call) identify(asApp, public bool, pattern string) error {
	if strings.Contains(pattern, " /user") {
		if p := c.person(); p != nil {
			return p
		}
		return nil
	}
	if strings.Contains(pattern, " /applications/") {
		if p := c.client(); p != nil {
			return p
		}
		return nil
	}
	if asApp {
		if p := c.g.jwt(c.r); p != nil {
			return p
		}
		return nil
	}
	if c.r.PathValue("code") != "" { // the code itself is the right to ask
		c.owner = anonymous
		return nil
	}
	if c.r.Header.Get("Authorization") == "" && c.r.Method == http.MethodGet && c.r.PathValue("owner") != "" {
		if !public { // who asks without a token is not told that there is something
			return notFound
		}
		c.owner = anonymous
		return nil
	}
	t, p := c.g.bearer(c.r)
	if p != nil {
		return p
	}
	c.owner = t.owner
	if t.workflow != nil {
		return c.workflow(t.workflow, pattern)
	}
	return nil
}

// redirect leads to a renamed repository's lasting address. GET goes there for
// good; what has a body is to be sent there as it is.
func (c *call) redirect(repo *Repository) error {
	_, rest, _ := strings.Cut(strings.TrimPrefix(c.r.URL.EscapedPath(), "/api/v3/repos/"), "/")
	_, rest, _ = strings.Cut(rest, "/")
	to := c.g.URL() + "/api/v3/repositories/" + itoa(int(repo.id))
	if rest != "" {
		to += "/" + rest
	}
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	c.header.Set("Location", to)
	if c.r.Method == http.MethodGet {
		return &problem{http.StatusMovedPermanently, "Moved Permanently"}
	}
	return &problem{http.StatusTemporaryRedirect, "Temporary Redirect"}
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

// paged cuts a list into pages, with GitHub's Link header.
func (c *call) paged(list []any) []any {
	q := c.r.URL.Query()
	size, page := pageSize(q), 1
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		page = n
	}
	from, to := min((page-1)*size, len(list)), min(page*size, len(list))
	if to < len(list) {
		c.linkNext("page", itoa(page+1))
	}
	return list[from:to]
}

func pageSize(q url.Values) int {
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 {
		return min(n, 100)
	}
	return 30
}

// linkNext says where the next page is.
func (c *call) linkNext(name, value string) {
	q := c.r.URL.Query()
	q.Set(name, value)
	c.header.Set("Link", "<http://"+c.r.Host+c.r.URL.Path+"?"+q.Encode()+`>; rel="next"`)
}

// after is the rest of a list behind the element that a cursor names.
func after[T any](list []T, is func(T) bool) []T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i+1:]
	}
	return list
}
