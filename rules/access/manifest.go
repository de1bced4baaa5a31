package access

import "strings"

// Manifest describes the App to GitHub, which creates it from this after asking
// the person. See
// https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest.
type Manifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Hook        Hook              `json:"hook_attributes"`
	Redirect    string            `json:"redirect_url"`
	Callbacks   []string          `json:"callback_urls"` // where people come back to who sign in to the page
	Description string            `json:"description"`
	Public      bool              `json:"public"`
	Events      []string          `json:"default_events"`
	Permissions map[string]string `json:"default_permissions"`
}

// Hook is where the App's webhooks go.
type Hook struct {
	URL    string `json:"url"`
	Active bool   `json:"active"`
}

// SignedIn is the path to which GitHub sends people back who sign in to the page.
const SignedIn = "/signin/callback"

// NewManifest describes belay's App, named as given, for a belay that is
// reached at base ("https://belay.example.org"). GitHub sends the person back to
// redirect. Only its owner can install the App.
func NewManifest(name, base, redirect string) Manifest {
	base = strings.TrimSuffix(base, "/")
	m := Manifest{Name: name, URL: base, Hook: Hook{URL: base + "/github/webhook", Active: true}, Redirect: redirect, Callbacks: []string{base + SignedIn}, Events: Events(), Permissions: map[string]string{},
		Description: "Upgrades what runs on Kubernetes by pull requests: reads release notes, takes backups, watches, and undoes what fails."}
	for _, p := range Permissions() {
		m.Permissions[p.Key] = p.Level
	}
	return m
}
