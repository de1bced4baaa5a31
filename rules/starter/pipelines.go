package starter

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// applyForm matches commands that bring Terraform's files to the cluster:
// "terraform apply -auto-approve", "tofu -chdir=x apply", "terragrunt run-all
// apply"; not "terraform plan", "kubectl apply".
var applyForm = regexp.MustCompile(`\b(terraform|tofu|terragrunt)\b[^\n;|&]*\bapply\b`)

// IsPipeline reports whether a path is one that Pipelines can read.
func IsPipeline(p string) bool {
	ext := path.Ext(p)
	if ext != ".yml" && ext != ".yaml" {
		return false
	}
	dir := path.Dir(p)
	return dir == ".github/workflows" || dir == ".woodpecker" || strings.HasPrefix(dir, ".woodpecker/") || p == ".woodpecker.yml" || p == ".woodpecker.yaml"
}

// Pipelines finds the CI pipelines that apply what is merged, by path. What is
// not such a file, or does not parse, is left out.
func Pipelines(p string, src []byte) []Pipeline {
	if !IsPipeline(p) || len(src) > 1<<20 {
		return nil
	}
	var doc yaml.Node
	if yaml.Unmarshal(src, &doc) != nil {
		return nil
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	if strings.HasPrefix(p, ".woodpecker") {
		return woodpecker(p, root)
	}
	return workflow(p, root)
}

// woodpecker names the status as Woodpecker does without a setting of its own:
// "ci/woodpecker/EVENT/WORKFLOW", the workflow being the file's name.
func woodpecker(p string, root *yaml.Node) []Pipeline {
	tool := runs(root, 0)
	if tool == "" || !pushed(root) {
		return nil
	}
	name := strings.TrimPrefix(strings.TrimSuffix(path.Base(p), path.Ext(p)), ".")
	return []Pipeline{{Check: "ci/woodpecker/push/" + name, At: p, Why: "runs " + tool + " apply"}}
}

// pushed reports whether a Woodpecker workflow may run for a push: where it
// says for which events it is, push has to be among them.
func pushed(root *yaml.Node) bool {
	event := get(get(root, "when"), "event")
	if when := get(root, "when"); when != nil && when.Kind == yaml.SequenceNode {
		for _, w := range when.Content {
			e := get(w, "event")
			if e == nil || mentions(e, "push") {
				return true
			}
		}
		return len(when.Content) == 0
	}
	return event == nil || mentions(event, "push")
}

// workflow names the check runs of a GitHub workflow: one for each job.
func workflow(p string, root *yaml.Node) []Pipeline {
	on := get(root, "on")
	if on == nil || !mentions(on, "push") {
		return nil
	}
	jobs := get(root, "jobs")
	if jobs == nil || jobs.Kind != yaml.MappingNode {
		return nil
	}
	var out []Pipeline
	for i := 0; i+1 < len(jobs.Content); i += 2 {
		id, job := jobs.Content[i].Value, jobs.Content[i+1]
		tool := runs(job, 0)
		if tool == "" {
			continue
		}
		check := id
		if n := get(job, "name"); n != nil && n.Kind == yaml.ScalarNode && n.Value != "" {
			check = n.Value
		}
		why := "runs " + tool + " apply in the job " + id
		if get(get(job, "strategy"), "matrix") != nil || strings.Contains(check, "${{") {
			why += "; it has a matrix: add what GitHub appends to the name"
		}
		out = append(out, Pipeline{Check: check, At: p, Why: why})
	}
	return out
}

// runs names the tool that a pipeline applies with, "" for none.
func runs(n *yaml.Node, depth int) string {
	if n == nil || depth > 20 {
		return ""
	}
	if n.Kind == yaml.ScalarNode {
		if m := applyForm.FindStringSubmatch(n.Value); m != nil {
			return m[1]
		}
		return ""
	}
	for _, c := range n.Content {
		if t := runs(c, depth+1); t != "" {
			return t
		}
	}
	return ""
}

func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// mentions reports whether a scalar, list or mapping names a word.
func mentions(n *yaml.Node, word string) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value == word
	case yaml.SequenceNode:
		return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Value == word })
	case yaml.MappingNode:
		return get(n, word) != nil
	case yaml.DocumentNode, yaml.AliasNode: // no workflow names its events so
	}
	return false
}
