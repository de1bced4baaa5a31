package main

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
)

// nearest are the names in a repository that were probably meant by a dispatch,
// three at most and the nearest first, where what it names is pinned nowhere.
func nearest(inv *terraform.Inventory, d plan.Dispatch) []string {
	asked := cmp.Or(d.Chart.Name, d.Image.Familiar())
	distances := map[string]int{}
	for _, n := range inv.Pins {
		var name string
		switch {
		case d.Chart.Name != "" && n.Kind == pin.KindChart:
			if plan.SameChart(n.Chart, d.Chart) {
				return nil
			}
			name = n.Chart.Name
		case d.Chart.Name == "" && n.Kind == pin.KindImage && n.Image.Repository != "":
			if n.Image.SameName(d.Image) {
				return nil
			}
			name = n.Image.Familiar()
		default:
			continue
		}
		if away, near := apart(asked, name); near {
			distances[name] = away
		}
	}
	var out []string
	for name := range distances {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(distances[a], distances[b]), cmp.Compare(a, b)) })
	return out[:min(len(out), 3)]
}

// apart says how far two names are from each other, and whether one may have been
// written for the other: "vaultwarden/sever" for "vaultwarden/server", and
// "linkwarden" for "ghcr.io/linkwarden/linkwarden", but not "nginx" for "redis".
func apart(asked, name string) (int, bool) {
	asked, name = strings.ToLower(asked), strings.ToLower(name)
	away := levenshtein.Distance(asked, name, nil)
	last := path.Base(asked)
	return away, away <= max(2, len(asked)/5) || last == path.Base(name) || last != "" && len(last) > 3 && slices.Contains(strings.Split(name, "/"), last)
}
