package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/image"
)

const digest = "sha256:216e3ae7de4ca8b553eb11ef7abda00651e79e537e85c46108284e5e91673e01"

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     image.Ref
		familiar string
	}{
		{"an official image", "nginx", image.Ref{Registry: "docker.io", Repository: "library/nginx"}, "nginx"},
		{"an official image, qualified", "docker.io/library/nginx:1.27", image.Ref{Registry: "docker.io", Repository: "library/nginx", Tag: "1.27"}, "nginx"},
		{"an official image without library", "docker.io/nginx:1.27", image.Ref{Registry: "docker.io", Repository: "library/nginx", Tag: "1.27"}, "nginx"},
		{"a Hub image", "vaultwarden/server:1.35.4", image.Ref{Registry: "docker.io", Repository: "vaultwarden/server", Tag: "1.35.4"}, "vaultwarden/server"},
		{"an old Hub host", "index.docker.io/vaultwarden/server", image.Ref{Registry: "docker.io", Repository: "vaultwarden/server"}, "vaultwarden/server"},
		{"a registry", "ghcr.io/immich-app/immich-server:v2.7.4", image.Ref{Registry: "ghcr.io", Repository: "immich-app/immich-server", Tag: "v2.7.4"}, "ghcr.io/immich-app/immich-server"},
		{"an upper-case registry", "GHCR.io/a/b", image.Ref{Registry: "ghcr.io", Repository: "a/b"}, "ghcr.io/a/b"},
		{"a registry with a port and no tag", "registry.example:5000/a/b", image.Ref{Registry: "registry.example:5000", Repository: "a/b"}, "registry.example:5000/a/b"},
		{"a registry with a port and a tag", "localhost:5000/a:v1", image.Ref{Registry: "localhost:5000", Repository: "a", Tag: "v1"}, "localhost:5000/a"},
		{"a digest", "nginx@" + digest, image.Ref{Registry: "docker.io", Repository: "library/nginx", Digest: digest}, "nginx"},
		{"a tag and a digest", "ghcr.io/a/b:v1@" + digest, image.Ref{Registry: "ghcr.io", Repository: "a/b", Tag: "v1", Digest: digest}, "ghcr.io/a/b"},
		{"space around", "  nginx:1 ", image.Ref{Registry: "docker.io", Repository: "library/nginx", Tag: "1"}, "nginx"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := image.Parse(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Familiar() != tc.familiar {
				t.Errorf("Familiar() = %q, want %q", got.Familiar(), tc.familiar)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, text string }{
		{"nothing", "", "no name"},
		{"only a tag", ":1.2", "no name"},
		{"only a registry", "ghcr.io/", "no name"},
		{"an upper-case repository", "Acme/web", "Acme"},
		{"an empty tag", "nginx:", "not a tag"},
		{"a tag with a space", "nginx:1 2", "not a tag"},
		{"a short digest", "nginx@sha256:abc", "not a digest"},
		{"two digests", "nginx@" + digest + "@" + digest, "not a digest"},
		{"an interpolation", "nginx:${var.tag}", "not a tag"},
		{"an empty element", "ghcr.io/a//b", "a//b"},
		{"a URL", "https://example.org/a:1", "not a registry"},
		{"a name beyond the limit", "ghcr.io/" + strings.Repeat("a", 300), "longer"},
		{"a flood", strings.Repeat("a/", 10000), "longer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := image.Parse(tc.in)
			if err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v does not say %q", err, tc.text)
			}
			if strings.Contains(tc.text, "no name") && !errors.Is(err, image.ErrNoName) {
				t.Errorf("%v is not ErrNoName", err)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		name     string
		patterns []string
		image    string
		pattern  string
		matched  bool
	}{
		{"nothing matches without patterns", nil, "nginx", "", false},
		{"a star crosses slashes", []string{"*postgres*"}, "ghcr.io/acme/my-postgres/server", "*postgres*", true},
		{"the short name is tried", []string{"me/*"}, "docker.io/me/web", "me/*", true},
		{"the full name is tried", []string{"docker.io/me/*"}, "me/web", "docker.io/me/*", true},
		{"case does not count", []string{"*REDIS*"}, "redis", "*REDIS*", true},
		{"a pattern matches the whole name", []string{"redis"}, "acme/redis-exporter", "", false},
		{"an exclamation mark takes a match back", []string{"*mysql*", "!acme/*"}, "acme/mysql-ui", "", false},
		{"a later match counts again", []string{"*mysql*", "!acme/*", "acme/mysql-ui"}, "acme/mysql-ui", "acme/mysql-ui", true},
		{"the registry is matched", []string{"registry.k8s.io/*"}, "registry.k8s.io/pause:3.10", "registry.k8s.io/*", true},
		{"the tag is not matched", []string{"*3.10*"}, "registry.k8s.io/pause:3.10", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ref, err := image.Parse(tc.image)
			if err != nil {
				t.Fatal(err)
			}
			pattern, matched := image.Match(tc.patterns, ref)
			if pattern != tc.pattern || matched != tc.matched {
				t.Errorf("got %q, %v; want %q, %v", pattern, matched, tc.pattern, tc.matched)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"nginx", "a/b:c", "GHCR.io/a/b:v1@" + digest, "localhost:5000/x", ":1", "[::1]:5000/x", "a:b:c/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := image.Parse(s)
		if err != nil {
			return
		}
		again, err := image.Parse(r.String())
		if err != nil {
			t.Fatalf("Parse(%q) = %q, which does not parse: %v", s, r, err)
		}
		if again != r {
			t.Errorf("Parse(%q) = %#v, and once more %#v", s, r, again)
		}
		if !r.SameName(again) || r.Name() == "" {
			t.Errorf("name of %q is lost", s)
		}
	})
}
