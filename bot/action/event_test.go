package action_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/action"
	"github.com/belaybot/belay/bot/sandbox"
)

// event writes an event's file and reads it as a run does.
func event(t *testing.T, name string, payload []byte) action.Event {
	t.Helper()
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": path, "GITHUB_REPOSITORY": "acme/home-ops"}
	e, err := action.Read(func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEveryExampleIsRead reads every example that GitHub gives of the events that
// the Action listens to, and says what each asks for.
func TestEveryExampleIsRead(t *testing.T) {
	all, err := sandbox.WebhookExamples()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		known := slices.Contains(action.Events(), name)
		asks := map[string]int{}
		for _, payload := range all[name] {
			todo := event(t, name, payload).Todo()
			n++
			switch {
			case todo.Nothing != "":
				asks["nothing"]++
			case !known:
				t.Errorf("%s asks for %+v, and belay does not listen to it", name, todo)
			case todo.Dispatch != nil:
				asks["dispatch"]++
			case todo.Pull != 0 && todo.Head != "":
				asks["judge or carry on"]++
			case todo.Pull != 0:
				asks["one pull request"]++
			case todo.Commit != "":
				asks["a commit's"]++
			case todo.All:
				asks["all"]++
			default:
				t.Errorf("%s asks for nothing without a reason: %+v", name, todo)
			}
		}
		t.Logf("%-25s %2d %v", name, len(all[name]), asks)
	}
	t.Logf("%d examples of %d events", n, len(all))
	for _, name := range action.Events() {
		if len(all[name]) == 0 && !slices.Contains([]string{"schedule", "pull_request_target"}, name) { // no webhooks of their own
			t.Errorf("there is no example of %s", name)
		}
	}
}

func TestTodo(t *testing.T) {
	for _, tc := range []struct {
		name, event, payload string
		want                 action.Todo
	}{
		{"a schedule looks for new versions and carries on", "schedule", `{"schedule":"0 * * * *"}`, action.Todo{All: true, Scan: true}},
		{"a run by hand does so, too", "workflow_dispatch", `{"inputs":null}`, action.Todo{All: true, Scan: true}},
		{"a run by hand with a version is a dispatch", "workflow_dispatch", `{"inputs":{"image":"acme/web","tag":"1.0.1"}}`, action.Todo{Dispatch: json.RawMessage(`{"image":"acme/web","tag":"1.0.1"}`), All: true}},
		{"a push to the default branch", "push", `{"ref":"refs/heads/main","repository":{"default_branch":"main"}}`, action.Todo{All: true}},
		{"a push elsewhere", "push", `{"ref":"refs/heads/topic","repository":{"default_branch":"main"}}`, action.Todo{Nothing: "the push was not to the default branch"}},
		{"a comment without a command", "issue_comment", `{"action":"created","issue":{"number":1,"pull_request":{}},"comment":{"body":"nice","user":{"type":"User"}}}`, action.Todo{Nothing: "the comment holds no command"}},
		{"a bot's command", "issue_comment", `{"action":"created","issue":{"number":1,"pull_request":{}},"comment":{"body":"/upgrade approve","user":{"type":"Bot"}}}`, action.Todo{Nothing: "the comment holds no command"}},
		{"an edited command", "issue_comment", `{"action":"edited","issue":{"number":1,"pull_request":{}},"comment":{"body":"/upgrade approve","user":{"type":"User"}}}`, action.Todo{Nothing: "comments that were edited or deleted are no commands"}},
		{"a command", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"/upgrade approve","user":{"type":"User"}}}`, action.Todo{Pull: 7}},
		{"a check that runs", "check_run", `{"action":"created","check_run":{"head_sha":"abc"}}`, action.Todo{Nothing: "the check is not completed yet"}},
		{"a workflow that ended", "workflow_run", `{"action":"completed","workflow_run":{"head_sha":"abc"}}`, action.Todo{Commit: "abc"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := event(t, tc.event, []byte(tc.payload)).Todo()
			if got.Nothing != tc.want.Nothing || got.Pull != tc.want.Pull || got.All != tc.want.All || got.Scan != tc.want.Scan || got.Commit != tc.want.Commit || string(got.Dispatch) != string(tc.want.Dispatch) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, says string
		env        map[string]string
	}{
		{"no runner", "GITHUB_EVENT_NAME and GITHUB_REPOSITORY are not set", nil},
		{"a repository that is none", "is no owner/name", map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "../x"}},
		{"no event", "GITHUB_EVENT_PATH is not set", map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "acme/x"}},
		{"an event that is not there", "names no file", map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "acme/x", "GITHUB_EVENT_PATH": "/nowhere/at/all"}},
		{"an event that is no JSON", "cannot be read", map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "acme/x", "GITHUB_EVENT_PATH": broken}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := action.Read(func(k string) string { return tc.env[k] })
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want something about %q", err, tc.says)
			}
		})
	}
}

// FuzzTodo: no event's file breaks a run.
func FuzzTodo(f *testing.F) {
	all, err := sandbox.WebhookExamples()
	if err != nil {
		f.Fatal(err)
	}
	for name, list := range all {
		f.Add(name, []byte(list[0]))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		path := filepath.Join(dir, "event.json")
		if err := os.WriteFile(path, payload, 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": path, "GITHUB_REPOSITORY": "acme/home-ops"}
		e, err := action.Read(func(k string) string { return env[k] })
		if err != nil {
			return
		}
		e.Todo()
	})
}
