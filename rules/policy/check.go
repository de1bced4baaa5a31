package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"
)

func resolve(n *yaml.Node) *yaml.Node {
	for range 10 {
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return n
}

// check compares a node with what a key may hold.
func (r *reader) check(n *yaml.Node, k *key, at string) {
	n = resolve(n)
	if r.nodes++; r.nodes == maxNodes {
		r.fail(n, "more than %d values: aliases that expand too far", maxNodes)
	}
	if r.nodes >= maxNodes {
		return
	}
	if k.or != nil && (n.Kind == yaml.MappingNode) == (k.or.kind == kindObject) {
		r.check(n, k.or, at)
		return
	}
	switch k.kind {
	case kindObject, kindMap:
		r.checkMapping(n, k, at)
	case kindList:
		if n.Tag == "!!null" {
			return // as in checkMapping
		}
		if n.Kind != yaml.SequenceNode {
			r.fail(n, "%s: a list is expected, such as [%s]", at, plain(n))
			return
		}
		for i, e := range n.Content {
			r.check(e, k.elem, fmt.Sprintf("%s[%d]", at, i))
		}
	default:
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			r.fail(n, "%s: %s is expected%s", at, withArticle(k.kind), suchAs(k))
			return
		}
		if text := scalar(n, k); text != "" {
			r.fail(n, "%s: %s", at, text)
		}
	}
}

func plain(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return n.Value
	}
	return "…"
}

func (r *reader) checkMapping(n *yaml.Node, k *key, at string) {
	if n.Kind != yaml.MappingNode {
		if n.Tag == "!!null" {
			return // a key without a value is a key left at its default
		}
		r.fail(n, "%s", strings.TrimSpace(strings.TrimPrefix(at+":", ":")+" keys are expected here: "+keysFor(n, k)))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, val := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+name.Value, ".")
		if seen[name.Value] {
			r.fail(name, "key %q stands twice", path)
			continue
		}
		seen[name.Value] = true
		if k.kind == kindMap {
			r.check(val, k.elem, path)
			continue
		}
		child := k.child(name.Value)
		if child == nil {
			r.fail(name, "unknown key %q%s", path, nearest(name.Value, k.keys))
			continue
		}
		r.check(val, child, path)
	}
	switch k {
	case backupForm:
		r.checkBackup(n, seen, at)
	case queryForm:
		r.checkQuery(n, seen, at)
	case restoreForm:
		if len(among(restoreKinds, seen)) != 1 {
			r.fail(n, "%s: one of cronjob, volumesnapshot and job is needed", at)
		}
	}
}

// keysFor says what to write in place of a node that has no keys: the node as
// the value of the first key where it can be that, or the keys there are.
func keysFor(n *yaml.Node, k *key) string {
	if k.kind == kindMap {
		return "write { NAME: … }"
	}
	first := k.keys[0]
	if n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") && first.kind != kindObject && first.kind != kindMap && first.kind != kindList && scalar(n, first) == "" {
		return fmt.Sprintf("write { %s: %s }", first.name, n.Value)
	}
	var all []string
	for _, k := range k.keys {
		all = append(all, k.name)
	}
	return "there are " + strings.Join(all, ", ")
}

func withArticle(k kind) string {
	if strings.ContainsRune("aeio", rune(k[0])) {
		return "an " + string(k)
	}
	return "a " + string(k)
}

// suchAs is what a scalar looks like.
func suchAs(k *key) string {
	if k.kind == kindWindows {
		return `, such as "Mon-Fri 09:00-17:00, Sat 10:00-12:00": one text, with commas between the windows`
	}
	examples := map[kind]string{kindInt: "3", kindBool: "true", kindDuration: "15m", kindZone: "Europe/Sofia", kindRepo: "immich-app/immich", kindObjName: "dbaas/postgresql-backup",
		kindWorkload: "links/deployment/web", kindNumber: "0.5", kindURL: "https://links.example.org"}
	example := k.example
	if len(k.enum) > 0 {
		example = k.enum[0]
	}
	if example == "" {
		example = examples[k.kind]
	}
	if example == "" {
		return ""
	}
	return ", such as " + example
}

// nearest suggests the key that was probably meant, or lists those there are.
func nearest(name string, keys []*key) string {
	best, distance := "", 3
	var all []string
	for _, k := range keys {
		all = append(all, k.name)
		if d := levenshtein.Distance(strings.ToLower(name), k.name, nil); d < distance || d == distance && best == "" && len(k.name) > 5 {
			best, distance = k.name, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return ": there are " + strings.Join(all, ", ")
}

var (
	// repoForm matches "immich-app/immich"; not "immich" or "https://github.com/a/b".
	repoForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+$`)
	// objectForm matches "dbaas/postgresql-backup"; not "backup" or "a/b/c".
	objectForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$`)
)

// scalar says what is wrong with a scalar for its key, or "".
func scalar(n *yaml.Node, k *key) string {
	v := n.Value
	if len(k.enum) > 0 && !slices.Contains(k.enum, v) {
		return fmt.Sprintf("%q is none of %s", v, strings.Join(k.enum, ", "))
	}
	switch k.kind {
	case kindInt:
		if i, err := strconv.Atoi(v); err != nil || i < 1 {
			return fmt.Sprintf("%q is not a whole number above 0", v)
		}
	case kindBool:
		if v != "true" && v != "false" {
			return fmt.Sprintf("%q is neither true nor false", v)
		}
	case kindDuration:
		if _, err := parseDuration(v); err != nil {
			return fmt.Sprintf("%q is not a duration: write 30s, 15m, 6h or 2d", v)
		}
	case kindRegexp:
		if _, err := regexp.Compile(v); err != nil {
			return fmt.Sprintf("%q is not a regular expression: %v", v, err)
		}
	case kindGlob:
		if !doublestar.ValidatePattern(strings.TrimPrefix(v, "!")) || strings.TrimPrefix(v, "!") == "" {
			return fmt.Sprintf("%q is not a glob", v)
		}
	case kindZone:
		if _, err := time.LoadLocation(v); err != nil || v == "" || v == "Local" {
			return fmt.Sprintf("%q is not a time zone: write one such as Europe/Sofia", v)
		}
	case kindWindows:
		if strings.TrimSpace(v) == "" {
			return "is empty: leave the key out for always; belay freeze is for never"
		}
		if _, err := ParseWindows(v); err != nil {
			return err.Error()
		}
	case kindRepo:
		if !repoForm.MatchString(v) {
			return fmt.Sprintf("%q is not a GitHub repository: write owner/repository", v)
		}
	case kindObjName:
		if !objectForm.MatchString(v) {
			return fmt.Sprintf("%q is not an object: write namespace/name", v)
		}
	case kindString:
		if strings.TrimSpace(v) == "" {
			return "is empty"
		}
	case kindNumber, kindWorkload, kindURL, kindSlug:
		return watchScalar(v, k.kind)
	case kindObject, kindMap, kindList:
	}
	return ""
}
