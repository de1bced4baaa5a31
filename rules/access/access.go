// Package access is what belay's GitHub App may do and hears of: one list, from
// which the App is created, by which the doctor judges, and which the
// documentation shows. See SPEC sections 15 and 17.
package access

import (
	"maps"
	"slices"
	"strings"
)

// Permission is one right of the App on the repositories it is installed on.
type Permission struct {
	Key   string // as GitHub's API names it: "pull_requests"
	Name  string // as GitHub's pages name it: "Pull requests"
	Level string // "read" or "write"
	For   string // what belay needs it for
}

// Permissions are the rights that belay needs, and no more.
func Permissions() []Permission {
	return []Permission{
		{"contents", "Contents", "write", "reading the repository, pushing branches named `belay/…`, merging"},
		{"pull_requests", "Pull requests", "write", "opening, updating and closing pull requests, reading reviews"},
		{"issues", "Issues", "write", "labels, comments, reactions, the dashboard issue"},
		{"checks", "Checks", "write", "its own checks, and CI's"},
		{"statuses", "Commit statuses", "read", "CI's statuses"},
		{"metadata", "Metadata", "read", "who may give commands"},
	}
}

// Events are the webhooks that the App has to be subscribed to.
func Events() []string {
	return []string{"check_run", "check_suite", "issue_comment", "issues", "pull_request", "pull_request_review", "push", "repository", "repository_dispatch", "status"}
}

// Unasked are the webhooks that GitHub sends to every App, subscribed or not. See
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation.
func Unasked() []string {
	return []string{"installation", "installation_repositories", "ping"}
}

// rank orders levels; an unknown one is none.
var rank = map[string]int{"read": 1, "write": 2, "admin": 3}

// Lacking are the permissions that are not granted, or not far enough.
func Lacking(granted map[string]string) []Permission {
	return slices.DeleteFunc(Permissions(), func(p Permission) bool { return rank[granted[p.Key]] >= rank[p.Level] })
}

// Needless are the granted permissions that belay does not use: "secrets: write".
func Needless(granted map[string]string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(granted)) {
		need := ""
		for _, p := range Permissions() {
			if p.Key == key {
				need = p.Level
			}
		}
		if rank[granted[key]] > rank[need] {
			out = append(out, key+": "+granted[key])
		}
	}
	return out
}

// Unheard are the events that are not subscribed to.
func Unheard(subscribed []string) []string {
	return slices.DeleteFunc(Events(), func(e string) bool { return slices.Contains(subscribed, e) })
}

// String reads as on GitHub's pages: "Contents: read and write".
func (p Permission) String() string {
	return p.Name + ": " + strings.ReplaceAll(p.Level, "write", "read and write")
}
