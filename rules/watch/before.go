package watch

// Before names what was unhealthy at a look before the merge: an address that
// belay cannot reach, a monitor that was down, a certificate that it does not
// trust. What was so before is not the upgrade's doing.
func Before(samples []Sample) []string {
	var out []string
	for _, x := range samples {
		if x.Kind != Rollout && (x.State == Bad || x.State == Fatal) {
			out = append(out, beforeName(x))
		}
	}
	return out
}

// Since leaves out of a look what was unhealthy before the merge already.
func Since(samples []Sample, before []string) []Sample {
	known := map[string]bool{}
	for _, name := range before {
		known[name] = true
	}
	out := make([]Sample, len(samples))
	for i, x := range samples {
		if known[beforeName(x)] && (x.State == Bad || x.State == Fatal) {
			x = Sample{At: x.At, Kind: x.Kind, Name: x.Name, State: Absent, Detail: "was unhealthy before the merge already: " + x.Detail}
		}
		out[i] = x
	}
	return out
}

func beforeName(x Sample) string { return string(x.Kind) + " " + x.Name }
