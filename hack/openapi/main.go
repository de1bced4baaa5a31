// Command openapi cuts GitHub's descriptions of its API down to what belay uses
// and writes them into bot/sandbox/contract.
//
//	npm pack @octokit/openapi @octokit/openapi-webhooks @octokit/webhooks-examples @octokit/graphql-schema
//	go run ./hack/openapi -dir DIRECTORY_OF_THE_PACKAGES
//
// It is run by hand when a new version of the descriptions is wanted.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

// operations are the REST operations that belay calls, by method and path.
var operations = []string{
	"get /app", "get /app/installations", "get /app/hook/deliveries", "get /app/hook/deliveries/{delivery_id}",
	"get /installation/repositories", "get /repos/{owner}/{repo}/installation", "post /app/installations/{installation_id}/access_tokens",
	"get /repos/{owner}/{repo}", "get /repos/{owner}/{repo}/branches/{branch}", "get /repos/{owner}/{repo}/rules/branches/{branch}",
	"get /repos/{owner}/{repo}/pulls", "post /repos/{owner}/{repo}/pulls", "patch /repos/{owner}/{repo}/pulls/{pull_number}",
	"put /repos/{owner}/{repo}/pulls/{pull_number}/merge",
	"get /repos/{owner}/{repo}/labels", "post /repos/{owner}/{repo}/labels", "put /repos/{owner}/{repo}/issues/{issue_number}/labels",
	"post /repos/{owner}/{repo}/issues/{issue_number}/comments", "patch /repos/{owner}/{repo}/issues/comments/{comment_id}",
	"post /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
	"post /repos/{owner}/{repo}/check-runs", "patch /repos/{owner}/{repo}/check-runs/{check_run_id}",
	"get /repos/{owner}/{repo}/collaborators/{username}/permission",
	"get /repos/{owner}/{repo}/releases",
}

// webhooks are those that belay listens to, as event and action.
var webhooks = []string{"pull_request opened", "pull_request closed", "pull_request synchronize", "pull_request reopened", "pull_request_review submitted",
	"issue_comment created", "issue_comment edited", "check_run completed", "status", "push", "repository_dispatch", "repository renamed",
	"installation suspend", "installation unsuspend"}

// fields are the parts of the GraphQL schema that belay reads.
var fields = map[string]string{
	"Query":                              "repository",
	"Repository":                         "id nameWithOwner defaultBranchRef pullRequest object",
	"Ref":                                "id name target",
	"GitObject":                          "oid",
	"Commit":                             "oid author statusCheckRollup",
	"GitActor":                           "email name user",
	"User":                               "login",
	"Bot":                                "login",
	"Actor":                              "login",
	"PullRequest":                        "number id state isDraft title body headRefOid headRefName headRef mergeable updatedAt mergeCommit mergedBy author labels reviews commits comments merged",
	"LabelConnection":                    "nodes",
	"Label":                              "name",
	"PullRequestReviewConnection":        "nodes",
	"PullRequestReview":                  "author state submittedAt commit",
	"PullRequestCommitConnection":        "nodes totalCount",
	"PullRequestCommit":                  "commit",
	"IssueCommentConnection":             "nodes",
	"IssueComment":                       "fullDatabaseId author body createdAt lastEditedAt",
	"StatusCheckRollup":                  "contexts state",
	"StatusCheckRollupContextConnection": "nodes",
	"CheckRun":                           "name status conclusion checkSuite",
	"CheckSuite":                         "app",
	"App":                                "slug",
	"StatusContext":                      "context state",
}

func main() {
	dir := flag.String("dir", ".", "directory that holds the packages as npm pack leaves them")
	out := flag.String("out", "bot/sandbox/contract", "directory to write to")
	flag.Parse()
	rest := read(*dir, "octokit-openapi-[0-9]*.tgz", "package/generated/api.github.com.json")
	write(filepath.Join(*out, "rest.json.gz"), trim(rest, "paths", operations))
	hooks := read(*dir, "octokit-openapi-webhooks-*.tgz", "package/generated/api.github.com.json")
	write(filepath.Join(*out, "webhooks.json.gz"), trimWebhooks(hooks))
	write(filepath.Join(*out, "examples.json.gz"), examples(read(*dir, "octokit-webhooks-examples-*.tgz", "package/api.github.com/index.json")))
	write(filepath.Join(*out, "schema.graphql.gz"), trimSchema(read(*dir, "octokit-graphql-schema-*.tgz", "package/schema.graphql")))
}

// read takes one file out of the newest package that a pattern names.
func read(dir, pattern, name string) []byte {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		log.Fatalf("%s: no %s: run npm pack first", dir, pattern)
	}
	f, err := os.Open(slices.Max(names))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		log.Fatal(err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			log.Fatalf("%s: %s: %v", f.Name(), name, err)
		}
		if h.Name == name {
			data, err := io.ReadAll(t)
			if err != nil {
				log.Fatal(err)
			}
			return data
		}
	}
}

func write(name string, data []byte) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if _, err := z.Write(data); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d kB, %d kB compressed\n", name, len(data)>>10, b.Len()>>10)
}

type object = map[string]any

func decode(data []byte) object {
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		log.Fatal(err)
	}
	return out
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

