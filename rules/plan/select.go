package plan

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// Filter says why a dispatch asks for nothing whatever the repository holds,
// or "" when it is to be looked at. The order is that of SPEC section 3:
// status, floating tag, skip patterns.
func Filter(d Dispatch, p policy.Policy) string {
	if d.Status != "" && !p.StatusTaken(d.Status) {
		return fmt.Sprintf("status %q asks for nothing (dispatch.statuses: %s)", d.Status, strings.Join(p.Dispatch.Statuses, ", "))
	}
	if version.Floating(d.Tag) {
		return fmt.Sprintf("floating tag %q: it names no version", d.Tag)
	}
	if _, err := version.Parse(d.Tag); err != nil {
		return fmt.Sprintf("tag %q is not a version", d.Tag)
	}
	if d.Chart.Name == "" {
		if pattern, skip := image.Match(p.Dispatch.Skip, d.Image); skip {
			return fmt.Sprintf("image matches skip pattern %q (dispatch.skip)", pattern)
		}
	}
	return ""
}

// Target is a pin and the version that it is asked to move to. For an image
// that a chart ships, it is the chart's version and not the dispatched tag.
type Target struct {
	Pin    pin.Pin
	To     string
	AppTo  string // the image tag that the chart version ships, when the pin is a chart
	Digest string // for an image pin
}

// Candidate is a group of pins that move together: one upgrade before its
// notes are read.
type Candidate struct {
	Service      string
	Directory    string
	AlsoServices []string // services that share a place with Service and move with it
	Targets      []Target // sorted by path and line
	From, To     version.Tag
	Shared       []pin.Pin // pins of other images that stand at the same places and move along
	Siblings     []pin.Pin // pins of other images of the same project and version that do not move
}

// services are all that move, the leading one first.
func (c Candidate) services() []string { return append([]string{c.Service}, c.AlsoServices...) }

// Select sorts targets into candidates, one per service, and skipped pins. all
// are the repository's pins, among which those that share a place are found.
func Select(targets []Target, all []pin.Pin, p policy.Policy) ([]Candidate, []Skipped) {
	var moving []Target
	var skipped []Skipped
	out := map[place]string{} // which services that opted out stand there
	for _, n := range all {
		if n.Span.Path != "" && p.Ignored(n.Service, n.Directory) {
			out[placeOf(n)] = n.Service
		}
	}
	for _, t := range targets {
		reason := Stays(t, p)
		if other := out[placeOf(t.Pin)]; reason == "" && other != "" {
			reason = fmt.Sprintf("its version is written in one place with that of %s, which opted out (services.ignore)", other)
		}
		if reason != "" {
			skipped = append(skipped, skip(t.Pin, reason))
			continue
		}
		moving = append(moving, t)
	}
	return group(moving, all), unique(skipped)
}

// Stays says why a pin does not move, or "".
func Stays(t Target, p policy.Policy) string {
	n := t.Pin
	if p.Ignored(n.Service, n.Directory) {
		return "service opted out (services.ignore)"
	}
	if n.Reason != pin.Followed {
		return NotFollowed(n)
	}
	if reason := annotated(n, t); reason != "" {
		return reason
	}
	from, err := version.Parse(n.Version)
	if err != nil {
		return fmt.Sprintf("pinned at %q, which is not a version", n.Version)
	}
	to, err := version.Parse(t.To)
	if err != nil {
		return fmt.Sprintf("%q is not a version", t.To)
	}
	if err := from.Follows(to); err != nil {
		return err.Error()
	}
	order, err := version.Compare(from, to)
	switch {
	case err != nil:
		return err.Error()
	case order > 0:
		return fmt.Sprintf("not newer: pinned at %s", n.Version)
	case order == 0 && n.Version == t.To && refreshes(t):
		return ""
	case order == 0:
		return fmt.Sprintf("nothing to do: already at %s", n.Version)
	}
	return ""
}

// refreshes reports whether a pin of the same tag carries another digest than the dispatched one.
func refreshes(t Target) bool {
	return t.Pin.Digest != nil && t.Digest != "" && t.Pin.Digest.Text != t.Digest
}

// NotFollowed is the reason why a pin is not followed, in words.
func NotFollowed(n pin.Pin) string {
	if n.Detail == "" {
		return string(n.Reason)
	}
	return string(n.Reason) + ": " + n.Detail
}

// annotated obeys diun.include_tags and diun.exclude_tags beside the pin: they
// say which tags the owner wants to follow.
func annotated(n pin.Pin, t Target) string {
	tag := t.To
	if t.AppTo != "" {
		tag = t.AppTo
	}
	matches := func(patterns []string) (bool, string) {
		for _, s := range patterns {
			re, err := regexp.Compile(s)
			if err != nil {
				return false, fmt.Sprintf("annotation %q is no regular expression: %v", s, err)
			}
			if re.MatchString(tag) {
				return true, ""
			}
		}
		return false, ""
	}
	if len(n.IncludeTags) > 0 {
		ok, problem := matches(n.IncludeTags)
		if problem != "" {
			return problem
		}
		if !ok {
			return fmt.Sprintf("tag %s does not match diun.include_tags %q", tag, strings.Join(n.IncludeTags, ", "))
		}
	}
	ok, problem := matches(n.ExcludeTags)
	if problem != "" {
		return problem
	}
	if ok {
		return fmt.Sprintf("tag %s matches diun.exclude_tags %q", tag, strings.Join(n.ExcludeTags, ", "))
	}
	return ""
}

