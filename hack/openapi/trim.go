package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

type object = map[string]any

// trim keeps some operations and the components that they need.
func trim(data []byte, keep []string) ([]byte, error) {
	var doc object
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	all, paths := at(doc, "paths"), object{}
	for _, op := range keep {
		method, path, _ := strings.Cut(op, " ")
		operation := at(all, path, method)
		if operation == nil {
			return nil, fmt.Errorf("the description has no %s", op)
		}
		if paths[path] == nil {
			paths[path] = object{}
		}
		delete(operation, "description")
		paths[path].(object)[method] = operation
	}
	parts, err := components(doc, paths)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{"openapi": doc["openapi"], "info": doc["info"], "servers": []object{{"url": "/"}}, "paths": paths, "components": parts})
}

// trimWebhooks keeps the schemas of some webhooks, by event and action.
func trimWebhooks(data []byte) ([]byte, error) {
	var doc object
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	schemas := object{}
	for _, w := range webhooks {
		name := strings.ReplaceAll(strings.ReplaceAll(w, " ", "-"), "_", "-")
		if w == "repository_dispatch" {
			name = "repository-dispatch-sample.collected"
		}
		schema := at(doc, "webhooks", name, "post", "requestBody", "content", "application/json", "schema")
		if schema == nil {
			return nil, fmt.Errorf("the description has no webhook %s", name)
		}
		schemas[w] = schema
	}
	parts, err := components(doc, schemas)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{"openapi": doc["openapi"], "info": doc["info"], "paths": object{}, "components": parts, "x-webhooks": schemas})
}

// at goes down a document; nil when a step is missing.
func at(v object, steps ...string) object {
	for _, s := range steps {
		v, _ = v[s].(object)
	}
	return v
}

// components collects what $refs lead to.
func components(doc object, root any) (object, error) {
	out := object{}
	seen := map[string]bool{}
	var missing string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok && !seen[ref] {
				seen[ref] = true
				section, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				target := at(doc, "components", section, name)
				if target == nil {
					missing = ref
					return
				}
				if out[section] == nil {
					out[section] = object{}
				}
				out[section].(object)[name] = target
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
	walk(root)
	if missing != "" {
		return nil, fmt.Errorf("the description has no %s, which it refers to", missing)
	}
	return out, nil
}

// examples keeps GitHub's examples of the events that belay listens to.
func examples(data []byte) ([]byte, error) {
	var all []struct {
		Name     string   `json:"name"`
		Examples []object `json:"examples"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	have := map[string][]object{}
	for _, e := range all {
		have[e.Name] = e.Examples
	}
	out := object{}
	for _, w := range slices.Concat(webhooks, runs) {
		event, _, _ := strings.Cut(w, " ")
		if len(have[event]) == 0 {
			return nil, fmt.Errorf("there is no example of %s", event)
		}
		out[event] = have[event]
	}
	return json.Marshal(out)
}
