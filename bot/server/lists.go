package server

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// perPage is how many upgrades a page of the list has.
const perPage = 50

// filter is what somebody wants to see of the list.
type filter struct {
	repository, service, risk, text string
	group                           lifecycle.Group
	page                            int // from 1
}

// groupWords are the groups as they stand in addresses.
func groupWord(g lifecycle.Group) string { return strings.ReplaceAll(string(g), " ", "-") }

func filterOf(q url.Values) filter {
	f := filter{repository: q.Get("repository"), service: q.Get("service"), risk: q.Get("risk"), text: strings.TrimSpace(q.Get("q")), page: 1}
	for _, g := range lifecycle.Groups() {
		if q.Get("group") == groupWord(g) {
			f.group = g
		}
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		f.page = min(n, 1000)
	}
	return f
}

// href is the address of the list with the filter.
func (f filter) href() string {
	q := url.Values{}
	for name, value := range map[string]string{"repository": f.repository, "service": f.service, "risk": f.risk, "q": f.text, "group": groupWord(f.group)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.page > 1 {
		q.Set("page", strconv.Itoa(f.page))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

func (f filter) narrow() bool {
	return f.repository+f.service+f.risk+f.text != "" || f.group != ""
}

// matches reports whether a row fits all but the group.
func (f filter) matches(r row, words []string) bool {
	if f.repository != "" && !strings.EqualFold(r.Repository, f.repository) || f.service != "" && r.Service != f.service || f.risk != "" && r.Risk != f.risk {
		return false
	}
	for _, w := range words {
		if !strings.Contains(r.text, w) {
			return false
		}
	}
	return true
}

// found is what a filter comes to for a viewer.
type found struct {
	seen   []row // all that the viewer may see
	rows   []row // those that fit, all pages
	counts map[lifecycle.Group]int
	high   time.Time // of the newest change of what the viewer may see; zero where there is none
}

func (d *dashboard) find(req *http.Request, v viewer, f filter) (found, error) {
	all, _, err := d.board.look(req.Context())
	out := found{counts: map[lifecycle.Group]int{}}
	if err != nil {
		return out, err
	}
	words := strings.Fields(strings.ToLower(f.text))
	for _, r := range all {
		if !v.reads(r.Repository) {
			continue
		}
		out.seen = append(out.seen, r)
		if r.api.Updated.After(out.high) {
			out.high = r.api.Updated
		}
		if !f.matches(r, words) {
			continue
		}
		out.counts[r.Group]++
		if f.group == "" || r.Group == f.group {
			out.rows = append(out.rows, r)
		}
	}
	return out, nil
}

// list is GET /.
func (d *dashboard) list(w http.ResponseWriter, req *http.Request, v viewer) {
	f := filterOf(req.URL.Query())
	got, err := d.find(req, v, f)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	view := page.List{Frame: d.frame(req, v, "Upgrades"), Total: len(got.rows), Filtered: f.narrow(), Repository: f.repository, Service: f.service, Group: groupWord(f.group), Risk: f.risk, Text: f.text}
	d.follow(&view.Frame, req, "", got.high)
	from := min((f.page-1)*perPage, len(got.rows))
	to := min(from+perPage, len(got.rows))
	view.First, view.Last = from+1, to
	for _, r := range got.rows[from:to] {
		if n := len(view.Sections); n == 0 || view.Sections[n-1].Group != r.Group {
			view.Sections = append(view.Sections, page.Section{Group: r.Group, Count: got.counts[r.Group]})
		}
		s := &view.Sections[len(view.Sections)-1]
		s.Items = append(s.Items, r.Item)
	}
	turn := func(n int) string {
		other := f
		other.page = n
		return other.href()
	}
	if from > 0 {
		view.Previous = turn(f.page - 1)
	}
	if to < len(got.rows) {
		view.Next = turn(f.page + 1)
	}
	for _, g := range lifecycle.Groups() {
		other := f
		if other.group, other.page = g, 1; f.group == g {
			other.group = "" // once more takes it back
		}
		view.Counts = append(view.Counts, page.Choice{Text: string(g), Count: got.counts[g], Chosen: f.group == g, Href: other.href()})
	}
	d.choices(&view, got.seen, f)
	d.overview(&view, got.seen)
	if view.Problems, err = d.problems(req, v, got.seen); err != nil {
		d.fail(w, req, err)
		return
	}
	d.credentials(&view, v)
	d.show(w, req, http.StatusOK, "list", view)
}

// choices fills in what can be filtered by.
func (d *dashboard) choices(view *page.List, seen []row, f filter) {
	names := map[string]bool{}
	for _, r := range seen {
		names[r.Repository] = true
	}
	view.Repositories = []page.Choice{{Text: "all", Chosen: f.repository == ""}}
	for _, name := range sorted(names) {
		view.Repositories = append(view.Repositories, page.Choice{Value: name, Text: name, Chosen: strings.EqualFold(name, f.repository)})
	}
	view.Risks = []page.Choice{{Text: "all", Chosen: f.risk == ""}}
	for _, level := range []string{"safe", "caution", "unknown"} {
		view.Risks = append(view.Risks, page.Choice{Value: level, Text: level, Chosen: f.risk == level})
	}
}

func sorted(names map[string]bool) []string {
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	})
	return out
}

// overview says in one sentence how things stand, and what happened in a day.
func (d *dashboard) overview(view *page.List, seen []row) {
	needs, red := 0, 0
	ends := map[string]int{}
	var dots []page.Ended
	now := d.now()
	for _, r := range seen {
		if r.Group == lifecycle.NeedsYou {
			needs++
			if r.Tone == "bad" {
				red++
			}
		}
		if r.api.Final && now.Sub(r.Since) <= 24*time.Hour {
			ends[r.State]++
			dots = append(dots, page.Ended{Service: r.Service, State: r.State, At: r.Since})
		}
	}
	switch {
	case red > 0:
		view.Tone, view.Headline = "bad", count(needs, "upgrade needs you", "upgrades need you")
		if red < needs {
			view.Headline += ", " + count(red, "of them failed", "of them failed")
		}
	case needs > 0:
		view.Tone, view.Headline = "ask", count(needs, "upgrade needs you", "upgrades need you")
	default:
		view.Tone, view.Headline = "good", "Nothing needs you"
	}
	var says []string
	for _, s := range lifecycle.States() {
		if n := ends[string(s)]; n > 0 {
			says = append(says, fmt.Sprintf("%d %s", n, s))
		}
	}
	view.DaySays = "In the last 24 hours nothing ended."
	if len(says) > 0 {
		view.DaySays = "In the last 24 hours: " + strings.Join(says, ", ") + "."
	}
	view.Day = page.Day(dots, now)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// problems are what stops more than one upgrade in the repositories that a
// viewer sees.
func (d *dashboard) problems(req *http.Request, v viewer, seen []row) ([]page.Problem, error) {
	var out []page.Problem
	freezes, err := d.state.Freezes(req.Context())
	if err != nil {
		return nil, err
	}
	for _, f := range freezes {
		if f.Repository == "" || v.reads(f.Repository) {
			out = append(out, freezeProblem(f))
		}
	}
	names := map[string]bool{}
	for _, r := range seen {
		if !r.api.Final {
			names[r.Repository] = true
		}
	}
	list := sorted(names)
	troubles, err := d.opts.Life.Troubles(req.Context(), list)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		if why := troubles[name]; why != "" {
			out = append(out, page.Problem{Repository: name, Tone: "bad", Text: "its configuration is wrong, so nothing is done until it is mended: " + why})
		}
	}
	return out, nil
}

func freezeProblem(f store.Freeze) page.Problem {
	text := "frozen by " + f.Who
	if f.Repository == "" {
		text = "Everything is frozen by " + f.Who
	}
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	return page.Problem{Repository: f.Repository, Text: text, Tone: "wait"}
}

// history is GET /s/{owner}/{name}/{service}.
func (d *dashboard) history(w http.ResponseWriter, req *http.Request, v viewer) {
	repository, service := req.PathValue("owner")+"/"+req.PathValue("name"), req.PathValue("service")
	if !v.reads(repository) {
		d.missing(w, req, v)
		return
	}
	list, err := d.state.Upgrades(req.Context(), store.Filter{Repository: repository, Service: service, Limit: 200})
	if err != nil {
		d.fail(w, req, err)
		return
	}
	view := page.History{Frame: d.frame(req, v, service), Repository: repository, Service: service}
	for _, u := range list {
		view.Items = append(view.Items, rowOf(u).Item)
	}
	if view.Blocks, err = d.state.Blocks(req.Context(), repository, service); err != nil {
		d.fail(w, req, err)
		return
	}
	d.show(w, req, http.StatusOK, "history", view)
}

// repository is GET /r/{owner}/{name}.
func (d *dashboard) repository(w http.ResponseWriter, req *http.Request, v viewer) {
	name := req.PathValue("owner") + "/" + req.PathValue("name")
	if !v.reads(name) {
		d.missing(w, req, v)
		return
	}
	got, err := d.find(req, v, filter{repository: name})
	if err != nil {
		d.fail(w, req, err)
		return
	}
	s, err := d.opts.Life.Standing(req.Context(), name)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	view := page.Repository{Frame: d.frame(req, v, name), Name: name, Started: s.Started, Upgrades: s.Limit, Bars: page.Bars(s.Started, s.Limit)}
	d.follow(&view.Frame, req, "", got.high)
	if s.Trouble != "" {
		view.Problems = append(view.Problems, page.Problem{Tone: "bad", Text: "The configuration is wrong, so nothing is done until it is mended: " + s.Trouble})
	}
	for _, w := range s.Warnings {
		view.Problems = append(view.Problems, page.Problem{Tone: "ask", Text: "The configuration has no effect in a place: " + w})
	}
	switch f, err := d.state.FreezeOf(req.Context(), name); {
	case err == nil:
		view.Problems = append(view.Problems, freezeProblem(f))
	case !errors.Is(err, store.ErrNotFound):
		d.fail(w, req, err)
		return
	}
	view.Limit = fmt.Sprintf("%d upgrades may start within %s. No window is open: the next upgrade opens one.", s.Limit, page.Lasts(s.Window))
	if !s.Opened.IsZero() {
		view.Limit = fmt.Sprintf("%d of %d upgrades have started; the window ends in %s.", s.Started, s.Limit, page.Lasts(s.Opened.Add(s.Window).Sub(d.now())))
	}
	services := map[string]int{}
	for _, r := range got.rows {
		services[r.Service]++
		if r.ID == s.Turn {
			view.Turn = &r.Item
		}
	}
	names := map[string]bool{}
	for service := range services {
		names[service] = true
	}
	for _, service := range sorted(names) {
		view.Services = append(view.Services, page.Choice{Text: service, Count: services[service], Href: "/s/" + name + "/" + url.PathEscape(service)})
	}
	for _, g := range lifecycle.Groups() {
		view.Counts = append(view.Counts, page.Choice{Text: string(g), Count: got.counts[g], Href: filter{repository: name, group: g}.href()})
	}
	d.show(w, req, http.StatusOK, "repository", view)
}

// skipped is GET /skipped.
func (d *dashboard) skipped(w http.ResponseWriter, req *http.Request, v viewer) {
	text := strings.ToValidUTF8(line(req.URL.Query().Get("q")), "")
	f := store.SkipFilter{All: v.all, Repositories: slices.Collect(maps.Keys(v.may)), Words: strings.Fields(text), Limit: 100}
	list, err := d.state.Skipped(req.Context(), f)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	f.Waits = true
	waits, err := d.state.Skipped(req.Context(), f)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	// What waits is on top, however many have come since.
	for i, x := range waits {
		if at := slices.IndexFunc(list, func(y store.Dispatch) bool { return y.ID == x.ID }); at >= 0 {
			waits[i] = list[at] // with its other outcomes
			list = slices.Delete(list, at, at+1)
		}
	}
	list = append(waits, list...)
	view := page.Skipped{Frame: d.frame(req, v, "Skipped"), Text: text}
	for _, x := range list {
		view.Skips = append(view.Skips, page.Skip{Image: x.Subject(), Tag: x.Tag, At: x.Received, Outcomes: x.Outcomes})
	}
	d.show(w, req, http.StatusOK, "skipped", view)
}
