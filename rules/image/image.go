// Package image knows container image references: it parses them, brings their
// names into one normal form so that two spellings of the same image compare
// equal, and matches names against skip patterns.
//
// In goes text from dispatches, Terraform and configuration; out comes Ref.
// It never talks to a registry.
package image

import "errors"

// ErrNoName is returned by Parse for text that has no image name, such as "" or ":1.2".
var ErrNoName = errors.New("image reference has no name")

// Ref is a parsed image reference. The name is normalised: registry and
// repository are always set, "docker.io" and "library/" are filled in,
// "index.docker.io" and "registry-1.docker.io" become "docker.io", and a
// registry's host is lower case. Tag and Digest are kept as written and may be empty.
type Ref struct {
	Registry   string // "docker.io", "ghcr.io", "registry.example:5000"
	Repository string // "library/nginx", "immich-app/immich-server"
	Tag        string // "1.27.1", or "" when none was written
	Digest     string // "sha256:…", or "" when none was written
}
