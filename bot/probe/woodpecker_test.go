package probe_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/lifecycle"
)

// run is a pipeline of the stand-in: "default=success,cli=failure".
type run struct {
	number                int
	event, branch, commit string
	status, workflows     string
}

// woodpecker answers as Woodpecker does, in the words of version 2 or 3.
func woodpecker(t *testing.T, version int, runs []run) string {
	created, started := "created", "started"
	if version == 2 {
		created, started = "created_at", "start_time"
	}
	render := func(r run, whole bool) string {
		out := fmt.Sprintf(`{"id":%d,"number":%d,"author":"ana","parent":0,"event":%q,"status":%q,"errors":[],%q:%d,"commit":%q,"branch":%q,"ref":"refs/heads/main"`,
			r.number+500, r.number, r.event, r.status, created, start.Add(time.Minute).Unix(), r.commit, r.branch)
		if whole && r.workflows != "" {
			var list []string
			for i, w := range strings.Split(r.workflows, ",") {
				name, state, _ := strings.Cut(w, "=")
				list = append(list, fmt.Sprintf(`{"id":%d,"pipeline_id":%d,"pid":%d,"name":%q,"state":%q,%q:1764063757,"children":[{"id":1,"name":"clone","state":"success","exit_code":0}]}`, i, r.number, i+1, name, state, started))
			}
			out += `,"workflows":[` + strings.Join(list, ",") + `]`
		}
		return out + "}"
	}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch path := r.URL.Path; path {
		case "/ci/api/repos/lookup/acme/home-ops":
			fmt.Fprint(w, `{"id":7,"full_name":"acme/home-ops","default_branch":"main","active":true}`)
		case "/ci/api/repos/7/pipelines":
			var list []string
			for i := len(runs) - 1; i >= 0 && r.URL.Query().Get("page") == "1"; i-- {
				list = append(list, render(runs[i], false))
			}
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		default:
			for _, one := range runs {
				if path == fmt.Sprintf("/ci/api/repos/7/pipelines/%d", one.number) {
					fmt.Fprint(w, render(one, true))
					return
				}
			}
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func TestWoodpecker(t *testing.T) {
	push := func(number int, commit, status, workflows string) run {
		return run{number, "push", "main", commit, status, workflows}
	}
	for _, tc := range []struct {
		name   string
		runs   []run
		named  []string
		want   lifecycle.Progress
		detail string
	}{
		{"no pipeline yet", nil, []string{"default"}, lifecycle.Running, "no pipeline yet"},
		{"the pipeline runs", []run{push(1, "merge", "running", "default=running")}, []string{"default"}, lifecycle.Running, "pipeline 1: default running"},
		{"applied", []run{push(1, "merge", "success", "default=success")}, []string{"default"}, lifecycle.Good, "pipeline 1: applied"},
		{"named as GitHub's status is", []run{push(1, "merge", "success", "default=success")}, []string{"ci/woodpecker/push/default"}, lifecycle.Good, ""},
		{"applied though another workflow failed", []run{push(1, "merge", "failure", "default=success,cli=failure")}, []string{"default"}, lifecycle.Good, ""},
		{"applied while another workflow runs", []run{push(1, "merge", "running", "default=success,cli=running")}, []string{"default"}, lifecycle.Good, ""},
		{"it failed though another workflow succeeded", []run{push(1, "merge", "failure", "default=failure,cli=success")}, []string{"default"}, lifecycle.Bad, "default failure"},
		{"skipped because what it depends on failed", []run{push(1, "merge", "failure", "lint=failure,default=skipped")}, []string{"default"}, lifecycle.Bad, ""},
		{"the configuration is broken", []run{push(1, "merge", "error", "")}, []string{"default"}, lifecycle.Bad, "error"},
		{"waits for an approval", []run{push(1, "merge", "blocked", "default=blocked")}, []string{"default"}, lifecycle.Running, "approval"},
		{"declined", []run{push(1, "merge", "declined", "default=declined")}, []string{"default"}, lifecycle.Bad, ""},
		{"no workflow of that name", []run{push(1, "merge", "success", "cli=success")}, []string{"default"}, lifecycle.Running, "no workflow default, only cli"},
		{"no name: the pipeline counts", []run{push(1, "merge", "success", "a=success,b=success")}, nil, lifecycle.Good, ""},
		{"no name: the pipeline failed", []run{push(1, "merge", "failure", "a=success,b=failure")}, nil, lifecycle.Bad, ""},
		{"of a pull request or a tag", []run{{1, "pull_request", "main", "merge", "success", "default=success"}, {2, "tag", "main", "merge", "success", "default=success"}}, []string{"default"}, lifecycle.Running, "no pipeline yet"},
		{"of another branch", []run{{1, "push", "next", "merge", "success", "default=success"}}, []string{"default"}, lifecycle.Running, ""},
		{"started again by hand", []run{push(1, "merge", "failure", "default=failure"), push(2, "merge", "success", "default=success")}, []string{"default"}, lifecycle.Good, "pipeline 2"},
		{"killed, and nothing after it", []run{push(1, "merge", "killed", "default=killed")}, []string{"default"}, lifecycle.Running, "default killed"},
		{"killed by a later commit's pipeline that runs", []run{push(1, "merge", "killed", "default=killed"), push(2, "later", "running", "default=running")}, []string{"default"}, lifecycle.Running, ""},
		{"killed, and the later one succeeded", []run{push(1, "merge", "killed", "default=killed"), push(2, "later", "success", "default=success")}, []string{"default"}, lifecycle.Good, "later commit"},
		{"cancelled before it began (version 3)", []run{push(1, "merge", "canceled", "default=skipped"), push(2, "later", "success", "default=success")}, []string{"default"}, lifecycle.Good, "later commit"},
		{"killed, the later one's apply succeeded, the rest of it failed", []run{push(1, "merge", "killed", "default=killed"), push(2, "later", "failure", "default=success,cli=failure")}, []string{"default"}, lifecycle.Good, ""},
		{"killed, a commit that does not contain it succeeded", []run{push(1, "merge", "killed", "default=killed"), push(2, "foreign", "success", "default=success")}, []string{"default"}, lifecycle.Running, ""},
		{"killed twice, then applied", []run{push(1, "merge", "killed", "default=killed"), push(2, "later", "killed", "default=skipped"), push(3, "last", "success", "default=success")}, []string{"default"}, lifecycle.Good, ""},
		{"it was done before the rest was killed", []run{push(1, "merge", "killed", "default=success,cli=killed"), push(2, "later", "running", "default=running")}, []string{"default"}, lifecycle.Good, "pipeline 1"},
		{"it failed, and the later one succeeded", []run{push(1, "merge", "failure", "default=failure"), push(2, "later", "success", "default=success")}, []string{"default"}, lifecycle.Bad, ""},
	} {
		for _, version := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s, version %d", tc.name, version), func(t *testing.T) {
				w, err := probe.NewWoodpecker(probe.WoodpeckerOptions{URL: woodpecker(t, version, tc.runs) + "/ci", Token: func() string { return "secret" }})
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // the second look knows the repository's number
					got := w.Look(t.Context(), probe.Merged{Repository: "acme/home-ops", Branch: "main", Commit: "merge", Later: []string{"later", "last"}, Names: tc.named, Since: start})
					if got.State != tc.want || !strings.Contains(got.Detail, tc.detail) {
						t.Errorf("%+v, want %s: %s", got, tc.want, tc.detail)
					}
				}
			})
		}
	}
}

