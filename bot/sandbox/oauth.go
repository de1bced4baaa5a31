package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	template "github.com/DataDog/datadog-agent/pkg/template/html"
)

// How people sign in to the App with GitHub: the web flow of a GitHub App, with
// PKCE. Its two addresses are no part of GitHub's description of the API; they
// follow https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app.

// clientID is that of the App. GitHub's begin with Iv.
const clientID = "Iv23liBELAYsandbox01"

// grant is a code that was given out and not yet turned into a token.
type grant struct {
	login, callback, challenge string
	until                      time.Time
}

// userToken is what a person's browser session acts with.
type userToken struct {
	login string
	until time.Time
}

// oauth is what the stand-in keeps of people who sign in. GitHub.mu guards it.
type oauth struct {
	secret   string
	callback string // that the App is registered with
	who      string // is signed in to GitHub in every browser; "" asks
	grants   map[string]grant
	tokens   map[string]userToken
}

// userTokenLife is how long a user's token is good: eight hours, as on GitHub.
const userTokenLife = 8 * time.Hour

// ClientID is the App's, for signing in.
func (g *GitHub) ClientID() string { return clientID }

// ClientSecret is the App's, for signing in.
func (g *GitHub) ClientSecret() string { return g.oauth.secret }

// SetCallback registers the address to which people return after they signed in.
func (g *GitHub) SetCallback(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.oauth.callback = address
}

// SignIn has somebody be signed in to GitHub in every browser, so that nobody is
// asked; "" asks again.
func (g *GitHub) SignIn(login string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.oauth.who = login
}

// RevokeUser ends every token of a person, as when they remove the App from
// their settings.
func (g *GitHub) RevokeUser(login string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.oauth.tokens, func(_ string, t userToken) bool { return t.login == login })
}

// UserTokens is how many tokens of people are good now.
func (g *GitHub) UserTokens() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, t := range g.oauth.tokens {
		if g.opts.Now().Before(t.until) {
			n++
		}
	}
	return n
}

