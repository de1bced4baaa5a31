package cluster

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// refusal is what no repetition cures: rights, quotas, bad manifests, things
// that are not there.
type refusal struct{ detail string }

func (r *refusal) Error() string { return r.detail }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// attempt is one call of the API, for the words about its refusal.
type attempt struct {
	verb      string // "create"
	group     string // "batch", "" for the core
	resource  string // "jobs", "pods/log"
	namespace string
	name      string // "" for lists
}

// String reads as "create jobs.batch dbaas/postgresql-backup".
func (a attempt) String() string {
	text := a.verb + " " + a.resource
	if a.group != "" {
		text += "." + a.group
	}
	switch {
	case a.name != "" && a.namespace == "":
		return text + " " + a.name
	case a.name != "":
		return text + " " + a.namespace + "/" + a.name
	case a.namespace == "":
		return text // of what is in no namespace
	}
	return text + " in namespace " + a.namespace
}

// check sorts an answer of the API: nil stays nil, what cannot get better
// becomes a refusal that says what to do, and the rest stays an error to be
// tried again. NotFound of an object is an error for the caller to look at.
func (a attempt) check(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return a.forbidden(err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err):
		return refuse("the cluster refuses to %s: %s", a, err)
	case noSuchAPI(err):
		return refuse("the cluster does not know %s.%s: install its CustomResourceDefinitions, or choose another kind of backup", a.resource, a.group)
	case noSuchNamespace(err):
		return refuse("namespace %s does not exist", a.namespace)
	}
	return fmt.Errorf("%s: %w", a, err)
}

// forbidden tells a missing right, for which it has the line to add, from a
// quota and from the admission plugins and webhooks that say no with the same
// status.
func (a attempt) forbidden(err error) error {
	text := err.Error()
	switch {
	case quotaWord(err) == quotaUnknown:
		return fmt.Errorf("%s: %w", a, err) // will be counted in a moment
	case quotaWord(err) != "":
		return refuse("a quota refuses to %s: %s", a, text)
	case strings.Contains(text, " cannot "+a.verb+" resource ") && a.namespace == "":
		return refuse("belay is not allowed to %s: bind ClusterRole belay-volumes of deploy/rbac.yaml by a ClusterRoleBinding, or add\n"+
			"- apiGroups: [%q]\n  resources: [%q]\n  verbs: [%q]", a, a.group, a.resource, a.verb)
	case strings.Contains(text, " cannot "+a.verb+" resource "):
		return refuse("belay is not allowed to %s: bind the roles of deploy/rbac.yaml in namespace %s, or add there\n"+
			"- apiGroups: [%q]\n  resources: [%q]\n  verbs: [%q]", a, a.namespace, a.group, a.resource, a.verb)
	}
	return refuse("the cluster refuses to %s: %s", a, text)
}

// noSuchAPI reports whether the whole resource is unknown, not one object.
func noSuchAPI(err error) bool {
	return apierrors.IsNotFound(err) && strings.Contains(err.Error(), "the server could not find the requested resource")
}

// noSuchNamespace reports whether something cannot be made for want of its
// namespace.
func noSuchNamespace(err error) bool {
	return apierrors.IsNotFound(err) && strings.HasPrefix(err.Error(), "namespaces ")
}