// trim keeps some operations and the components that they need.
func trim(data []byte, section string, keep []string) []byte {
	doc := decode(data)
	paths := object{}
	for _, op := range keep {
		method, path, _ := strings.Cut(op, " ")
		item, ok := doc[section].(object)[path].(object)
		if !ok || item[method] == nil {
			log.Fatalf("the description has no %s", op)
		}
		if paths[path] == nil {
			paths[path] = object{}
		}
		operation := item[method].(object)
		delete(operation, "description")
		paths[path].(object)[method] = operation
	}
	return encode(object{"openapi": doc["openapi"], "info": doc["info"], "servers": []object{{"url": "/"}}, section: paths, "components": components(doc, paths)})
}

// components collects what $refs lead to.
func components(doc object, roots ...any) object {
	out := object{}
	seen := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok && !seen[ref] {
				seen[ref] = true
				parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
				target := doc["components"].(object)[parts[0]].(object)[parts[1]]
				if out[parts[0]] == nil {
					out[parts[0]] = object{}
				}
				out[parts[0]].(object)[parts[1]] = target
				walk(target)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	for _, r := range roots {
		walk(r)
	}
	return out
}

// trimWebhooks keeps the schemas of some webhooks, by event and action.
func trimWebhooks(data []byte) []byte {
	doc := decode(data)
	all := doc["webhooks"].(object)
	schemas := object{}
	for _, w := range webhooks {
		event, action, _ := strings.Cut(w, " ")
		name := strings.ReplaceAll(strings.Join(strings.Fields(w), "-"), "_", "-")
		if event == "repository_dispatch" {
			name = "repository-dispatch-sample.collected"
		}
		item, ok := all[name].(object)
		if !ok {
			log.Fatalf("the description has no webhook %s", name)
		}
		schemas[strings.TrimSpace(event+" "+action)] = item["post"].(object)["requestBody"].(object)["content"].(object)["application/json"].(object)["schema"]
	}
	return encode(object{"openapi": doc["openapi"], "info": doc["info"], "paths": object{}, "components": components(doc, schemas), "x-webhooks": schemas})
}

// examples keeps one example of each webhook.
func examples(data []byte) []byte {
	var all []struct {
		Name     string   `json:"name"`
		Examples []object `json:"examples"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		log.Fatal(err)
	}
	out := object{}
	for _, w := range webhooks {
		event, action, _ := strings.Cut(w, " ")
		for _, e := range all {
			if e.Name != event || len(e.Examples) == 0 {
				continue
			}
			pick := e.Examples[0]
			for _, x := range e.Examples {
				if a, _ := x["action"].(string); a == action && x["repository"] != nil {
					pick = x
					break
				}
			}
			out[w] = pick
		}
		if out[w] == nil {
			log.Fatalf("no example of %s", w)
		}
	}
	return encode(out)
}

// trimSchema keeps some fields of the GraphQL schema, and the arguments,
// scalars and enumerations that they need.
func trimSchema(data []byte) []byte {
	whole, err := parser.ParseSchema(&ast.Source{Name: "schema.graphql", Input: string(data)}) // it does not hold in parts that are not used here
	if err != nil {
		log.Fatal(err)
	}
	types := map[string]*ast.Definition{}
	for _, d := range whole.Definitions {
		types[d.Name] = d
	}
	keep := map[string]bool{}
	var need func(t *ast.Type)
	need = func(t *ast.Type) {
		d := types[t.Name()]
		if d == nil || keep[d.Name] { // nil: a scalar of GraphQL itself
			return
		}
		keep[d.Name] = true
		for _, f := range d.Fields {
			if d.Kind == ast.InputObject {
				need(f.Type)
			}
		}
	}
	for name, list := range fields {
		d := types[name]
		keep[name] = true
		var kept ast.FieldList
		for _, f := range strings.Fields(list) {
			field := d.Fields.ForName(f)
			if field == nil {
				log.Fatalf("the schema has no %s.%s", name, f)
			}
			kept = append(kept, field)
		}
		d.Fields = kept
	}
	for name := range fields {
		for _, f := range types[name].Fields {
			need(f.Type)
			for _, a := range f.Arguments {
				need(a.Type)
			}
		}
	}
	doc := &ast.SchemaDocument{}
	for name, d := range types {
		if !keep[name] {
			continue
		}
		d.Description = ""
		d.Directives = nil
		d.Interfaces = slices.DeleteFunc(d.Interfaces, func(i string) bool { return fields[i] == "" })
		d.Types = slices.DeleteFunc(d.Types, func(t string) bool { return !keep[t] })
		for _, f := range d.Fields {
			f.Description, f.Directives = "", nil
			for _, a := range f.Arguments {
				a.Description, a.Directives = "", nil
			}
		}
		for _, v := range d.EnumValues {
			v.Description, v.Directives = "", nil
		}
		doc.Definitions = append(doc.Definitions, d)
	}
	slices.SortFunc(doc.Definitions, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	formatter.NewFormatter(&b).FormatSchemaDocument(doc)
	if _, err := gqlparser.LoadSchema(&ast.Source{Name: "trimmed", Input: b.String()}); err != nil {
		log.Fatalf("the trimmed schema does not hold: %v\n%s", err, b.String())
	}
	return b.Bytes()
}
