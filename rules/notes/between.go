package notes

import (
	"cmp"
	"github.com/belaybot/belay/rules/version"
	"slices"
)

// Between returns the releases with from < version ≤ to, oldest first, drafts out; prefixes normalised, monorepo prefixes understood
// (component, such as "server", prefers releases whose tag has that prefix; may be empty).
func Between(releases []Release, from, to version.Tag, component string) []Release {
	type parsed struct {
		Release
		tag version.Tag
	}
	var in []parsed
	preferred := false
	for _, r := range releases {
		t, err := version.Parse(r.Tag)
		if err != nil || r.Draft || (t.Prerelease() || r.Prerelease) && !to.Prerelease() {
			continue
		}
		if version.CompareReleases(t, from) <= 0 || version.CompareReleases(t, to) > 0 {
			continue
		}
		in = append(in, parsed{r, t})
		preferred = preferred || component != "" && t.Component() == component
	}
	plain := slices.ContainsFunc(in, func(p parsed) bool { return p.tag.Component() == "" })
	in = slices.DeleteFunc(in, func(p parsed) bool {
		if preferred {
			return p.tag.Component() != component
		}
		return plain && p.tag.Component() != ""
	})
	slices.SortStableFunc(in, func(a, b parsed) int {
		return cmp.Or(version.CompareReleases(a.tag, b.tag), cmp.Compare(len(b.Body), len(a.Body)))
	})
	in = slices.CompactFunc(in, func(a, b parsed) bool { return a.tag.Key() == b.tag.Key() })
	var out []Release
	for _, p := range in {
		out = append(out, p.Release)
	}
	return out
}
