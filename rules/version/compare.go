package version

import (
	"cmp"
	"fmt"
	"strings"
)

// Follows returns nil when candidate is a tag that a pin at t may move to as
// far as its shape goes, whichever is newer. Otherwise its error wraps
// ErrIncomparable and says why in words for a person. The rules are those of
// SPEC section 5: the same style of "v", the same suffix family, the same kind
// of build suffix, as many components or more, a pre-release only if the pin is
// one. The version of a base image (-alpine3.20) may move along.
func (t Tag) Follows(candidate Tag) error {
	if err := related(t, candidate); err != nil {
		return err
	}
	not := func(why string) error { return fmt.Errorf("%s: %w: %s", candidate.Raw, ErrIncomparable, why) }
	switch {
	case len(candidate.numbers) < len(t.numbers):
		return not(fmt.Sprintf("fewer components than %s", t.Raw))
	case candidate.Prerelease() && !t.Prerelease():
		return not(fmt.Sprintf("a pre-release, and %s is none", t.Raw))
	case date(candidate) != date(t):
		return not(fmt.Sprintf("one is a date and the other, %s, is none", t.Raw))
	}
	return nil
}

// date reports whether the tag is one number that reads as a day: 20240102.
func date(t Tag) bool {
	if len(t.numbers) != 1 || len(t.numbers[0]) != 8 {
		return false
	}
	n := t.numbers[0]
	return n >= "19000101" && n <= "21991231" && n[4:6] <= "12" && n[6:] <= "31"
}

// related returns nil when two tags are of one family, whichever is newer.
func related(pin, t Tag) error {
	not := func(why string) error { return fmt.Errorf("%s: %w: %s", t.Raw, ErrIncomparable, why) }
	switch {
	case len(pin.numbers) == 0 || len(t.numbers) == 0:
		return not("not a version")
	case pin.prefix != t.prefix:
		return not(fmt.Sprintf("%s, where %s has %s", written(t.prefix, "before the number"), pin.Raw, named(pin.prefix)))
	case pin.family != t.family || (len(pin.base) == 0) != (len(t.base) == 0):
		return not(fmt.Sprintf("%s, where %s has %s", written(t.suffix(), "after it"), pin.Raw, named(pin.suffix())))
	case pin.build != t.build || (len(pin.builds) == 0) != (len(t.builds) == 0):
		return not(fmt.Sprintf("%s, where %s has %s", written(t.buildSuffix(), "as build"), pin.Raw, named(pin.buildSuffix())))
	}
	return nil
}

func written(s, where string) string {
	if s == "" {
		return "nothing " + where
	}
	return fmt.Sprintf("%q %s", s, where)
}

func named(s string) string {
	if s == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", s)
}

func (t Tag) suffix() string {
	return strings.Replace(t.family, "*", strings.Join(t.base, "."), 1)
}

func (t Tag) buildSuffix() string {
	if len(t.builds) == 0 {
		return ""
	}
	return "-" + t.build + strings.Join(t.builds, ".")
}

// Compare orders two tags of one family: -1, 0 or +1. It returns an error
// wrapping ErrIncomparable when they belong to different families, such as
// 3.20-alpine and 3.20-bookworm. Missing components count as zero, build
// suffixes (-r1, -ls123) order numerically, and the version of a base image
// decides last. See SPEC section 5.
func Compare(a, b Tag) (int, error) {
	if err := related(a, b); err != nil {
		return 0, err
	}
	return cmp.Or(CompareReleases(a, b), compareNumbers(a.builds, b.builds), compareNumbers(a.base, b.base)), nil
}

// Newer reports whether a tag is newer than another one, as people write them.
// What cannot be compared is newer where it is not the same: whoever asks has it
// from where versions are compared with what is pinned.
func Newer(a, b string) bool {
	x, errX := Parse(a)
	y, errY := Parse(b)
	if errX != nil || errY != nil {
		return a != b
	}
	c, err := Compare(x, y)
	return err != nil || c > 0
}

// CompareReleases orders two releases whatever their prefixes ("v", "release-",
// "server/v") and image suffixes ("-alpine", "-ls12"): by numbers, then by
// pre-release.
func CompareReleases(a, b Tag) int {
	return cmp.Or(compareNumbers(a.numbers, b.numbers), comparePre(a.pre, b.pre))
}

