package version

import (
	"fmt"
	"regexp"
	"strings"
)

// Tag is a tag read as a version. The zero Tag is no version.
type Tag struct {
	Raw string // as written

	prefix  string   // before the numbers: "", "v", "version-", "server/v"
	numbers []string // components as written, digits only; at least one
	pre     []string // pre-release identifiers, lower case: ["rc", "1"]
	build   string   // kind of a build suffix: "r", "ls"; "" with builds set for a bare number
	builds  []string // its numbers: "-r1" is ["1"]
	family  string   // the rest, "-alpine", with a base image's own version taken out: "-alpine*"
	base    []string // that version: ["3", "20"] of -alpine3.20
}

// floating are words that name a moving target. See SPEC section 3.
var floating = words("latest stable edge nightly main master dev develop development devel trunk head canary rolling testing test " +
	"unstable snapshot next current release lts mainline production prod staging beta alpha rc preview experimental " +
	"tip default alpine debian ubuntu slim")

// preWords begin a pre-release. Their rank orders them: dev builds come before
// alpha, alpha before beta, beta before rc.
var preWords = map[string]int{
	"dev": 0, "develop": 0, "snapshot": 0, "nightly": 0, "canary": 0, "next": 0, "edge": 0, "unstable": 0, "insiders": 0, "main": 0, "master": 0,
	"alpha": 1, "a": 1, "ea": 1, "m": 1, "milestone": 1, "experimental": 1,
	"beta": 2, "b": 2, "preview": 2, "pre": 2, "test": 2, "testing": 2,
	"rc": 3, "c": 3, "cr": 3,
}

// buildWords begin a build suffix: the packager's own count of builds of one version.
var buildWords = words("r ls build rev revision k3s rke2r p patch pkg b0 hotfix")

// baseImages are suffixes whose own version is that of the system below, which
// may move along with the program: -alpine3.20 may become -alpine3.21. A
// language's or a driver's version (-php8.2, -cuda12) is part of the family instead.
var baseImages = words("alpine debian ubuntu ubi rocky fedora photon wolfi")

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

var (
	// minio matches MinIO's tags: "RELEASE.2024-01-02T03-04-05Z", "RELEASE.2024-01-02T03-04-05Z-cpuv1"; not "2024-01-02".
	minio = regexp.MustCompile(`^(RELEASE\.)(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})Z((?:-.*)?)$`)
	// dashed matches dates with dashes: "2024-01-02", "v2024-01-02-slim"; not "1-2-3".
	dashed = regexp.MustCompile(`^(v?)((?:19|20|21)\d{2})-(\d{2})-(\d{2})((?:[-_+.].*)?)$`)
	// numeric matches the numbers of a version and what follows: "1.2.3-rc.1", "2026.2", "4.6.3rc1"; not "v1".
	numeric = regexp.MustCompile(`^(\d+(?:\.\d+)*)(.*)$`)
	// token matches one word of what follows with its number: "rc1", "ls123", "alpine3.20", "rc.1", "p0"; not "3".
	token = regexp.MustCompile(`^(k3s|rke2r|[a-z]+)\.?(\d+(?:\.\d+)*)?$`)
	// commit matches an abbreviated commit: "g3fa9c1d", "3fa9c1d"; not "1234567" (a number) or "facade" (a word).
	commit = regexp.MustCompile(`^g?[0-9a-f]{7,40}$`)
	// form matches what a tag may consist of: "v1.2", "server/v1", "@acme/web@1+b2"; not "1 2", "1.2é".
	form = regexp.MustCompile(`^[A-Za-z0-9._+/@:~-]+$`)
	// digits matches "3", "20240102"; not "3a".
	digits = regexp.MustCompile(`^\d+$`)
)

// maxTag is the longest tag in bytes that is read; registries take 128, and
// release tags of repositories with long component names stay below this too.
const maxTag = 256

