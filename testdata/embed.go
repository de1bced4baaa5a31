// Package testdata holds the sample repository and the release notes of what it
// runs, so that `belay demo` needs no file beside the program.
package testdata

import "embed"

// Files has home-ops, the sample repository, and notes, the release notes.
//
//go:embed all:home-ops notes/*.md
var Files embed.FS
