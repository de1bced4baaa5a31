package terraform

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxSettingNames bounds the names of one service.
const maxSettingNames = 1000

var (
	// settingName matches names of settings: "DB_HOST", "maxmemory-policy", "server.port"; not "a b", "ana@example.org", "1.2.3".
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(?:[.-][A-Za-z0-9_]+)*$`)
	// keyLine matches a line of YAML that begins with a key: "  host: x", "- name: X", "\"port\": 1"; not "https://x", "- \"a: b\"".
	keyLine = regexp.MustCompile(`^\s*(?:-\s+)*(?:"([A-Za-z0-9_.-]+)"|'([A-Za-z0-9_.-]+)'|([A-Za-z_][A-Za-z0-9_.-]*))\s*:(?:\s|$)`)
	// namedVariable matches an entry of env in YAML: "- name: DB_HOST"; not "- name: web".
	namedVariable = regexp.MustCompile(`^\s*-\s+name:\s*["']?([A-Z][A-Z0-9_]*)["']?\s*$`)
	// variableLine matches a line of an env file: "DB_HOST=x"; not "aGVsbG8=", "a = b".
	variableLine = regexp.MustCompile(`^(?:export\s+)?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)=`)
)

// Settings are the names of a service's settings: environment variables, and
// keys of maps and of Helm values, sorted. Values are never part of them: a name
// is taken only where a name stands, and what does not look like one is left out.
func (inv *Inventory) Settings(service string) []string {
	seen := map[string]bool{}
	add := func(name string) {
		if len(seen) < maxSettingNames && settingName.MatchString(name) && !secretLike(name) {
			seen[name] = true
		}
	}
	for _, s := range inv.Services {
		if s.Name != service {
			continue
		}
		for _, p := range s.Files {
			f := inv.repo.files[p]
			switch {
			case f == nil:
			case f.body != nil:
				_ = hclsyntax.VisitAll(f.body, func(n hclsyntax.Node) hcl.Diagnostics {
					fromHCL(n, add)
					return nil
				})
			case path.Ext(p) != ".tfvars":
				fromText(string(f.src), add)
			}
		}
	}
	out := make([]string, 0, len(seen))
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// fromHCL takes the names of one node: the name of an env or set block, the
// keys of an object, and the keys of YAML in a text.
func fromHCL(n hclsyntax.Node, add func(string)) {
	switch n := n.(type) {
	case *hclsyntax.Block:
		switch n.Type {
		case "env", "env_var", "environment", "environment_variable", "set", "set_list", "set_sensitive":
			if a := n.Body.Attributes["name"]; a != nil {
				add(literal(a.Expr))
			}
		}
	case *hclsyntax.ObjectConsExpr:
		entries := map[string]string{}
		for _, item := range n.Items {
			name := literal(item.KeyExpr)
			add(name)
			if name == "name" || name == "value" || name == "value_from" || name == "valueFrom" {
				entries[name] = literal(item.ValueExpr)
			}
		}
		// {name = "DB_HOST", value = …}: the name of a variable stands as a value.
		if _, ok := entries["name"]; ok && len(entries) > 1 {
			add(entries["name"])
		}
	case *hclsyntax.TemplateExpr:
		var b strings.Builder
		for _, part := range n.Parts {
			if l, ok := part.(*hclsyntax.LiteralValueExpr); ok {
				b.WriteString(literal(l))
			} else {
				b.WriteString("${}") // what is computed is a value, and no name may begin in it
			}
		}
		if strings.Contains(b.String(), "\n") {
			fromText(b.String(), add)
		}
	}
}

// literal is the text of an expression that is one, or "".
func literal(e hclsyntax.Expression) string {
	v, diags := e.Value(nil)
	if diags.HasErrors() || v.IsNull() || !v.IsWhollyKnown() || v.IsMarked() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// fromText takes the keys of YAML, and the variables of an env file. The lines
// of a block of text in YAML are left out: they are a value.
func fromText(src string, add func(string)) {
	block := -1 // indentation of the key whose block of text is being passed over
	for _, line := range strings.Split(src, "\n") {
		line = strings.TrimRight(line, " \t\r")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if line == "" || block >= 0 && indent > block {
			continue
		}
		block = -1
		if m := keyLine.FindStringSubmatch(line); m != nil {
			add(m[1] + m[2] + m[3])
			if strings.HasSuffix(line, "|") || strings.HasSuffix(line, ">") || strings.HasSuffix(line, "|-") || strings.HasSuffix(line, ">-") || strings.HasSuffix(line, "|+") {
				block = indent
			}
		}
		if m := namedVariable.FindStringSubmatch(line); m != nil {
			add(m[1])
		}
		if m := variableLine.FindStringSubmatch(line); m != nil {
			add(m[1])
		}
	}
}

// secretLike reports whether a name could be a secret that somebody used as a
// key: long, with letters and digits mixed and nothing that parts its words.
func secretLike(name string) bool {
	if len(name) > 64 {
		return true
	}
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' || r == '-' }) {
		letters := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' }) >= 0
		if digits := strings.Count(strings.Map(digitsOnly, part), "0"); len(part) >= 16 && letters && digits >= 3 || len(part) > 32 {
			return true
		}
	}
	return false
}

// digitsOnly turns digits into "0" and drops the rest.
func digitsOnly(r rune) rune {
	if r >= '0' && r <= '9' {
		return '0'
	}
	return -1
}
