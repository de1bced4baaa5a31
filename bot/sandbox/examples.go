package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// WebhookExamples are GitHub's own examples of the webhooks that belay listens
// to, by event.
func WebhookExamples() (map[string][]json.RawMessage, error) {
	data, err := readContract("examples.json.gz")
	if err != nil {
		return nil, err
	}
	out := map[string][]json.RawMessage{}
	return out, json.Unmarshal(data, &out)
}

// pickExamples chooses one example for each webhook that is described: with the
// same action, and about a repository, where there is one.
func (c *contract) pickExamples() error {
	all, err := WebhookExamples()
	if err != nil {
		return err
	}
	for name := range c.schemas {
		event, action := split(name)
		best := -1
		for _, text := range all[event] {
			var e object
			if err := json.Unmarshal(text, &e); err != nil {
				return err
			}
			score := 0
			if a, _ := e["action"].(string); a == action {
				score += 2
			}
			if e["repository"] != nil {
				score++
			}
			if score > best {
				best, c.examples[name] = score, e
			}
		}
		if best < 0 {
			return fmt.Errorf("there is no example of the webhook %s", name)
		}
	}
	return nil
}

// hookExample is GitHub's example of a webhook, to be changed at will.
func (c *contract) hookExample(name string) object {
	e, ok := c.examples[name]
	if !ok {
		return object{}
	}
	return copied(e).(object)
}

// lacking lists the fields of an example that a payload has not, as paths.
// Lists are not looked into: how many elements there are is chance.
func lacking(example, payload object, at string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(example)) {
		got, ok := payload[name]
		if !ok {
			out = append(out, at+"/"+name)
			continue
		}
		a, okA := example[name].(object)
		b, okB := got.(object)
		if okA && okB {
			out = append(out, lacking(a, b, at+"/"+name)...)
		}
	}
	return out
}

// checkFields holds a webhook against GitHub's example of it.
func (c *contract) checkFields(name string, body []byte) error {
	var payload object
	if err := json.Unmarshal(body, &payload); err != nil {
		return err
	}
	example := c.hookExample(name)
	if name == "repository_dispatch" {
		delete(example, "client_payload") // anything
	}
	delete(example, "organization") // where the owner is one
	if missing := lacking(example, payload, ""); len(missing) > 0 {
		return fmt.Errorf("webhook %s: GitHub's example has %s besides", name, strings.Join(missing, ", "))
	}
	return nil
}
