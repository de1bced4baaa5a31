package image

import (
	"fmt"
	"regexp"
	"strings"
)

// DockerHub is the registry of names that do not say one.
const DockerHub = "docker.io"

// hubHosts are other hosts under which Docker Hub answers.
var hubHosts = map[string]bool{"index.docker.io": true, "registry-1.docker.io": true, "registry.hub.docker.com": true, "docker.io": true}

var (
	// pathForm matches a repository: "library/nginx", "acme/web_app", "a/b/c--d"; not "Acme/web", "a//b" or "-a".
	pathForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	// hostForm matches a registry: "ghcr.io", "localhost:5000", "10.0.0.1:5000"; not "-x.io" or "a..b".
	hostForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?$`)
	// tagForm matches a tag: "1.27.1", "latest", "v1_2"; not ".1", "a b" or "-x".
	tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	// digestForm matches a digest: "sha256:" and 64 hexadecimal digits, "sha512:" and 128; not "sha256:abc".
	digestForm = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
)

// maxName is the longest name in bytes that registries take (OCI distribution spec).
const maxName = 255

// Parse reads an image reference such as "nginx", "vaultwarden/server:1.35.4" or
// "registry.example:5000/a/b:v1@sha256:…". Space around it does not count. It
// returns ErrNoName when there is no name and an error that quotes the part
// that is wrong otherwise.
func Parse(s string) (Ref, error) {
	s = strings.TrimSpace(s)
	if len(s) > 1024 {
		return Ref{}, fmt.Errorf("image %q…: longer than any reference", s[:64])
	}
	name, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest && !digestForm.MatchString(digest) {
		return Ref{}, fmt.Errorf("image %q: %q is not a digest: sha256: and 64 hexadecimal digits", s, digest)
	}
	tag := ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
		if name != "" && !tagForm.MatchString(tag) {
			return Ref{}, fmt.Errorf("image %q: %q is not a tag", s, tag)
		}
	}
	if name == "" {
		return Ref{}, fmt.Errorf("image %q: %w", s, ErrNoName)
	}
	r := Ref{Registry: DockerHub, Repository: name, Tag: tag, Digest: digest}
	if host, rest, ok := strings.Cut(name, "/"); ok && isHost(host) {
		r.Registry, r.Repository = strings.ToLower(host), rest
	}
	if hubHosts[r.Registry] {
		r.Registry = DockerHub
		if !strings.Contains(r.Repository, "/") {
			r.Repository = "library/" + r.Repository
		}
	}
	switch {
	case r.Repository == "":
		return Ref{}, fmt.Errorf("image %q: %w", s, ErrNoName)
	case !hostForm.MatchString(r.Registry):
		return Ref{}, fmt.Errorf("image %q: %q is not a registry's host", s, r.Registry)
	case len(r.Name()) > maxName:
		return Ref{}, fmt.Errorf("image %q…: name longer than %d bytes", s[:64], maxName)
	case !pathForm.MatchString(r.Repository):
		return Ref{}, fmt.Errorf("image %q: %q is not a repository name: lower-case letters, digits and single separators", s, r.Repository)
	}
	return r, nil
}

// isHost reports whether the first element of a name is a registry rather than
// an organisation: it has a dot or a port, or is "localhost". The Docker CLI also
// takes an upper-case word for a host; here "Acme/web" is what it mostly is, a
// repository that no registry accepts.
func isHost(s string) bool {
	return strings.ContainsAny(s, ".:") || s == "localhost"
}

// ValidTag reports whether s may stand as a tag
// (OCI distribution spec: [A-Za-z0-9_][A-Za-z0-9._-]{0,127}).
func ValidTag(s string) bool { return tagForm.MatchString(s) }

// ValidDigest reports whether s is a sha256 or sha512 digest.
func ValidDigest(s string) bool { return digestForm.MatchString(s) }

// Plausible reports whether s reads as an image reference with a tag or digest,
// or with a registry: what tells "nginx:1.27" and "ghcr.io/acme/web" from an
// ordinary word. It is a hint for places that hold no images for certain.
func Plausible(s string) bool {
	r, err := Parse(s)
	return err == nil && (r.Tag != "" || r.Digest != "" || r.Registry != DockerHub)
}

// Name is the fully qualified name without tag and digest: "docker.io/library/nginx".
func (r Ref) Name() string { return r.Registry + "/" + r.Repository }

// Familiar is the name as people write it: "nginx", "vaultwarden/server", "ghcr.io/a/b".
func (r Ref) Familiar() string {
	if r.Registry != DockerHub {
		return r.Name()
	}
	return strings.TrimPrefix(r.Repository, "library/")
}

// String is the familiar name with tag and digest where set.
func (r Ref) String() string {
	s := r.Familiar()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// SameName reports whether both name the same image, whatever their tags.
func (r Ref) SameName(o Ref) bool { return r.Registry == o.Registry && r.Repository == o.Repository }