var whoAreYou = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in to the stand-in for GitHub</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}li{margin:.6rem 0}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#8cf}}</style>
<h1>Who are you?</h1><p>This is a stand-in for GitHub: choose somebody, and belay sees you as them.</p>
<ul>{{range .People}}<li><a href="{{.To}}">{{.Login}}</a> ({{.May}})</li>{{end}}</ul><p><a href="{{.Cancel}}">Cancel</a></p></html>`))

// authorize is where a browser is sent to sign in.
func (g *GitHub) authorize(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls["GET /login/oauth/authorize"]++
	q := r.URL.Query()
	callback := or(q.Get("redirect_uri"), g.oauth.callback)
	switch {
	case q.Get("client_id") != clientID:
		http.NotFound(w, r)
		return
	case callback == "" || g.oauth.callback != "" && callback != g.oauth.callback:
		http.Error(w, "The redirect_uri is not associated with this application.", http.StatusBadRequest)
		return
	case q.Get("state") == "":
		g.violation("GET /login/oauth/authorize: no state: the way back could be forged")
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		g.violation("GET /login/oauth/authorize: no PKCE: want code_challenge (43 characters) with code_challenge_method S256")
	case q.Get("scope") != "":
		g.violation("GET /login/oauth/authorize: scope %q: a GitHub App has permissions, no scopes", q.Get("scope"))
	}
	back := func(set url.Values) string {
		set.Set("state", q.Get("state"))
		return callback + "?" + set.Encode()
	}
	login := or(q.Get("login"), g.oauth.who)
	if login == "" {
		view := struct {
			People []struct{ Login, May, To string }
			Cancel string
		}{Cancel: back(url.Values{"error": {"access_denied"}, "error_description": {"The user has denied your application access."}})}
		may := g.people()
		for _, name := range slices.Sorted(maps.Keys(may)) {
			to := maps.Clone(q)
			to.Set("login", name)
			view.People = append(view.People, struct{ Login, May, To string }{name, may[name], "/login/oauth/authorize?" + to.Encode()})
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = whoAreYou.Execute(w, view)
		return
	}
	code := strings.ToLower(rand.Text())[:20]
	g.oauth.grants[code] = grant{login: login, callback: callback, challenge: q.Get("code_challenge"), until: g.opts.Now().Add(10 * time.Minute)}
	http.Redirect(w, r, back(url.Values{"code": {code}}), http.StatusFound)
}

// people are those whom some repository knows, with what they may do there.
func (g *GitHub) people() map[string]string {
	out := map[string]string{}
	for _, r := range g.repositories {
		for login, level := range r.permissions {
			if !strings.HasSuffix(login, "[bot]") {
				out[login] = or(out[login], level)
			}
		}
	}
	return out
}

// exchange turns a code into a token. Like GitHub, it says what is wrong with
// status 200.
func (g *GitHub) exchange(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls["POST /login/oauth/access_token"]++
	_ = r.ParseForm()
	f := r.PostForm
	id, secret := f.Get("client_id"), f.Get("client_secret")
	if u, p, ok := r.BasicAuth(); ok {
		id, secret = u, p
	}
	code, ok := g.oauth.grants[f.Get("code")]
	delete(g.oauth.grants, f.Get("code"))
	challenge := sha256.Sum256([]byte(f.Get("code_verifier")))
	refuse := func(name, text string) {
		answerForm(w, r, url.Values{"error": {name}, "error_description": {text}, "error_uri": {"https://docs.github.com"}})
	}
	switch {
	case id != clientID || subtle.ConstantTimeCompare([]byte(secret), []byte(g.oauth.secret)) != 1:
		refuse("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	case !ok || !g.opts.Now().Before(code.until) || code.challenge != "" && base64.RawURLEncoding.EncodeToString(challenge[:]) != code.challenge:
		refuse("bad_verification_code", "The code passed is incorrect or expired.")
	case f.Get("redirect_uri") != "" && f.Get("redirect_uri") != code.callback:
		refuse("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	default:
		token := "ghu_" + rand.Text()
		g.oauth.tokens[token] = userToken{login: code.login, until: g.opts.Now().Add(userTokenLife)}
		answerForm(w, r, url.Values{"access_token": {token}, "token_type": {"bearer"}, "scope": {""}, "expires_in": {itoa(int(userTokenLife.Seconds()))},
			"refresh_token": {"ghr_" + rand.Text()}, "refresh_token_expires_in": {"15811200"}})
	}
}

// answerForm answers as a form, or as JSON where the asker wants that.
func answerForm(w http.ResponseWriter, r *http.Request, values url.Values) {
	if !strings.Contains(r.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, _ = w.Write([]byte(values.Encode()))
		return
	}
	out := object{}
	for k := range values {
		out[k] = values.Get(k)
		if n, err := strconv.Atoi(values.Get(k)); err == nil {
			out[k] = n
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(out)
}

// person finds whose token a request carries.
func (c *call) person() *problem {
	_, raw, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	t, ok := c.g.oauth.tokens[raw]
	if !ok || !c.g.opts.Now().Before(t.until) {
		return &problem{http.StatusUnauthorized, "Bad credentials"}
	}
	c.login, c.owner = t.login, "person "+t.login
	return nil
}

func (c *call) me() (int, any, error) {
	return http.StatusOK, with(c.example(200), object{"login": c.login, "user_view_type": "private"}), nil
}

// may is what the person who asks may do in a repository.
func (c *call) may(r *Repository) string { return or(r.permissions[c.login], "read") }

func (c *call) myInstallations() (int, any, error) {
	list := []any{}
	for _, in := range c.g.installations {
		if slices.ContainsFunc(c.g.repositories, func(r *Repository) bool { return r.owner == in.owner && !r.hidden && c.may(r) != "none" }) {
			list = append(list, c.g.installationJSON(in))
		}
	}
	return http.StatusOK, object{"total_count": len(list), "installations": c.paged(list)}, nil
}

func (c *call) myRepositories() (int, any, error) {
	in := c.g.byID(c.number("installation_id"))
	if in == nil {
		return 0, nil, notFound
	}
	if in.suspended {
		return 0, nil, &problem{http.StatusForbidden, "This installation has been suspended"}
	}
	item := c.example(200)["repositories"].([]any)[0].(object)
	list := []any{}
	for _, r := range c.g.repositories {
		if level := c.may(r); r.owner == in.owner && !r.hidden && level != "none" {
			list = append(list, with(with(item, r.fields()), object{"permissions": object{"admin": level == "admin", "push": level == "admin" || level == "write", "pull": true}}))
		}
	}
	return http.StatusOK, object{"total_count": len(list), "repositories": c.paged(list)}, nil
}

// revoke ends a person's token: signing out.
func (c *call) revoke() (int, any, error) {
	token := c.text("access_token")
	if _, ok := c.g.oauth.tokens[token]; !ok {
		return 0, nil, &problem{http.StatusUnprocessableEntity, "Validation Failed"}
	}
	delete(c.g.oauth.tokens, token)
	c.g.contract.count("DELETE /applications/{client_id}/token") // there is no answer to hold against it
	return http.StatusNoContent, raw(nil), nil
}

// client checks that it is the App's own server that asks.
func (c *call) client() *problem {
	id, secret, ok := c.r.BasicAuth()
	if !ok || id != clientID || id != c.r.PathValue("client_id") || subtle.ConstantTimeCompare([]byte(secret), []byte(c.g.oauth.secret)) != 1 {
		return notFound
	}
	c.owner = "client"
	return nil
}
