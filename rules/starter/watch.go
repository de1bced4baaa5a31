package starter

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plainKey matches names that YAML takes as they are.
var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

func key(name string) string {
	if plainKey.MatchString(name) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(name)) {
		return name
	}
	return strconv.Quote(name)
}

// stepwise are projects whose documentation asks to go from release to
// release, or whose minor releases have needed work by hand.
var stepwise = []struct{ words, why string }{
	{"goauthentik", "authentik wants no release series skipped"},
	{"authentik", "authentik wants no release series skipped"},
	{"nextcloud", "Nextcloud goes up one major version at a time"},
	{"gitlab", "GitLab has required upgrade stops"},
	{"immich", "immich has had breaking changes in minor releases"},
	{"dawarich", "dawarich has had breaking changes in minor releases"},
	{"mastodon", "Mastodon has steps by hand in its releases"},
}

func (w *writer) risk(f Found) {
	type item struct{ service, why string }
	var items []item
	for _, s := range f.Services {
		why := ""
		if len(s.Reverts) > 0 {
			why = "taken back before: " + clip(s.Reverts[0])
		}
		for _, p := range stepwise {
			if why == "" && (s.Name == p.words || slices.ContainsFunc(s.Images, func(i string) bool { return strings.Contains(i, p.words) })) {
				why = p.why
			}
		}
		if why != "" {
			items = append(items, item{s.Name, why})
		}
	}
	w.gap()
	if len(items) == 0 {
		w.say("Services that always go up release by release, each with a review:")
		w.guess("risk:")
		w.guess("  always_step: [authentik, nextcloud]")
		return
	}
	w.say("Services that should perhaps always go up release by release, each with a review:")
	w.guess("risk:")
	w.guess("  always_step:")
	for _, i := range items {
		w.guess("    - %s # %s", key(i.service), i.why)
	}
}

// clip makes one short line of a commit's subject.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:59]) + "…"
	}
	return s
}

func (w *writer) apply(f Found) {
	w.gap()
	if len(f.Pipelines) == 0 {
		w.say("Which checks apply a merge. No pipeline that runs terraform apply was found; without this, a merge counts as applied at once, and the watch begins:")
		w.guess("apply:")
		w.guess("  checks: [ci/woodpecker/push/default]")
		return
	}
	w.say("Which checks apply a merge; the others then do not count. Compare with the names that GitHub shows at a commit of the default branch.")
	w.guess("apply:")
	w.guess("  checks:")
	for _, p := range f.Pipelines {
		w.guess("    # %s %s", p.At, p.Why)
		w.guess("    - %s", strconv.Quote(p.Check))
	}
}

func (w *writer) verify(f Found) {
	var with, without []string
	for _, s := range f.Services {
		if len(s.URLs) > 0 {
			with = append(with, s.Name+" ("+strings.Join(s.URLs, ", ")+")")
		} else if len(s.Images) > 0 {
			without = append(without, s.Name)
		}
	}
	w.gap()
	if len(with) > 0 {
		w.say("Looked at after a merge without being named, from their ingresses: %s.", strings.Join(with, "; "))
	}
	example := "linkwarden"
	if len(without) > 0 {
		example = without[0]
		w.say("No address was found for %s. One or more can be given:", strings.Join(without, ", "))
	} else {
		w.say("Addresses can be given as well:")
	}
	w.guess("verify:")
	w.guess("  http:")
	w.guess("    urls:")
	w.guess("      %s: [\"https://%s.example.org\"]", key(example), host(example))
}

// notHost matches runs of what no host's name has: " ", "_", "é".
var notHost = regexp.MustCompile(`[^a-z0-9]+`)

func host(name string) string {
	if h := strings.Trim(notHost.ReplaceAllString(strings.ToLower(name), "-"), "-"); h != "" {
		return h
	}
	return "web"
}
