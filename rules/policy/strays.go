package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
)

// Found is what a repository has, as far as a configuration names it.
type Found struct {
	Services map[string]string // directories by service: "linkwarden" is in "stacks/linkwarden"
	Outside  []string          // directories with pins that services.roots leaves out
	// Nameless says that a service is called as the repository is, whose name is
	// not at hand: a name that is near to no other may be that one.
	Nameless bool
}

// Stray is a name or a glob of a configuration that nothing in the repository
// answers to: what stands there has no effect.
type Stray struct {
	Key     string // where it stands: "databases", "services.roots"
	Name    string // as it stands there: "linkwardn", "stack/*"
	Nearest string // what was probably meant, "" when nothing is near
}

// String says it in a sentence without an end: 'databases names "linkwardn", and
// the repository has no such service: did you mean "linkwarden"?'
func (s Stray) String() string {
	out := fmt.Sprintf("%s names %q, and the repository has no such service", s.Key, s.Name)
	if slices.Contains(globKeys, s.Key) {
		out = fmt.Sprintf("%s has %q, which matches no service of the repository and no directory of one", s.Key, s.Name)
	}
	if s.Nearest != "" {
		return fmt.Sprintf("%s: did you mean %q?", out, s.Nearest)
	}
	return out + ": take it out, or look the name up in belay pins"
}

const (
	keyRoots         = "services.roots"
	keyIgnore        = "services.ignore"
	keyAdviserIgnore = "adviser.ignore"
)

// globKeys hold globs on services or directories.
var globKeys = []string{keyRoots, keyIgnore, keyAdviserIgnore}

// Strays lists the names and globs that nothing in the repository answers to, in
// the order of the file's reference. Where services.roots leaves nothing over,
// only that is said: no name could be right.
func (p Policy) Strays(f Found) []Stray {
	var out []Stray
	for _, pattern := range p.Services.Roots {
		if !slices.ContainsFunc(f.directories(), matches(pattern)) {
			out = append(out, Stray{keyRoots, pattern, f.nearestRoot(pattern)})
		}
	}
	if len(p.Services.Roots) > 0 && len(f.Services) == 0 {
		return out
	}
	globs := func(key string, patterns []string) {
		for _, pattern := range patterns {
			if !f.answers(pattern) {
				out = append(out, Stray{key, pattern, f.nearest(pattern)})
			}
		}
	}
	names := func(key string, list []string) {
		for _, name := range list {
			if _, ok := f.Services[name]; ok {
				continue
			}
			if near := f.nearest(name); near != "" || !f.Nameless {
				out = append(out, Stray{key, name, near})
			}
		}
	}
	globs(keyIgnore, p.Services.Ignore)
	names("dispatch.limit.services", sorted(p.Dispatch.Limit.Services))
	names("risk.always_step", p.Risk.AlwaysStep)
	names("steps.services", sorted(p.StepsFor))
	names("databases", sorted(p.Databases))
	names("verify.workloads", sorted(p.Verify.Workloads))
	names("verify.http.urls", sorted(p.Verify.HTTP.URLs))
	names("verify.kuma.monitors", sorted(p.Verify.Kuma.Monitors))
	names("verify.prometheus.queries", sorted(p.Verify.Prometheus.Queries))
	globs(keyAdviserIgnore, p.Adviser.Ignore)
	return out
}

// directories are those of the services.
func (f Found) directories() []string {
	var out []string
	for _, name := range sorted(f.Services) {
		out = append(out, f.Services[name])
	}
	return out
}

func matches(pattern string) func(directory string) bool {
	return func(directory string) bool {
		ok, err := doublestar.Match(strings.Trim(path.Clean(pattern), "/"), directory)
		return err == nil && ok
	}
}

// answers reports whether a glob matches a service or a directory with pins.
func (f Found) answers(pattern string) bool {
	for name, directory := range f.Services {
		if globbed([]string{pattern}, name, directory) {
			return true
		}
	}
	return slices.ContainsFunc(f.Outside, matches(pattern))
}

// maxDistance is how many letters what was meant may differ in.
const maxDistance = 2

// nearest is the service that was probably meant: one that differs in a letter or
// two, that lies in the directory of this name, or whose name goes on before it.
func (f Found) nearest(name string) string {
	best, distance := "", maxDistance+1
	for _, service := range sorted(f.Services) {
		if f.Services[service] == strings.Trim(path.Clean(name), "/") || strings.HasSuffix(service, "/"+name) {
			return service
		}
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(service), nil); d < distance && d < len(service) {
			best, distance = service, d
		}
	}
	return best
}

// nearestRoot is the glob that was probably meant: a directory with pins, or all
// that lie beside it.
func (f Found) nearestRoot(pattern string) string {
	var all []string
	for _, directory := range slices.Concat(f.directories(), f.Outside) {
		for d := directory; d != "." && d != "/"; d = path.Dir(d) {
			all = append(all, d, path.Join(path.Dir(d), "*"))
		}
	}
	slices.Sort(all)
	best, distance := "", maxDistance+1
	for _, root := range slices.Compact(all) {
		if d := levenshtein.Distance(strings.ToLower(pattern), strings.ToLower(root), nil); d < distance && d < len(strings.Trim(root, "*/")) {
			best, distance = root, d
		}
	}
	return best
}
