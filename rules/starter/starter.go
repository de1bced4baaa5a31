// Package starter writes a first belay.yml from what a repository shows.
//
// In goes what was found in the repository, as plain values; out comes a file
// in which only what is certain is set. What is a guess is commented out, with
// the place that led to it, for a person to confirm. It reads nothing itself.
// See SPEC section 15.
package starter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belaybot/belay/rules/policy"
)

// Found is what a repository shows.
type Found struct {
	Pins, Followed int
	Unfollowed     []Count  // by reason, the most frequent first
	Roots          []string // globs of service directories that are certain; empty: leave it at every root module
	Services       []Service
	Images         []string // familiar names without tags of all that is pinned: "ghcr.io/acme/web"
	Owner          string   // of the repository on GitHub; "" when not known
	Pipelines      []Pipeline
}

// Count is how many pins are not followed for one reason.
type Count struct {
	Reason string
	N      int
}

// Service is one service of the repository.
type Service struct {
	Name     string
	Images   []string // familiar names, without tags
	Settings []Setting
	Claims   []Claim
	CronJobs []CronJob
	URLs     []string
	Reverts  []string // subjects of commits that took an upgrade of it back, newest first
}

// Setting is an environment variable and where it stands: "stacks/links/main.tf:44".
type Setting struct{ Name, Value, At string }

// Claim is a volume that the service mounts.
type Claim struct{ Namespace, Name, Path, At string }

// CronJob is a CronJob of the service.
type CronJob struct{ Namespace, Name, Text, At string }

// Pipeline is a CI pipeline that seems to apply what is merged.
type Pipeline struct {
	Check string // name of its check run or commit status
	At    string
	Why   string // "runs terraform apply"
}

// Configuration writes the file. It is always one that policy.Parse takes, and
// still is when every commented setting is made active and the words in
// capitals are filled in.
func Configuration(f Found) []byte {
	blank := func(s string) bool { return strings.TrimFunc(s, odd) == "" }
	f.Services = slices.DeleteFunc(slices.Clone(f.Services), func(s Service) bool { return blank(s.Name) })
	f.Pipelines = slices.DeleteFunc(slices.Clone(f.Pipelines), func(p Pipeline) bool { return blank(p.Check) })
	w := &writer{}
	w.head(f)
	w.roots(f)
	w.skip(f)
	w.risk(f)
	w.data(f)
	w.apply(f)
	w.verify(f)
	return w.out.Bytes()
}

// writer writes settings, and guesses as comments: "# " and a word is prose,
// any other "#" stands before a setting that may be made active.
type writer struct{ out bytes.Buffer }

func (w *writer) gap() { w.out.WriteByte('\n') }

// say writes prose, folded at about 100 columns.
func (w *writer) say(format string, args ...any) {
	line := "#"
	for _, word := range strings.FieldsFunc(fmt.Sprintf(format, args...), odd) {
		if len(line)+1+len(word) > 100 && line != "#" {
			w.out.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	w.out.WriteString(line + "\n")
}

func (w *writer) set(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// odd reports whether a character is a blank, or may end a line or a text.
func odd(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == utf8.RuneError
}

// guess writes a commented line. Nothing that was found in the repository can
// end it: what would begin a line in YAML becomes a space.
func (w *writer) guess(format string, args ...any) {
	line := strings.Map(func(r rune) rune {
		if odd(r) {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	w.out.WriteString("#" + line + "\n")
}

func (w *writer) head(f Found) {
	fmt.Fprintf(&w.out, "# yaml-language-server: $schema=%s\n", policy.SchemaID)
	switch f.Pins {
	case 0:
		w.say("No version pins were found here: belay follows images and Helm charts in Terraform files. Every setting below is optional.")
	default:
		w.say("%s and %s were found here; belay follows %d of them (belay pins lists them all).", count(len(f.Services), "service"), count(f.Pins, "version pin"), f.Followed)
		var parts []string
		for _, c := range f.Unfollowed {
			parts = append(parts, fmt.Sprintf("%d: %s", c.N, c.Reason))
		}
		if len(parts) > 0 {
			w.say("Not followed are %s.", strings.Join(parts, "; "))
		}
	}
	w.say("What is commented out is a guess. Look at it, and take away the # in front of what is right.")
	w.say("All settings: docs/configuration.md. Check the file with: belay config check")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (w *writer) roots(f Found) {
	w.gap()
	if len(f.Roots) == 0 {
		w.say("Every root module is a service of its own. Where that is wrong, say where services are:")
		w.guess("services:")
		w.guess("  roots: [\"stacks/*\"]")
		return
	}
	w.say("Each of these directories is one service: %s.", strings.Join(names(f.Services), ", "))
	w.set("services:\n  roots: %s", flow(f.Roots))
}

func names(list []Service) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out
}

// skip proposes to leave the repository owner's own images alone: who builds
// them deploys them.
func (w *writer) skip(f Found) {
	var globs []string
	for _, name := range f.Images {
		if g := own(name, f.Owner); g != "" && !slices.Contains(globs, g) {
			globs = append(globs, g)
		}
	}
	w.gap()
	if len(globs) == 0 {
		w.say("Images of your own, for which there are no releases to read, can be left alone:")
		w.guess("dispatch:")
		w.guess("  skip: [\"registry.example.org/*\"]")
		return
	}
	slices.Sort(globs)
	w.say("These look like images of your own. Leave them alone, if you deploy them by other means:")
	w.guess("dispatch:")
	w.guess("  skip: %s", flow(globs))
}

// public are registries that anybody may publish to.
var public = []string{"docker.io", "ghcr.io", "quay.io", "lscr.io", "gcr.io", "registry.k8s.io", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws", "codeberg.org",
	"registry.gitlab.com", "nvcr.io", "docker.n8n.io", "docker.elastic.co", "docker.redpanda.com", "registry.opensource.zalan.do", "code.forgejo.org", "cr.fluentbit.io",
	"reg.kyverno.io", "xpkg.upbound.io", "container-registry.oracle.com", "registry.access.redhat.com", "cgr.dev", "dhi.io", "forgejo.ellis.link"}

// own is the glob of a name's owner where that looks like the person whose
// repository it is, or "".
func own(name, owner string) string {
	host, rest, _ := strings.Cut(name, "/")
	if strings.ContainsAny(host, ".:") || host == "localhost" {
		if !slices.Contains(public, host) && !strings.HasSuffix(host, ".pkg.dev") && !strings.HasSuffix(host, ".gcr.io") {
			return host + "/*"
		}
	} else {
		host, rest = "", name
	}
	who, _, two := strings.Cut(rest, "/")
	if owner == "" || !two || !strings.EqualFold(who, owner) {
		return ""
	}
	return strings.TrimPrefix(host+"/"+who+"/*", "/")
}

func flow(items []string) string {
	var out []string
	for _, s := range items {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
