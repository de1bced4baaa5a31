// Package version reads container tags as versions, in the shape of the tag
// that is pinned: same number of components, same suffix family, same "v".
//
// In go tags as text; out come Tag, the order of two tags, the kind of a bump,
// and the ladder of releases between two versions. It knows nothing of
// registries, notes or risk. See SPEC section 5.
package version

import "errors"

var (
	// ErrNotVersion is returned by Parse for a tag that carries no version: "latest", "main", "edge".
	ErrNotVersion = errors.New("not a version")
	// ErrIncomparable is returned for two tags of different families, such as 3.20-alpine and 3.20-bookworm.
	ErrIncomparable = errors.New("not a version this pin follows")
)

// Bump is how far an upgrade goes.
type Bump string

// The bump kinds of SPEC section 5, largest first. BumpNone means the same version.
const (
	BumpMajor Bump = "major"
	BumpMinor Bump = "minor"
	BumpPatch Bump = "patch"
	BumpBuild Bump = "build" // only a build suffix (-r1, -ls123) or a digest moved
	BumpNone  Bump = "none"
)

// Steps is how an upgrade climbs from one version to another. See SPEC section 8.
type Steps string

// The ways to climb.
const (
	StepsEvery  Steps = "every"  // each release
	StepsMinor  Steps = "minor"  // the last patch of every minor
	StepsMajor  Steps = "major"  // the last release of every major
	StepsDirect Steps = "direct" // one hop
)