// Parse reads a tag. It takes image tags and the tags of source repositories,
// with prefixes such as "release-", "server/v" or "@acme/web@". It returns an
// error wrapping ErrNotVersion for a tag without a version: a word, a commit.
func Parse(s string) (Tag, error) {
	if len(s) > maxTag {
		return Tag{}, fmt.Errorf("tag %q…: longer than %d bytes: %w", s[:32], maxTag, ErrNotVersion)
	}
	if !form.MatchString(s) {
		return Tag{}, fmt.Errorf("tag %q: %w", s, ErrNotVersion)
	}
	if m := minio.FindStringSubmatch(s); m != nil {
		t := Tag{Raw: s, prefix: m[1], numbers: m[2:8]}
		if t.rest(m[8]) {
			return t, nil
		}
	}
	if m := dashed.FindStringSubmatch(s); m != nil {
		t := Tag{Raw: s, prefix: m[1], numbers: m[2:5]}
		if t.rest(m[5]) {
			return t, nil
		}
	}
	if !Floating(s) && !isCommit(s) {
		for _, i := range starts(s) {
			m := numeric.FindStringSubmatch(s[i:])
			t := Tag{Raw: s, prefix: s[:i], numbers: strings.Split(m[1], ".")}
			if t.rest(m[2]) {
				return t, nil
			}
		}
	}
	return Tag{}, fmt.Errorf("tag %q: %w", s, ErrNotVersion)
}

// starts lists where the numbers may begin, likeliest first: at the beginning,
// after a separator or a "v", and last of all after any letter ("openssl3").
func starts(s string) []int {
	var sure, maybe []int
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i > 0 && (s[i-1] >= '0' && s[i-1] <= '9' || s[i-1] == '.' && len(sure)+len(maybe) > 0) {
			continue
		}
		switch {
		case i == 0 || strings.IndexByte("-_/@.+", s[i-1]) >= 0:
			sure = append(sure, i)
		case (s[i-1] == 'v' || s[i-1] == 'V') && (i == 1 || strings.IndexByte("-_/@.+", s[i-2]) >= 0):
			sure = append(sure, i)
		case !strings.ContainsAny(s[:i], "0123456789"):
			maybe = append(maybe, i)
		}
	}
	// A commit's name ("sha-1a2b3c4", "pr-12") numbers no version.
	for _, p := range []string{"sha-", "git-", "commit-", "pr-", "pr_", "sha256-"} {
		if strings.HasPrefix(strings.ToLower(s), p) {
			return nil
		}
	}
	return append(sure, maybe...)
}

func isCommit(s string) bool { return commit.MatchString(s) && !digits.MatchString(s) }

// rest reads what follows the numbers: pre-release, build suffix, family. It
// reports whether it can follow a version at all.
func (t *Tag) rest(s string) bool {
	if s == "" {
		return true
	}
	if strings.IndexByte("-_+.", s[0]) < 0 {
		// Without a separator only a pre-release or patch letter may follow: 1.2rc1, 4.4p1.
		m := token.FindStringSubmatch(strings.ToLower(strings.SplitN(s, "-", 2)[0]))
		if m == nil || m[2] == "" && len(m[1]) > 1 {
			return false
		}
		if _, pre := preWords[m[1]]; !pre && !buildWords[m[1]] && len(m[1]) > 1 {
			return false
		}
		s = "-" + s
	}
	var family strings.Builder
	inPre := false
	for s != "" {
		sep := s[:1]
		s = s[1:]
		end := strings.IndexAny(s, "-_+")
		if end < 0 {
			end = len(s)
		}
		word := strings.ToLower(s[:end])
		s = s[end:]
		if word == "" {
			if family.Len() > 64 {
				return false
			}
			family.WriteString(sep)
			continue
		}
		inPre = t.word(word, sep, inPre, &family)
	}
	t.family = family.String()
	return true
}

