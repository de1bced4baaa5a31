package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Woodpecker asks Woodpecker CI whether a merge was applied. It takes what
// versions 2 and 3 answer; they differ in the names of times only, and in the
// state "canceled", which is new in 3.
type Woodpecker struct {
	server *server

	mu  sync.Mutex
	ids map[string]int64 // of repositories, by full name
}

// WoodpeckerOptions say where Woodpecker is.
type WoodpeckerOptions struct {
	URL   string        // "https://ci.example.org"
	Token func() string // personal access token
}

// Merged is a merge whose way to the cluster is asked for.
type Merged struct {
	Repository string    // full name in Woodpecker: "acme/home-ops"
	Branch     string    // default branch
	Commit     string    // the merge
	Later      []string  // later commits of the branch, all of which contain it
	Names      []string  // checks or workflows that apply: "ci/woodpecker/push/default" or "default"; none: all of the pipeline
	Since      time.Time // of the merge: older pipelines are not asked for
}

// Application is how an apply stands.
type Application struct {
	State  lifecycle.Progress // Unseen when Woodpecker cannot be asked
	Detail string             // one line for people
}

const (
	perPage  = 50
	maxPages = 4 // 200 pipelines in one apply are not looked through further
	maxLater = 5 // later pipelines that are looked into
)

// NewWoodpecker makes the client. The error says what is wrong with the address.
func NewWoodpecker(opts WoodpeckerOptions) (*Woodpecker, error) {
	s, err := newServer("woodpecker", "--woodpecker-url (BELAY_WOODPECKER_URL)", opts.URL, bearer(opts.Token))
	if err != nil {
		return nil, err
	}
	return &Woodpecker{server: s, ids: map[string]int64{}}, nil
}

// pipeline is Woodpecker's, as far as it is needed (its server/model/pipeline.go).
type pipeline struct {
	Number    int64      `json:"number"`
	Event     string     `json:"event"`
	Status    string     `json:"status"`
	Commit    string     `json:"commit"`
	Branch    string     `json:"branch"`
	Created   int64      `json:"created"`    // version 3
	CreatedAt int64      `json:"created_at"` // version 2
	Workflows []workflow `json:"workflows"`
}

type workflow struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// applies reports whether a pipeline may bring the branch to the cluster: those
// of pull requests and tags do not.
func (p pipeline) applies(branch string) bool {
	return p.Branch == branch && slices.Contains([]string{"push", "manual", "deployment", "cron"}, p.Event)
}

// Look asks how the apply of a merge stands. It returns no error: what cannot
// be seen is Unseen.
func (w *Woodpecker) Look(ctx context.Context, m Merged) Application {
	id, err := w.repository(ctx, m.Repository)
	if err != nil {
		return Application{lifecycle.Unseen, err.Error()}
	}
	own, later, err := w.pipelines(ctx, id, m)
	if err != nil {
		return Application{lifecycle.Unseen, err.Error()}
	}
	return sum(m, own, later)
}

// repository is the number by which Woodpecker knows a repository.
func (w *Woodpecker) repository(ctx context.Context, name string) (int64, error) {
	w.mu.Lock()
	id, ok := w.ids[name]
	w.mu.Unlock()
	if ok {
		return id, nil
	}
	body, err := w.server.get(ctx, nil, append([]string{"api", "repos", "lookup"}, strings.Split(name, "/")...)...)
	if isStatus(err, http.StatusNotFound) {
		return 0, fmt.Errorf("woodpecker has no repository %s, or the token may not see it: correct apply.woodpecker.repository", cut(name, 80))
	} else if err != nil {
		return 0, err
	}
	var repo struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(body, &repo); err != nil || repo.ID <= 0 {
		return 0, fmt.Errorf("woodpecker gives no number for repository %s: check BELAY_WOODPECKER_URL", cut(name, 80))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids[name] = repo.ID
	return repo.ID, nil
}

// pipelines reads the newest pipeline of the merge and those of later commits,
// newest first, with their workflows.
func (w *Woodpecker) pipelines(ctx context.Context, id int64, m Merged) (own *pipeline, later []pipeline, err error) {
	repo := strconv.FormatInt(id, 10)
	var wanted []pipeline
	for page := 1; page <= maxPages; page++ {
		body, err := w.server.get(ctx, url.Values{"page": {strconv.Itoa(page)}, "perPage": {strconv.Itoa(perPage)}}, "api", "repos", repo, "pipelines")
		if isStatus(err, http.StatusNotFound) {
			w.forget(m.Repository) // it was added anew under another number
		}
		if err != nil {
			return nil, nil, err
		}
		list, err := parsePipelines(body)
		if err != nil {
			return nil, nil, err
		}
		old := false
		for _, p := range list {
			if p.applies(m.Branch) && (p.Commit == m.Commit || slices.Contains(m.Later, p.Commit)) {
				wanted = append(wanted, p)
			}
			old = old || p.Created+p.CreatedAt < m.Since.Unix()
		}
		if len(list) < perPage || old {
			break
		}
	}
	slices.SortFunc(wanted, func(a, b pipeline) int { return cmp.Compare(b.Number, a.Number) })
	for _, p := range wanted {
		mine := p.Commit == m.Commit
		if mine && own != nil || !mine && len(later) == maxLater {
			continue
		}
		body, err := w.server.get(ctx, nil, "api", "repos", repo, "pipelines", strconv.FormatInt(p.Number, 10))
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, nil, fmt.Errorf("woodpecker's pipeline %d cannot be read: %s", p.Number, cut(err.Error(), 120))
		}
		if mine {
			own = &p
		} else {
			later = append(later, p)
		}
	}
	return own, later, nil
}

