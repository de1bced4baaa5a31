package version

import "slices"

// Ladder returns the tags to climb through from `from` (exclusive) to `to`
// (inclusive), ascending, out of the released ones. Pre-releases are left out
// unless `to` is one; releases outside the two and repeated ones do not count.
// The result always ends with `to`. See SPEC section 8.
func Ladder(from, to Tag, released []Tag, steps Steps) []Tag {
	if steps == StepsDirect {
		return []Tag{to}
	}
	var between []Tag
	for _, t := range released {
		if CompareReleases(t, from) > 0 && CompareReleases(t, to) < 0 && (!t.Prerelease() || to.Prerelease()) {
			between = append(between, t)
		}
	}
	slices.SortStableFunc(between, CompareReleases)
	between = slices.CompactFunc(between, func(a, b Tag) bool { return CompareReleases(a, b) == 0 })
	between = append(between, to)
	if steps == StepsEvery {
		return between
	}
	level := 2 // components that make one minor
	if steps == StepsMajor {
		level = 1
	}
	var out []Tag
	for i, t := range between {
		if i == len(between)-1 || !sameLine(t, between[i+1], level) {
			out = append(out, t)
		}
	}
	return out
}

// sameLine reports whether two versions agree in their first components.
func sameLine(a, b Tag, level int) bool {
	x, y := components(a), components(b)
	for i := range level {
		if compareNumber(at(x, i), at(y, i)) != 0 {
			return false
		}
	}
	return true
}