func skip(n pin.Pin, reason string) Skipped {
	at := n.Use
	if n.Span.Path != "" {
		at = pin.Location{Path: n.Span.Path, Line: n.Span.Line}
	}
	return Skipped{Service: n.Service, Path: at.Path, Line: at.Line, Reason: reason}
}

func unique(in []Skipped) []Skipped {
	slices.SortStableFunc(in, func(a, b Skipped) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(in)
}

// group makes one candidate per service. Services whose pins stand at the same
// place (the default of a module that both call) cannot move apart, so they
// become one candidate under the first one's name.
func group(moving []Target, all []pin.Pin) []Candidate {
	slices.SortStableFunc(moving, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Pin.Service, b.Pin.Service), cmp.Compare(a.Pin.Span.Path, b.Pin.Span.Path),
			cmp.Compare(a.Pin.Span.Line, b.Pin.Span.Line), cmp.Compare(a.Pin.Span.Start, b.Pin.Span.Start))
	})
	leader := map[string]string{} // service → the service it moves with
	find := func(s string) string {
		for leader[s] != s {
			s = leader[s]
		}
		return s
	}
	holder := map[place]string{}
	for _, t := range moving {
		s := t.Pin.Service
		if _, ok := leader[s]; !ok {
			leader[s] = s
		}
		at := placeOf(t.Pin)
		if other, ok := holder[at]; ok {
			a, b := find(other), find(s)
			leader[max(a, b)] = min(a, b)
		} else {
			holder[at] = s
		}
	}
	byService := map[string]*Candidate{}
	var order []string
	for _, t := range moving {
		name := find(t.Pin.Service)
		c := byService[name]
		if c == nil {
			c = &Candidate{Service: name}
			byService[name] = c
			order = append(order, name)
		}
		if t.Pin.Service == name {
			c.Directory = t.Pin.Directory
		} else if !slices.Contains(c.AlsoServices, t.Pin.Service) {
			c.AlsoServices = append(c.AlsoServices, t.Pin.Service)
		}
		c.Targets = append(c.Targets, t)
	}
	slices.Sort(order)
	out := make([]Candidate, 0, len(order))
	for _, name := range order {
		c := byService[name]
		c.span()
		c.neighbours(all)
		out = append(out, *c)
	}
	return out
}

// place is where a version's bytes are.
type place struct {
	path       string
	start, end int
}

func placeOf(n pin.Pin) place { return place{n.Span.Path, n.Span.Start, n.Span.End} }

// span sets From to the oldest version that moves and To to the newest target.
func (c *Candidate) span() {
	for i, t := range c.Targets {
		from, err1 := version.Parse(t.Pin.Version)
		to, err2 := version.Parse(t.To)
		if errors.Join(err1, err2) != nil {
			continue // Stays has let only versions through
		}
		if i == 0 || version.CompareReleases(from, c.From) < 0 {
			c.From = from
		}
		if i == 0 || version.CompareReleases(to, c.To) > 0 {
			c.To = to
		}
	}
}

// neighbours finds the other images that move along because they share a
// place, and the siblings that stand at the same version elsewhere.
func (c *Candidate) neighbours(all []pin.Pin) {
	places, names, services := map[place]bool{}, map[string]bool{}, map[string]bool{c.Service: true}
	for _, s := range c.AlsoServices {
		services[s] = true
	}
	owners := map[string]bool{}
	for _, t := range c.Targets {
		places[placeOf(t.Pin)] = true
		names[nameOf(t.Pin)] = true
		if o := owner(t.Pin); o != "" {
			owners[o+" "+t.Pin.Version] = true
		}
	}
	for _, n := range all {
		if n.Kind != pin.KindImage || n.Span.Path == "" || names[nameOf(n)] {
			continue
		}
		switch {
		case places[placeOf(n)]:
			c.Shared = append(c.Shared, n)
			if !services[n.Service] {
				services[n.Service] = true
				c.AlsoServices = append(c.AlsoServices, n.Service)
			}
		case n.Service == c.Service && n.Reason == pin.Followed && owners[owner(n)+" "+n.Version]:
			c.Siblings = append(c.Siblings, n)
		}
	}
	slices.Sort(c.AlsoServices)
}

func nameOf(n pin.Pin) string {
	if n.Kind == pin.KindChart {
		return "chart " + n.Chart.Repository + " " + n.Chart.Name
	}
	return n.Image.Name()
}

// owner is the registry and organisation of an image: "docker.io/phpipam" of
// docker.io/phpipam/phpipam-www. Official images have none.
func owner(n pin.Pin) string {
	if n.Kind != pin.KindImage {
		return ""
	}
	org, _, ok := strings.Cut(n.Image.Repository, "/")
	if !ok || org == "library" {
		return ""
	}
	return n.Image.Registry + "/" + org
}
