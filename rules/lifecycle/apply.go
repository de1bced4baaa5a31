package lifecycle

import "strings"

// CheckRun reads a check run in the words of GitHub's API, REST or GraphQL, as
// Applied needs it: status "completed" with conclusion "cancelled" has been cut.
// See https://docs.github.com/rest/checks/runs.
func CheckRun(name, status, conclusion string) Reported {
	r := Reported{Name: name, State: Running}
	if !strings.EqualFold(status, "completed") {
		return r
	}
	switch strings.ToLower(conclusion) {
	case "success", "neutral":
		r.State = Good
	case "cancelled", "skipped", "stale":
		r.Cut = true
	case "action_required": // a person may still let it run
	default:
		r.State = Bad
	}
	return r
}

// CommitStatus reads a commit status in the words of GitHub's API. "error" is
// what CI says that was killed, "failure" what ran and failed: the one has been
// cut, the other decides. See https://docs.github.com/rest/commits/statuses.
func CommitStatus(context, state string) Reported {
	r := Reported{Name: context, State: Running}
	switch strings.ToLower(state) {
	case "success":
		r.State = Good
	case "failure":
		r.State = Bad
	case "error":
		r.Cut = true
	}
	return r
}

// Applied sums up what says whether CI brought a commit to the cluster: None
// when nothing is named, otherwise the named checks or workflows decide, and no
// others. later are the reports of later commits of the same branch, a list for
// each, all of which contain the commit.
//
// CI that starts on a newer commit often cuts what still runs for the older
// one, and may leave it pending for ever. So a check that did not come to its
// own end counts as good when the same check of a later commit is. A failure
// stays one. What was cut and has no successor yet is waited for: the time-out
// is the lifecycle's. See SPEC section 11.
func Applied(named []string, reported []Reported, later ...[]Reported) Progress {
	if len(named) == 0 {
		return None
	}
	out := Good
	for _, name := range named {
		switch ended(name, reported) {
		case Good:
			continue
		case Bad:
			return Bad
		case None, Running, Unseen:
		}
		carried := false
		for _, list := range later {
			carried = carried || ended(name, list) == Good
		}
		if !carried {
			out = Running
		}
	}
	return out
}

// ended is how the reports of one name ended: Bad when one failed, Good when
// all are, else Running.
func ended(name string, reported []Reported) Progress {
	out := None
	for _, r := range reported {
		state := r.State
		if r.Cut || state != Good && state != Bad {
			state = Running
		}
		if r.Name == name && (out == None || worse(state, out)) {
			out = state
		}
	}
	if out == None {
		return Running
	}
	return out
}
