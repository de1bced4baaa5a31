// Package pin describes the places in a repository that fix a version: what a
// pin is, how it got its value, whether belay follows it, and which bytes change
// when it moves. bot/terraform finds pins; everything above reads them.
//
// It never reads a file. See SPEC sections 2 and 4.
package pin

import (
	"github.com/belaybot/belay/rules/image"
)

// Kind says what a pin fixes the version of.
type Kind string

// The kinds of pin.
const (
	KindImage Kind = "image" // a container image
	KindChart Kind = "chart" // a Helm chart
)

// Shape says how the version is written, after the table of SPEC section 4.
type Shape string

// The shapes of SPEC section 4.
const (
	ShapeLiteral  Shape = "literal"         // image = "vaultwarden/server:1.35.4"
	ShapeVariable Shape = "variable"        // the default of a variable
	ShapeTfvars   Shape = "tfvars"          // a .tfvars or *.auto.tfvars value that overrides a variable
	ShapeInputs   Shape = "terragrunt"      // a value in terragrunt inputs
	ShapeLocal    Shape = "local"           // the literal at the end of a chain of locals
	ShapeArgument Shape = "module argument" // the argument at a module call
	ShapeElement  Shape = "element"         // an object, map or list element
	ShapeChart    Shape = "chart"           // version of a helm_release
	ShapeValues   Shape = "values"          // a tag inside Helm values, wherever they are written
	ShapeManifest Shape = "manifest"        // a Kubernetes manifest in YAML or in kubernetes_manifest
)

// Reason says why a pin is not followed. The empty reason means that it is.
type Reason string

// Why a pin is not followed.
const (
	Followed     Reason = ""
	Floating     Reason = "floating tag"       // latest, stable, main
	NoTag        Reason = "no tag"             // name without tag or digest
	Computed     Reason = "computed"           // a function call, a data source, a resource attribute: pinned elsewhere
	External     Reason = "external module"    // comes from a module outside the repository
	Disabled     Reason = "disabled"           // count is 0: listed, and not upgraded while it is off
	OptedOut     Reason = "ignored by comment" // # belay:ignore
	OptedOutDiun Reason = "ignored by diun"    // diun.enable = "false"
	Unversioned  Reason = "not a version"      // a tag that carries no version, such as a commit id
	DigestOnly   Reason = "digest only"        // name@sha256:… without a tag
	Unresolved   Reason = "no value"           // a variable without default or caller, a cycle, a missing local
	Unparsable   Reason = "file does not parse"
	OutsideRoots Reason = "outside services.roots" // in a directory that the configuration does not name
	NotAnImage   Reason = "not an image"
)

// Location is a place in a file of the repository.
type Location struct {
	Path string // slash-separated, from the repository's root
	Line int    // from 1
}

// Span is a run of bytes in a file that holds a version or a part of one.
type Span struct {
	Path  string // slash-separated, from the repository's root
	Line  int    // of the first byte, from 1
	Start int    // byte offset of the first byte in the file
	End   int    // byte offset after the last
	Text  string // what the bytes are now, as in the file
	Role  Role   // what of the reference it holds
}

// Role says which part of an image reference a span holds.
type Role string

// The parts that a span may hold.
const (
	RoleTag    Role = "tag"
	RoleDigest Role = "digest"
)

// Chart names a Helm chart.
type Chart struct {
	Name       string // "authentik"; for an OCI chart the last element
	Repository string // "https://charts.goauthentik.io/", "oci://ghcr.io/acme/charts", or "" when given by a path or alias
}

// Pin is one place that fixes a version, seen from one use of it: an image used
// by two containers through one variable is two pins with the same span.
type Pin struct {
	Kind      Kind
	Service   string    // the service's name
	Directory string    // the service's directory, from the repository's root; "." for the root
	Image     image.Ref // of a KindImage pin: name, tag and digest as they resolve now
	Chart     Chart     // of a KindChart pin
	Version   string    // the version as it resolves now: the whole tag, or the chart version
	Shape     Shape
	Address   string   // Terraform address of what uses it, "kubernetes_deployment.web", "module.x.helm_release.y"; "" when unknown
	Use       Location // where the image or chart is named
	Span      Span     // the bytes that fix the version; its Path is "" when the pin is not followed and no place is known
	Digest    *Span    // the bytes of the digest beside the tag, where there is one

	// Prefix and Suffix stand around the span's text to make Version:
	// "…:v${var.v}-cuda" gives "v" and "-cuda".
	Prefix, Suffix string

	Reason        Reason // why it is not followed; Followed otherwise
	Detail        string // the reason in words: "local.tag is the result of format()"
	IgnoreChanges bool   // lifecycle.ignore_changes covers the image: Terraform will not roll it out

	IncludeTags []string // diun.include_tags: regular expressions that a new tag has to match
	ExcludeTags []string // diun.exclude_tags

	Namespace string // Kubernetes namespace of the workload where it resolves to a literal, else ""
	Workload  string // metadata.name of the workload where it resolves, else ""
}

// Edit is one changed line of a plan.
type Edit struct {
	Path   string `json:"path"`
	Line   int    `json:"line"`
	Before string `json:"before"` // the whole line without its line ending
	After  string `json:"after"`
	Shape  Shape  `json:"shape"`
}

// Splice replaces the bytes of a span with others.
type Splice struct {
	Span  Span
	New   string
	Shape Shape
}