func TestWoodpeckerFindsAnOldPipeline(t *testing.T) {
	asked := 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/repos/lookup/acme/home-ops":
			fmt.Fprint(w, `{"id":7}`)
		case "/api/repos/7/pipelines":
			asked++
			var list []string
			for i := range 50 {
				n := 1000 - asked*50 - i
				list = append(list, fmt.Sprintf(`{"number":%d,"event":"push","branch":"main","commit":"c%d","created":%d,"status":"success"}`, n, n, start.Add(time.Duration(n-850)*time.Minute).Unix()))
			}
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		default:
			fmt.Fprint(w, `{"number":860,"status":"success","workflows":[{"name":"default","state":"success"}]}`)
		}
	})
	w, err := probe.NewWoodpecker(probe.WoodpeckerOptions{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	got := w.Look(t.Context(), probe.Merged{Repository: "acme/home-ops", Branch: "main", Commit: "c860", Names: []string{"default"}, Since: start})
	if got.State != lifecycle.Good || asked != 3 {
		t.Errorf("%+v after %d pages", got, asked)
	}
	asked = 0
	got = w.Look(t.Context(), probe.Merged{Repository: "acme/home-ops", Branch: "main", Commit: "c1", Names: []string{"default"}, Since: start})
	if got.State != lifecycle.Running || asked != 3 {
		t.Errorf("%+v after %d pages: those from before the merge are not looked through", got, asked)
	}
}

func TestWoodpeckerOutOfReach(t *testing.T) {
	refused := woodpecker(t, 3, nil)
	down := serve(t, status(http.StatusBadGateway))
	for _, tc := range []struct{ name, address, repository, token, detail string }{
		{"no such repository", refused + "/ci", "acme/other", "secret", "correct apply.woodpecker.repository"},
		{"the token is refused", refused + "/ci", "acme/home-ops", "expired", "refuses the credentials"},
		{"its proxy answers", down, "acme/home-ops", "secret", "answers 502"},
		{"nobody listens", "http://127.0.0.1:1", "acme/home-ops", "secret", "out of reach"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, err := probe.NewWoodpecker(probe.WoodpeckerOptions{URL: tc.address, Token: func() string { return tc.token }})
			if err != nil {
				t.Fatal(err)
			}
			got := w.Look(t.Context(), probe.Merged{Repository: tc.repository, Branch: "main", Commit: "merge"})
			if got.State != lifecycle.Unseen || !strings.Contains(got.Detail, tc.detail) {
				t.Errorf("%+v, want %s", got, tc.detail)
			}
		})
	}
}
