package action_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// step is a step of an action or a job.
type step struct {
	ID   string            `yaml:"id"`
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	Env  map[string]string `yaml:"env"`
	With map[string]string `yaml:"with"`
}

// pinned matches an action by the full id of a commit.
var pinned = regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9-]+@[0-9a-f]{40}$`)

// inputsOf are the inputs that ReadInputs reads, as the code names them.
func inputsOf(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:GetInput\(|yes\(a, |duration\(a, )"([a-z-]+)"`).FindAllSubmatch(read(t, "bot", "action", "inputs.go"), -1) {
		out[string(m[1])] = true
	}
	return out
}

// TestManifestCurrent: action.yml gives the program every input that it reads,
// runs nothing that others can write into, and names other actions by commit.
func TestManifestCurrent(t *testing.T) {
	var m struct {
		Inputs  map[string]struct{ Description string } `yaml:"inputs"`
		Outputs map[string]struct{ Value string }       `yaml:"outputs"`
		Runs    struct {
			Using string `yaml:"using"`
			Steps []step `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(read(t, "action.yml"), &m); err != nil {
		t.Fatal(err)
	}
	doc := string(read(t, "docs", "action.md"))
	given := map[string]string{}
	for _, s := range m.Runs.Steps {
		if s.Uses != "" && !pinned.MatchString(s.Uses) {
			t.Errorf("%s is not named by a commit", s.Uses)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("a script has an expression in it, which others may fill: %s", s.Run)
		}
		if s.ID == "belay" {
			given = s.Env
		}
	}
	known := inputsOf(t)
	for name := range known {
		if want := "${{ inputs." + name + " }}"; given["INPUT_"+strings.ToUpper(name)] != want {
			t.Errorf("input %s does not reach the program: %q", name, given["INPUT_"+strings.ToUpper(name)])
		}
	}
	for name, in := range m.Inputs {
		if !known[name] && name != "binary" && name != "cache" {
			t.Errorf("nothing reads the input %s", name)
		}
		if in.Description == "" || !strings.Contains(doc, "| `"+name+"` |") {
			t.Errorf("the input %s is not explained", name)
		}
	}
	tell := string(read(t, "bot", "action", "tell.go"))
	for name, out := range m.Outputs {
		if !strings.Contains(tell, `"`+name+`"`) || out.Value != "${{ steps.belay.outputs."+name+" }}" || !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("the output %s is not written or not explained", name)
		}
	}
}

// TestExamplesCurrent: the example workflows begin without permissions, give each
// job the least, and name actions by commit.
func TestExamplesCurrent(t *testing.T) {
	files, err := filepath.Glob("../../docs/examples/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	inputs := inputsOf(t)
	for _, file := range files {
		var w struct {
			Permissions map[string]string `yaml:"permissions"`
			Jobs        map[string]struct {
				Permissions map[string]string `yaml:"permissions"`
				Timeout     int               `yaml:"timeout-minutes"`
				Steps       []step            `yaml:"steps"`
			} `yaml:"jobs"`
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = yaml.Unmarshal(data, &w)
		}
		if err != nil {
			t.Fatal(err)
		}
		if w.Permissions == nil || len(w.Permissions) > 0 {
			t.Errorf("%s: the workflow's permissions are %v, not none", file, w.Permissions)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: the job %s has no time-out", file, name)
			}
			for _, s := range job.Steps {
				if s.Run != "" || !pinned.MatchString(s.Uses) {
					t.Errorf("%s: %q %s: only actions by commit", file, s.Run, s.Uses)
				}
				for in := range s.With {
					if strings.HasPrefix(s.Uses, "belaybot/belay@") && !inputs[in] {
						t.Errorf("%s: there is no input %s", file, in)
					}
				}
			}
		}
	}
}