func (w *Woodpecker) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ids, name)
}

func parsePipelines(body []byte) ([]pipeline, error) {
	var list []pipeline
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("woodpecker's pipelines cannot be read: %s", cut(err.Error(), 120))
	}
	return list, nil
}

// whole stands for a pipeline where no workflow is named.
const whole = "the pipeline"

// sum says what pipelines come to by the lifecycle's rule.
func sum(m Merged, own *pipeline, later []pipeline) Application {
	names := []string{whole}
	if len(m.Names) > 0 {
		names = nil
		for _, n := range m.Names {
			names = append(names, n[strings.LastIndexByte(n, '/')+1:])
		}
	}
	var mine []lifecycle.Reported
	if own != nil {
		mine = own.reports(names)
	}
	var others [][]lifecycle.Reported
	for _, p := range later {
		others = append(others, p.reports(names))
	}
	a := Application{State: lifecycle.Applied(names, mine, others...)}
	switch {
	case a.State == lifecycle.Good && own != nil && lifecycle.Applied(names, mine) == lifecycle.Good:
		a.Detail = fmt.Sprintf("pipeline %d: applied", own.Number)
	case a.State == lifecycle.Good:
		a.Detail = "applied by the pipeline of a later commit"
	case own == nil:
		a.Detail = "no pipeline yet"
	default:
		a.Detail = fmt.Sprintf("pipeline %d: %s", own.Number, own.told(names))
	}
	return a
}

// reports are the workflows of a pipeline, and the pipeline itself.
func (p pipeline) reports(names []string) []lifecycle.Reported {
	ended := p.Status == "killed" || p.Status == "canceled"
	out := []lifecycle.Reported{reported(whole, p.Status, ended)}
	for _, w := range p.Workflows {
		out = append(out, reported(w.Name, w.State, ended))
	}
	if len(p.Workflows) > 0 || p.Status != "error" && p.Status != "declined" {
		return out
	}
	for _, name := range names { // it ended before it had any
		out = append(out, lifecycle.Reported{Name: name, State: lifecycle.Bad})
	}
	return out
}

// reported reads a state of Woodpecker's (its server/model/const.go). A
// pipeline that is cancelled kills the workflows that run and skips the others;
// (ended); otherwise one is skipped because another, which it depends on, failed.
func reported(name, state string, ended bool) lifecycle.Reported {
	r := lifecycle.Reported{Name: name, State: lifecycle.Running}
	switch state {
	case "success":
		r.State = lifecycle.Good
	case "failure", "error", "declined":
		r.State = lifecycle.Bad
	case "killed", "canceled":
		r.Cut = true
	case "skipped":
		if r.Cut = ended; !ended {
			r.State = lifecycle.Bad
		}
	}
	return r
}

// told is a line about the workflows that count.
func (p pipeline) told(names []string) string {
	if p.Status == "blocked" {
		return "waits for an approval in Woodpecker"
	}
	var out, there []string
	for _, w := range p.Workflows {
		there = append(there, w.Name)
		if slices.Contains(names, w.Name) {
			out = append(out, w.Name+" "+w.State)
		}
	}
	switch {
	case len(out) > 0:
		return strings.Join(out, ", ")
	case names[0] == whole || len(there) == 0:
		return p.Status
	}
	return fmt.Sprintf("%s, but it has no workflow %s, only %s: correct apply.checks", p.Status, strings.Join(names, ", "), cut(strings.Join(there, ", "), 200))
}
