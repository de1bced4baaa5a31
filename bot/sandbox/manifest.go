package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// manifest describes an App that somebody is about to create.
type manifest struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Hook struct {
		URL    string `json:"url"`
		Active *bool  `json:"active"`
	} `json:"hook_attributes"`
	Redirect    string            `json:"redirect_url"`
	Callbacks   []string          `json:"callback_urls"`
	Setup       string            `json:"setup_url"`
	Description string            `json:"description"`
	Public      bool              `json:"public"`
	Events      []string          `json:"default_events"`
	Permissions map[string]string `json:"default_permissions"`

	owner string // "" is the person
}

// newApp is the page on which a person creates an App from a manifest; the
// person agrees at once. See
// https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest.
func (g *GitHub) newApp(w http.ResponseWriter, r *http.Request) {
	var m manifest
	dec := json.NewDecoder(strings.NewReader(r.FormValue("manifest")))
	dec.DisallowUnknownFields()
	err := dec.Decode(&m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		g.violation("the manifest of an App: %w", err)
		http.Error(w, "Invalid GitHub App manifest", http.StatusUnprocessableEntity)
		return
	}
	m.owner = r.PathValue("org")
	code := rand.Text()
	g.mu.Lock()
	if g.manifests == nil {
		g.manifests = map[string]*manifest{}
	}
	g.manifests[code] = &m
	g.mu.Unlock()
	to, _ := url.Parse(m.Redirect)
	q := to.Query()
	q.Set("code", code)
	if state := r.URL.Query().Get("state"); state != "" {
		q.Set("state", state)
	}
	to.RawQuery = q.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// check refuses what GitHub refuses: a manifest without an address, webhooks
// that it does not have, permissions and levels that do not exist.
func (m *manifest) check() error {
	absolute := func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
	}
	switch {
	case m.Name == "" || len(m.Name) > 34:
		return fmt.Errorf("name %q: between 1 and 34 characters", m.Name)
	case !absolute(m.URL):
		return fmt.Errorf("url %q is no address", m.URL)
	case !absolute(m.Redirect):
		return fmt.Errorf("redirect_url %q is no address", m.Redirect)
	case !absolute(m.Hook.URL):
		return fmt.Errorf("hook_attributes.url %q is no address", m.Hook.URL)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Permissions)) {
		if level := m.Permissions[key]; level != "read" && level != "write" {
			return fmt.Errorf("permission %s: no level %q", key, level)
		}
	}
	return nil
}

// convert turns the code into the App's credentials, once.
func (c *call) convert() (int, any, error) {
	m := c.g.manifests[c.r.PathValue("code")]
	if m == nil {
		return 0, nil, notFound
	}
	delete(c.g.manifests, c.r.PathValue("code"))
	c.g.granting = &rights{permissions: m.Permissions, events: m.Events}
	c.g.hookURL = m.Hook.URL
	if len(m.Callbacks) > 0 {
		c.g.oauth.callback = m.Callbacks[0]
	}
	owner := or(m.owner, "ana")
	out := with(c.example(201), object{"id": appID, "slug": slug, "name": m.Name, "external_url": m.URL, "html_url": c.g.URL() + "/apps/" + slug,
		"owner": c.g.user(owner), "pem": string(c.g.pem), "webhook_secret": c.g.opts.Secret, "client_id": clientID, "client_secret": c.g.oauth.secret})
	c.g.granting.show(out)
	return http.StatusCreated, out, nil
}
