package action_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/action"
)

// masked are the masks that something set, as the runner reads them.
func masked(set func(*action.Hider)) map[string]bool {
	var out strings.Builder
	set(action.Masks(&out))
	got := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		got[strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "::add-mask::")] = true
	}
	return got
}

func TestHide(t *testing.T) {
	for _, tc := range []struct {
		name, secret string
		want         []string
	}{
		{"a token", "ghs_0123456789", []string{"ghs_0123456789"}},
		{"a short password", "hunter2", []string{"hunter2"}},
		{"nothing", "", nil},
		{"what would blot out words", "on", nil},
		{"several lines", "first line\n  second line\n", []string{"first line", "second line"}},
		{"one that is printed otherwise than it is", "a##[b]c", []string{"a##[b]c", "a## [b]c"}},
		{"one that would be a command at the begin of a line", "::secret", []string{"::secret", ": :secret"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := masked(func(h *action.Hider) { h.Hide(tc.secret) })
			if len(got) != len(tc.want) {
				t.Errorf("masks %v, want %q", got, tc.want)
			}
			for _, want := range tc.want {
				if !got[want] {
					t.Errorf("%q is not masked: %v", want, got)
				}
			}
		})
	}
}

// TestKubeconfigIsMasked in every form in which one may be written.
func TestKubeconfigIsMasked(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
	data := base64.StdEncoding.EncodeToString([]byte(key))
	all := []string{"tok:en, {1}", "pass word", data, "MIIEvgIBADANBg", "kqhkiG9w0BAQEF"}
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"block style", "apiVersion: v1\nkind: Config\ncurrent-context: production\nusers:\n- name: ci-deployer\n  user:\n    token: \"tok:en, {1}\"\n    password: pass word\n    client-key-data: " + data + "\n", all},
		{"flow style", "apiVersion: v1\nusers: [{name: ci-deployer, user: {token: \"tok:en, {1}\", password: pass word, client-key-data: " + data + "}}]\n", all},
		{"flow style in one line", "{apiVersion: v1, current-context: production, users: [{name: ci-deployer, user: {token: \"tok:en, {1}\", password: pass word, client-key-data: " + data + "}}]}", all},
		{"JSON", `{"apiVersion":"v1","current-context":"production","users":[{"name":"ci-deployer","user":{"token":"tok:en, {1}","password":"pass word","client-key-data":"` + data + `"}}]}`, all},
		{"JSON with tabs", "{\n\t\"users\": [\n\t\t{\n\t\t\t\"user\": {\"token\": \"tok:en, {1}\", \"password\": \"pass word\",\n\t\t\t\"client-key-data\": \"" + data + "\"}\n\t\t}\n\t]\n}", all},
		{"a folded token", "users:\n- user:\n    token: >-\n      abcdefgh\n      ijklmnop\n", []string{"abcdefgh ijklmnop"}},
		{"an anchor", "x: &secret abcdefghijkl\nusers:\n- user: {token: *secret}\n", []string{"abcdefghijkl"}},
		{"two documents", "a: b\n---\nusers: [{user: {token: abcdefgh}}]\n", []string{"abcdefgh"}},
		{"tokens of another way in", "users: [{user: {auth-provider: {config: {id-token: abcdefgh, client-secret: ijklmnop}}}}]", []string{"abcdefgh", "ijklmnop"}},
		{"the environment of a plugin", "users: [{user: {exec: {command: login, env: [{name: WHAT, value: abcdefgh}]}}}]", []string{"abcdefgh"}},
		{"a proxy with a password", "clusters: [{cluster: {proxy-url: \"http://belay:abcdefgh@proxy.example.org\"}}]", []string{"abcdefgh"}},
		{"one that cannot be read", "users: [{user: {token: abcdefgh\n", []string{"abcdefgh"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := masked(func(h *action.Hider) { h.Kubeconfig(tc.text) })
			for _, want := range tc.want {
				if !got[want] {
					t.Errorf("%q is not masked", want)
				}
			}
			for _, word := range []string{"v1", "production", "ci-deployer", "Config", "-----END PRIVATE KEY-----"} {
				if got[word] {
					t.Errorf("%q is masked", word)
				}
			}
		})
	}
	if got := masked(func(h *action.Hider) { h.Kubeconfig("users: [{user: {tokenFile: /run/secrets/token}}]") }); len(got) != 0 {
		t.Errorf("masks %v of a kubeconfig without secrets", got)
	}
}

// FuzzKubeconfigIsMasked: no text breaks it.
func FuzzKubeconfigIsMasked(f *testing.F) {
	for _, s := range []string{"users: [{user: {token: abcdefgh}}]", `{"token":1}`, "a: &a [*a]", "\t", "? [a]\n: b"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) { masked(func(h *action.Hider) { h.Kubeconfig(text) }) })
}
