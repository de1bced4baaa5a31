package lifecycle

// Shut names every gate before a merge that is shut, in the order of the table,
// and not only the first, which is what Next waits for: people want to know what
// else there is. Empty in states without gates, and when all are open.
func Shut(o Observed) []string {
	var out []string
	for _, r := range of[o.State] {
		if r.If == "checks not all green" && o.Pull.Checks == Bad { // said already
			continue
		}
		if r.Do == Wait && r.When != nil && r.When(o) {
			out = append(out, r.Why)
		}
	}
	return out
}

// Reached is the state that an entry of the audit trail speaks of: a state's own
// name, or the verb that leads into it. It reports false for what changes no
// state, such as a command.
func Reached(what string) (State, bool) {
	switch Verb(what) {
	case Publish:
		return Open, true
	case Discard:
		return Obsolete, true
	case Backup:
		return BackingUp, true
	case Merge:
		return Applying, true
	case Undo:
		return Reverting, true
	case DiscardUndo:
		return Rewatching, true
	case Restore:
		return Restoring, true
	case MergeUndo:
		return Undoing, true
	case Wait, Enter:
		return "", false
	}
	for _, s := range States() {
		if string(s) == what {
			return s, true
		}
	}
	return "", false
}
