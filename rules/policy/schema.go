package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// SchemaID is where editors find the schema of belay.yml.
const SchemaID = "https://raw.githubusercontent.com/belaybot/belay/main/docs/belay.schema.json"

// Schema is the JSON Schema (draft 2020-12) of belay.yml, for editors.
func Schema() []byte {
	s := form.schema()
	s["$schema"], s["$id"], s["title"] = "https://json-schema.org/draft/2020-12/schema", SchemaID, "belay.yml"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return append(out, '\n')
}

func (k *key) schema() map[string]any {
	s := k.ownSchema()
	if k.or != nil {
		s = map[string]any{"anyOf": []any{s, k.or.schema()}}
	}
	doc := k.doc
	if k.def != "" {
		doc += " Default: " + k.def + "."
	}
	if doc != "" {
		s["description"] = strings.TrimSpace(doc)
	}
	return s
}

func (k *key) ownSchema() map[string]any {
	switch k.kind {
	case kindObject:
		properties := map[string]any{}
		for _, c := range k.keys {
			properties[c.name] = c.schema()
		}
		s := map[string]any{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
		if k == backupForm {
			var one []any
			for _, kind := range backupKinds {
				one = append(one, map[string]any{"required": []string{string(kind)}})
			}
			s["oneOf"], s["type"] = one, "object"
		}
		if k == restoreForm {
			var one []any
			for _, kind := range restoreKinds {
				one = append(one, map[string]any{"required": []string{string(kind)}})
			}
			s["oneOf"] = one
		}
		if k == queryForm {
			s["required"], s["type"] = []string{"query"}, "object"
			s["anyOf"] = []any{map[string]any{"required": []string{"below"}}, map[string]any{"required": []string{"above"}}}
		}
		return s
	case kindMap:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": k.elem.schema()}
	case kindList:
		return map[string]any{"type": []string{"array", "null"}, "items": k.elem.schema()}
	case kindInt:
		return map[string]any{"type": "integer", "minimum": 1}
	case kindBool:
		return map[string]any{"type": "boolean"}
	case kindDuration:
		return map[string]any{"type": "string", "pattern": `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$`, "minLength": 2}
	case kindRepo:
		return map[string]any{"type": "string", "pattern": repoForm.String()}
	case kindObjName:
		return map[string]any{"type": "string", "pattern": objectForm.String()}
	case kindWorkload:
		return map[string]any{"type": "string", "pattern": `^[^/]+/[A-Za-z]+/[^/]+$`} // editors know no (?i:…)
	case kindSlug:
		return map[string]any{"type": "string", "pattern": slugForm.String()}
	case kindURL:
		return map[string]any{"type": "string", "pattern": urlForm.String()}
	case kindNumber:
		return map[string]any{"type": "number"}
	case kindRegexp:
		return map[string]any{"type": "string", "format": "regex"}
	case kindString, kindGlob, kindZone, kindWindows:
	}
	s := map[string]any{"type": "string", "minLength": 1}
	if len(k.enum) > 0 {
		s = map[string]any{"enum": k.enum}
	}
	return s
}

// Reference is the configuration as a Markdown document, for docs/configuration.md.
func Reference() []byte {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("belay reads `.github/belay.yml` on the default branch, never from a pull request. Every key is optional;\nunknown keys and bad values are refused with their line and column.\n\n")
	b.WriteString("`belay config check` says whether a file is right, `belay config schema` prints the JSON Schema for editors. A service that is named here and\n" +
		"that the repository does not have is no error: `belay config check --repo DIRECTORY`, `belay pins`, `belay doctor`, the page, the dashboard issue and\n" +
		"every pull request warn of it, with the name that was probably meant.\n\n")
	fmt.Fprintf(&b, "```yaml\n# yaml-language-server: $schema=%s\n```\n\n", SchemaID)
	for _, k := range form.keys {
		fmt.Fprintf(&b, "## `%s`\n\n%s\n\n", k.name, k.doc)
		rows := k.rows("")
		b.WriteString("| key | what it says | holds | default |\n| --- | --- | --- | --- |\n")
		for _, r := range rows {
			b.WriteString(r)
		}
		if k.example != "" {
			fmt.Fprintf(&b, "\nExample: `%s: %s`\n", k.name, k.example)
		}
		b.WriteByte('\n')
	}
	return []byte(strings.TrimRight(b.String(), "\n") + "\n")
}

// rows are the lines of a key's table, one for each key below it.
func (k *key) rows(prefix string) []string {
	path := strings.TrimPrefix(prefix+"."+k.name, ".")
	switch {
	case k.kind == kindObject:
		var out []string
		for _, c := range k.keys {
			out = append(out, c.rows(path)...)
		}
		return out
	case k.kind == kindMap && k.elem.kind == kindObject:
		var out []string
		for _, c := range k.elem.keys {
			out = append(out, c.rows(path+".NAME")...)
		}
		return out
	}
	holds := string(k.kind)
	switch {
	case len(k.enum) > 0:
		holds = strings.Join(k.enum, ", ")
	case k.kind == kindMap:
		holds = "name: " + string(k.elem.kind)
	case k.kind == kindList && len(k.elem.enum) > 0:
		holds = "list of " + strings.Join(k.elem.enum, ", ")
	case k.kind == kindList:
		holds = "list of " + string(k.elem.kind) + "s"
	}
	doc := k.doc
	if k.example != "" {
		doc += " Example: `" + k.example + "`"
	}
	out := []string{fmt.Sprintf("| `%s` | %s | %s | %s |\n", path, strings.ReplaceAll(doc, "|", `\|`), holds, k.def)}
	if k.or != nil && k.or != backupForm {
		for _, c := range k.or.keys {
			out = append(out, c.rows(path)...)
		}
	}
	return out
}
