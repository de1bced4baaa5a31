// Package deploy holds the manifests with which belay is installed, so that the
// program knows the rights that it asks for.
package deploy

import _ "embed"

// RBAC is rbac.yaml: the roles that belay needs in a cluster.
//
//go:embed rbac.yaml
var RBAC []byte
