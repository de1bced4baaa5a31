package plan

import (
	"fmt"
	"slices"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// Unasked says why nobody needs to ask the registry about a pin, or "" when
// its newest tag is to be looked up: the filters of SPEC section 3, as far as
// they do not depend on the tag.
func Unasked(n pin.Pin, p policy.Policy) string {
	if p.Ignored(n.Service, n.Directory) {
		return "service opted out (services.ignore)"
	}
	if n.Reason != pin.Followed {
		return NotFollowed(n)
	}
	if _, err := version.Parse(n.Version); err != nil {
		return fmt.Sprintf("pinned at %q, which is not a version", n.Version)
	}
	if n.Kind == pin.KindImage {
		if n.Image.Repository == "" {
			return "the chart says which image it is"
		}
		if pattern, skip := image.Match(p.Dispatch.Skip, n.Image); skip {
			return fmt.Sprintf("image matches skip pattern %q (dispatch.skip)", pattern)
		}
	}
	return ""
}

// Newest picks the newest tag that a pin may move to out of those that its
// registry has; "" when it is at the newest already, with the reason when it is
// an annotation that keeps it there. Where tags of as many components as the pinned
// one are there, those count: 2.1 goes to 2.2, not to 2.2.7. A number that reads as a year is
// followed by a pin alone that is one, too: some registries have tags of both kinds.
func Newest(n pin.Pin, tags []string) (to, why string) {
	from, err := version.Parse(n.Version)
	if err != nil {
		return "", fmt.Sprintf("pinned at %q, which is not a version", n.Version)
	}
	var newer []version.Tag
	for _, s := range tags {
		t, err := version.Parse(s)
		if err != nil || version.Floating(s) || from.Follows(t) != nil || calendar(t) != calendar(from) {
			continue
		}
		if order, err := version.Compare(t, from); err == nil && order > 0 {
			newer = append(newer, t)
		}
	}
	alike := slices.DeleteFunc(slices.Clone(newer), func(t version.Tag) bool { return len(t.Numbers()) != len(from.Numbers()) })
	for _, list := range [][]version.Tag{alike, newer} {
		slices.SortStableFunc(list, func(a, b version.Tag) int {
			order, _ := version.Compare(b, a)
			return order
		})
		for _, t := range list {
			reason := annotated(n, Target{Pin: n, To: t.String()})
			if reason == "" {
				return t.String(), ""
			}
			if why == "" {
				why = reason
			}
		}
	}
	return "", why
}

// calendar reports whether a version begins with a year: 2026.2.2, 2024-01-02.
func calendar(t version.Tag) bool {
	n := t.Numbers()
	return len(n) > 0 && len(n[0]) == 4 && n[0] >= "1990" && n[0] <= "2199"
}
