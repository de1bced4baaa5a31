package planner

import (
	"fmt"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
)

// Strays says in sentences which names and globs of a configuration nothing in
// the repository answers to.
func Strays(inv *terraform.Inventory, p policy.Policy) []string {
	found := policy.Found{Services: map[string]string{}}
	for _, s := range inv.Services {
		found.Services[s.Name] = s.Directory
		found.Nameless = found.Nameless || s.Directory == "." && s.Name == terraform.RootName
	}
	for _, n := range inv.Pins {
		if n.Reason == pin.OutsideRoots {
			found.Outside = append(found.Outside, n.Directory)
		}
	}
	var out []string
	for _, s := range p.Strays(found) {
		out = append(out, s.String())
	}
	return out
}

// maxStrays is how many of them every plan speaks of.
const maxStrays = 5

// strays are those that the upgrades of a plan are shown with.
func (p *Planner) strays(inv *terraform.Inventory) []string {
	all := Strays(inv, p.Policy)
	for i := range all {
		all[i] = "the configuration has no effect in a place: " + all[i]
	}
	if len(all) > maxStrays {
		return append(all[:maxStrays:maxStrays], fmt.Sprintf("and %d more such names: belay config check lists them", len(all)-maxStrays))
	}
	return all
}