func compareNumbers(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if c := compareNumber(at(a, i), at(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// compareNumber orders numbers of any length: tags hold build dates and worse.
func compareNumber(a, b string) int {
	a, b = trim(a), trim(b)
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// comparePre orders pre-releases as semver does (https://semver.org, item 11),
// with the usual words ranked dev, alpha, beta, rc. None is newer than any.
func comparePre(a, b []string) int {
	switch {
	case len(a) == 0 && len(b) == 0:
		return 0
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	for i := range min(len(a), len(b)) {
		if c := comparePreIdentifier(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func comparePreIdentifier(a, b string) int {
	na, nb := digits.MatchString(a), digits.MatchString(b)
	switch {
	case na && nb:
		return compareNumber(a, b)
	case na:
		return -1
	case nb:
		return 1
	}
	ra, oka := preWords[a]
	rb, okb := preWords[b]
	switch {
	case oka && okb:
		return cmp.Or(cmp.Compare(ra, rb), cmp.Compare(a, b))
	case oka:
		return -1
	case okb:
		return 1
	}
	return cmp.Compare(a, b)
}

// BumpBetween is the kind of the step from one tag to another: the first
// component that differs decides. A date in one number (20240102) counts as
// year, month and day. With zeroMajor, 0.x → 0.y is major (risk.zero_major).
func BumpBetween(from, to Tag, zeroMajor bool) Bump {
	a, b := components(from), components(to)
	for i := range max(len(a), len(b)) {
		if compareNumber(at(a, i), at(b, i)) == 0 {
			continue
		}
		switch {
		case i == 0, i == 1 && zeroMajor && trim(at(a, 0)) == "":
			return BumpMajor
		case i == 1:
			return BumpMinor
		}
		return BumpPatch
	}
	switch {
	case comparePre(from.pre, to.pre) != 0:
		return BumpPatch
	case compareNumbers(from.builds, to.builds) != 0 || compareNumbers(from.base, to.base) != 0:
		return BumpBuild
	}
	return BumpNone
}

func components(t Tag) []string {
	if date(t) {
		n := t.numbers[0]
		return []string{n[:4], n[4:6], n[6:]}
	}
	return t.numbers
}

// Restyle writes a release of the source repository the way the pin is
// written: "v2.10.0" is "2.10.0" where the pin has no "v", and
// "2.10.0-alpine" where the pin has that suffix. It returns an error wrapping
// ErrIncomparable where the pin's tag holds what the release cannot know: the
// packager's build number (-ls123).
func (t Tag) Restyle(release Tag) (Tag, error) {
	if len(t.builds) > 0 {
		return Tag{}, fmt.Errorf("%s: %w: the build suffix of %s for it is not known", release.Raw, ErrIncomparable, t.Raw)
	}
	if t.prefix == "RELEASE." || dashed.MatchString(t.Raw) {
		return Tag{}, fmt.Errorf("%s: %w: %s is a date", release.Raw, ErrIncomparable, t.Raw)
	}
	out := release
	out.prefix, out.build, out.builds, out.family, out.base = t.prefix, "", nil, t.family, t.base
	raw := t.prefix + strings.Join(release.numbers, ".")
	if len(release.pre) > 0 {
		raw += release.preAsWritten()
	}
	out.Raw = raw + t.suffixAsWritten()
	return out, nil
}

// preAsWritten is the pre-release with its separators: "-rc.1" of v1.2.0-rc.1.
func (t Tag) preAsWritten() string {
	rest := strings.TrimPrefix(t.Raw, t.prefix+strings.Join(t.numbers, "."))
	return strings.TrimSuffix(rest, t.suffixAsWritten())
}

// suffixAsWritten is the end of the tag from the family on: "-alpine3.20".
func (t Tag) suffixAsWritten() string {
	if t.family == "" {
		return ""
	}
	word := strings.SplitN(t.family, "*", 2)[0]
	i := strings.LastIndex(strings.ToLower(t.Raw), word)
	if i < 0 {
		return ""
	}
	return t.Raw[i:]
}
