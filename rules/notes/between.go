package notes

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/version"
)

// Between returns the releases with from < version ≤ to, oldest first. Drafts
// and releases whose tag is no version are left out; pre-releases stay, since
// the notes of many a release are those of its release candidates. Prefixes do
// not count ("v2.1" is "release-2.1").
//
// In a repository of several parts ("server/v1.2", "chart-1.2") only one part's
// releases are returned: component's if it names one, else the part that has
// released to, then from, then the tags without a part. See SPEC section 6.
func Between(releases []Release, from, to version.Tag, component string) []Release {
	type dated struct {
		Release
		tag version.Tag
	}
	parts := map[string][]dated{}
	for _, r := range releases {
		if r.Draft {
			continue
		}
		t, err := version.Parse(r.Tag)
		if err != nil {
			continue
		}
		parts[t.Component()] = append(parts[t.Component()], dated{r, t})
	}
	if len(parts) == 0 {
		return nil
	}
	has := func(part string, v version.Tag) int {
		if slices.ContainsFunc(parts[part], func(d dated) bool { return version.CompareReleases(d.tag, v) == 0 }) {
			return 0
		}
		return 1
	}
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	part := slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(unlike(a, component), unlike(b, component)),
			cmp.Compare(has(a, to), has(b, to)),
			cmp.Compare(has(a, from), has(b, from)),
			cmp.Compare(min(len(a), 1), min(len(b), 1)),
			cmp.Compare(len(parts[b]), len(parts[a])),
		)
	})
	in := slices.DeleteFunc(parts[part], func(d dated) bool { return order(d.tag, from) <= 0 || order(d.tag, to) > 0 })
	slices.SortStableFunc(in, func(a, b dated) int { return order(a.tag, b.tag) })
	var out []Release
	for i, d := range in {
		if i > 0 && order(in[i-1].tag, d.tag) == 0 {
			// The same version twice: the one that says something counts.
			if last := &out[len(out)-1]; strings.TrimSpace(last.Body) == "" {
				*last = d.Release
			}
			continue
		}
		out = append(out, d.Release)
	}
	return out
}

// unlike is 0 for the part that is asked for, 1 for any other.
func unlike(part, component string) int {
	if component != "" && strings.EqualFold(part, component) {
		return 0
	}
	return 1
}

// order compares releases, and build suffixes (-r1) where both have them.
func order(a, b version.Tag) int {
	if c := version.CompareReleases(a, b); c != 0 {
		return c
	}
	c, err := version.Compare(a, b)
	if err != nil {
		return 0
	}
	return c
}

// under reports whether the second tag is a version of the first one's line:
// 2.0.1 of 2.0 and of 2, or the same version.
func under(line, tag string) bool {
	a, errA := version.Parse(line)
	b, errB := version.Parse(tag)
	if errA != nil || errB != nil {
		return false
	}
	na, nb := a.Numbers(), b.Numbers()
	return len(na) < len(nb) && slices.Equal(na, nb[:len(na)])
}
