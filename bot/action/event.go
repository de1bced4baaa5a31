package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/command"
)

// Event is what a workflow run was started by.
type Event struct {
	Name       string // "repository_dispatch"
	Repository string // "owner/name", as the runner says it; never from the payload
	payload    payload
}

// payload is what is read of the event's file.
type payload struct {
	Action      string `json:"action"`
	Number      int    `json:"number"`
	Ref         string `json:"ref"`
	SHA         string `json:"sha"`
	PullRequest struct {
		Number int `json:"number"`
		Head   struct {
			SHA  string `json:"sha"`
			Ref  string `json:"ref"`
			Repo struct {
				FullName string `json:"full_name"`
			} `json:"repo"` // null where the fork is gone
		} `json:"head"`
	} `json:"pull_request"`
	Issue struct {
		Number      int              `json:"number"`
		PullRequest *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment struct {
		Body string `json:"body"`
		User struct {
			Type string `json:"type"`
		} `json:"user"`
	} `json:"comment"`
	CheckRun   headed `json:"check_run"`
	CheckSuite headed `json:"check_suite"`
	Workflow   headed `json:"workflow_run"`
	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	ClientPayload json.RawMessage `json:"client_payload"`
	Inputs        struct {
		Image string `json:"image"`
		Tag   string `json:"tag"`
	} `json:"inputs"` // of workflow_dispatch
}

type headed struct {
	HeadSHA string `json:"head_sha"`
}

// maxEvent is the largest event file in bytes that is read: GitHub's own limit
// of webhooks.
const maxEvent = 25 << 20

// repositoryForm matches "owner/name" as GitHub allows it.
var repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// Read reads the event that the runner's environment names. Its errors say which
// variable is missing or wrong.
func Read(getenv func(string) string) (Event, error) {
	e := Event{Name: getenv("GITHUB_EVENT_NAME"), Repository: getenv("GITHUB_REPOSITORY")}
	if e.Name == "" || e.Repository == "" {
		return e, errors.New("GITHUB_EVENT_NAME and GITHUB_REPOSITORY are not set: belay action runs in a workflow of GitHub Actions, see action.yml")
	}
	if !repositoryForm.MatchString(e.Repository) {
		return e, fmt.Errorf("GITHUB_REPOSITORY %q is no owner/name", e.Repository)
	}
	name := getenv("GITHUB_EVENT_PATH")
	if name == "" {
		return e, errors.New("GITHUB_EVENT_PATH is not set: it names the event's file")
	}
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxEvent {
		return e, fmt.Errorf("GITHUB_EVENT_PATH: the event is larger than %d MB", maxEvent>>20)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return e, errors.New("GITHUB_EVENT_PATH names no file: the runner writes the event there")
	}
	if err != nil {
		return e, fmt.Errorf("GITHUB_EVENT_PATH: %w", err)
	}
	if err := json.Unmarshal(data, &e.payload); err != nil {
		return e, fmt.Errorf("the event's file cannot be read: %w", err)
	}
	return e, nil
}

// Todo is what an event asks of a run.
type Todo struct {
	Nothing  string          // why nothing is to be done; "" otherwise
	Dispatch json.RawMessage // a dispatch, as it came
	Type     string          // its event_type; "" where a person started the run by hand
	Pull     int             // the one pull request that it concerns, 0 for none
	Head     string          // of Pull, where its changes may have to be judged
	Foreign  bool            // Pull's branch is none of belay's
	Commit   string          // the commit that something was reported of
	All      bool            // every upgrade is carried on
	Scan     bool            // new versions are looked for
}

// Todo says what the event asks for. An event that concerns nobody costs no
// request.
func (e Event) Todo() Todo {
	p := e.payload
	switch e.Name {
	case "repository_dispatch":
		return Todo{Dispatch: p.ClientPayload, Type: p.Action, All: true}
	case "issue_comment":
		switch {
		case p.Issue.PullRequest == nil:
			return Todo{Nothing: "the comment is on an issue"}
		case p.Action != "created":
			return Todo{Nothing: "comments that were edited or deleted are no commands"}
		case p.Comment.User.Type == "Bot" || len(command.Parse(p.Comment.Body)) == 0:
			return Todo{Nothing: "the comment holds no command"}
		}
		return Todo{Pull: p.Issue.Number}
	case "pull_request", "pull_request_target":
		out := Todo{Pull: p.PullRequest.Number, Head: p.PullRequest.Head.SHA}
		out.Foreign = !strings.HasPrefix(p.PullRequest.Head.Ref, "belay/") || !strings.EqualFold(p.PullRequest.Head.Repo.FullName, e.Repository)
		switch {
		case p.Action == "closed" && out.Foreign:
			return Todo{Nothing: "somebody's pull request was closed"}
		case p.Action == "closed":
			out.Head = ""
		}
		return out
	case "pull_request_review":
		return Todo{Pull: p.PullRequest.Number}
	case "check_run":
		return ofCommit(p.CheckRun.HeadSHA, p.Action)
	case "check_suite":
		return ofCommit(p.CheckSuite.HeadSHA, p.Action)
	case "workflow_run":
		return ofCommit(p.Workflow.HeadSHA, p.Action)
	case "status":
		return ofCommit(p.SHA, "completed")
	case "push":
		if p.Ref != "refs/heads/"+p.Repository.DefaultBranch {
			return Todo{Nothing: "the push was not to the default branch"}
		}
		return Todo{All: true}
	case "schedule":
		return Todo{All: true, Scan: true}
	case "workflow_dispatch":
		if p.Inputs.Image != "" || p.Inputs.Tag != "" {
			data, err := json.Marshal(p.Inputs)
			if err != nil {
				panic(err) // strings always marshal
			}
			return Todo{Dispatch: data, All: true}
		}
		return Todo{All: true, Scan: true}
	}
	return Todo{Nothing: fmt.Sprintf("belay has nothing to do on %q; it listens to %s", e.Name, strings.Join(Events(), ", "))}
}

func ofCommit(sha, action string) Todo {
	switch {
	case action != "completed":
		return Todo{Nothing: "the check is not completed yet"}
	case sha == "":
		return Todo{Nothing: "the event names no commit"}
	}
	return Todo{Commit: sha}
}

// Events are those that a workflow with belay may be started by.
func Events() []string {
	return []string{"check_run", "check_suite", "issue_comment", "pull_request", "pull_request_review", "pull_request_target", "push", "repository_dispatch",
		"schedule", "status", "workflow_dispatch", "workflow_run"}
}
