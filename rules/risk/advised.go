package risk

// Advised is an assessment with what the adviser says about the level. The
// adviser, a language model, may only raise: SAFE and UNKNOWN become CAUTION
// when it says so, and whatever else it says changes nothing. why is added as
// the first reason. See SPEC sections 7 and 16.
func (a Assessment) Advised(level Level, why string) Assessment {
	if level != Caution || a.Level == Caution {
		return a
	}
	reasons := make([]string, 0, len(a.Reasons)+1)
	for _, r := range a.Reasons { // the rules' own stay: people see what they said
		reasons = append(reasons, "by the rules alone: "+r)
	}
	a.Level, a.Reasons = Caution, append([]string{why}, reasons...)
	return a
}
