package program

import (
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/policy"
)

// UpstreamOf reads from upstream as the configuration says where that is.
func UpstreamOf(p policy.Policy, o upstream.Options) (*upstream.Client, error) {
	o.Sources, o.Charts, o.Builtin, o.BuiltinCharts = p.Sources, p.Charts, policy.BuiltinSources(), policy.BuiltinCharts()
	return upstream.New(o)
}