// word takes one word of the rest and reports whether a pre-release goes on after it.
func (t *Tag) word(word, sep string, inPre bool, family *strings.Builder) bool {
	if digits.MatchString(word) {
		switch {
		case inPre:
			t.pre = append(t.pre, word)
			return true
		case strings.HasSuffix(family.String(), "*"):
			t.base = append(t.base, word) // debian-12
		case family.Len() == 0 || t.builds != nil:
			t.builds = append(t.builds, word) // 1.2.3-0, 2024.1.2_1
		default:
			family.WriteString(sep + word)
		}
		return false
	}
	first := strings.SplitN(word, ".", 2)[0]
	if m := token.FindStringSubmatch(word); m != nil {
		first = m[1]
		switch {
		case baseImages[m[1]]:
			family.WriteString(sep + m[1] + "*")
			t.base = append(t.base, split(m[2])...)
			return false
		case buildWords[m[1]] && m[2] != "" && len(t.builds) == 0:
			t.build, t.builds = m[1], split(m[2])
			return false
		}
	}
	if _, ok := preWords[strings.TrimRight(first, "0123456789")]; ok && family.Len() == 0 {
		t.pre = append(t.pre, preIdentifiers(word)...)
		return true
	}
	if isCommit(word) {
		word = "<commit>" // 1.2.3-5-g3fa9c1d: its value orders nothing
	}
	family.WriteString(sep + word)
	return false
}

// preIdentifiers splits "rc1", "rc.1" and "beta.2.3" into words and numbers.
func preIdentifiers(word string) []string {
	var out []string
	for _, part := range strings.Split(word, ".") {
		i := strings.IndexAny(part, "0123456789")
		if i > 0 {
			out = append(out, part[:i], part[i:])
		} else if part != "" {
			out = append(out, part)
		}
	}
	return out
}

func split(numbers string) []string {
	if numbers == "" {
		return nil
	}
	return strings.Split(numbers, ".")
}

// Floating reports whether the tag names a moving target ("latest", "stable",
// "edge", "main-slim", "" ) rather than a version. A moving word beside a
// version ("stable-1.2") does not float.
func Floating(tag string) bool {
	if tag == "" {
		return true
	}
	parts := strings.FieldsFunc(strings.ToLower(tag), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	if len(parts) == 0 || !floating[parts[0]] {
		return false
	}
	for _, p := range parts[1:] {
		if p[0] >= '0' && p[0] <= '9' && !isCommit(p) || p[0] == 'v' && len(p) > 1 && digits.MatchString(p[1:]) {
			return false
		}
	}
	return true
}

// String is the tag as written.
func (t Tag) String() string { return t.Raw }

// Prerelease reports whether the tag is a pre-release (-rc.1, -beta, -alpha2, -dev).
func (t Tag) Prerelease() bool { return len(t.pre) > 0 }

// Numbers are the components of the version, digits only, as written.
func (t Tag) Numbers() []string { return append([]string(nil), t.numbers...) }

// Prefix is what stands before the numbers: "", "v", "version-", "server/v".
func (t Tag) Prefix() string { return t.prefix }

// Component is the name of the part of a repository that a release tag belongs
// to, lower case and without separators: "server" of "server/v1.2", "chart" of
// "chart-1.2", "" of "v1.2" and "release-1.2".
func (t Tag) Component() string {
	p := strings.ToLower(t.prefix)
	p = strings.TrimSuffix(p, "v")
	p = strings.Trim(p, "-_/@.+")
	switch p {
	case "release", "version", "rel", "releases", "ver", "r":
		return ""
	}
	return p
}

// Key is the version's numbers and pre-release in one form, the same for every
// spelling of one release: "v1.2.0" and "server/1.2" both give "1.2".
func (t Tag) Key() string {
	n := len(t.numbers)
	for n > 1 && trim(t.numbers[n-1]) == "" {
		n--
	}
	var b strings.Builder
	for i, s := range t.numbers[:n] {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(zero(trim(s)))
	}
	for i, s := range t.pre {
		b.WriteByte("-."[min(i, 1)])
		if digits.MatchString(s) {
			s = zero(trim(s))
		}
		b.WriteString(s)
	}
	return b.String()
}

func trim(number string) string { return strings.TrimLeft(number, "0") }

func zero(number string) string {
	if number == "" {
		return "0"
	}
	return number
}
