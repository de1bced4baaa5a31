package upstream

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// index is the part of a chart repository's index.yaml that is needed.
// See https://helm.sh/docs/topics/chart_repository.
type index struct {
	Entries map[string][]indexEntry `yaml:"entries"`
}

type indexEntry struct {
	Version    string   `yaml:"version"`
	AppVersion string   `yaml:"appVersion"`
	URLs       []string `yaml:"urls"`
	Sources    []string `yaml:"sources"`
	Home       string   `yaml:"home"`
	Deprecated bool     `yaml:"deprecated"`
}

// entriesOf reads the versions of one chart. Indexes of 20 MB with hundreds of
// charts are common, and reading all of that as YAML costs seconds and a third of
// a gigabyte, so the chart's own lines are cut out first. An index that is laid out otherwise
// than Helm does, or refers from one chart to another, is read as a whole.
func entriesOf(data []byte, chart string) ([]indexEntry, bool, error) {
	own, listed, plain := cutEntry(data, chart)
	if plain && !listed {
		return nil, false, nil
	}
	var in index
	if plain && yaml.Unmarshal(own, &in) == nil {
		entries, ok := in.Entries[chart]
		return entries, ok, nil
	}
	in = index{}
	if err := yaml.Unmarshal(data, &in); err != nil {
		return nil, false, err
	}
	entries, ok := in.Entries[chart]
	return entries, ok, nil
}

// cutEntry cuts one chart's lines out of an index as Helm writes it: keys below
// "entries:", each on a line of its own at one indent. plain is false for any
// other layout.
func cutEntry(data []byte, chart string) (own []byte, listed, plain bool) {
	if bytes.HasPrefix(data, []byte("{")) {
		return nil, false, false // JSON
	}
	inside, indent, from := false, -1, -1
	for at := 0; at < len(data); {
		end := bytes.IndexByte(data[at:], '\n') + 1
		if end == 0 {
			end = len(data) - at
		}
		line := data[at : at+end]
		start := at
		at += end
		bare := bytes.TrimLeft(line, " ")
		depth := len(line) - len(bare)
		bare = bytes.TrimRight(bare, " \r\n")
		switch {
		case len(bare) == 0 || bare[0] == '#' || bare[0] == '\t': // a tab indents nothing in YAML: it is text
			continue
		case !inside:
			if depth == 0 && bytes.HasPrefix(bare, []byte("entries:")) {
				if len(bare) > len("entries:") {
					return nil, false, false // "entries: {…}", an anchor
				}
				inside = true
			}
			continue
		case depth == 0 && bare[0] != '-':
			if from >= 0 {
				return wrap(data[from:start]), true, true
			}
			inside = false
			continue
		case indent < 0:
			indent = depth
		}
		if depth != indent || bare[0] == '-' {
			if depth < indent {
				return nil, false, false
			}
			continue
		}
		if from >= 0 {
			return wrap(data[from:start]), true, true
		}
		key, ok := bytes.CutSuffix(bare, []byte(":"))
		if !ok {
			if bytes.Contains(bare, []byte(": [")) && bytes.HasSuffix(bare, []byte("]")) && !bytes.HasPrefix(bytes.Trim(bare, `"'`), []byte(chart)) {
				continue // an empty or a short list of another chart
			}
			return nil, false, false
		}
		if string(bytes.Trim(key, `"'`)) == chart {
			from = start
		}
	}
	if from >= 0 {
		return wrap(data[from:]), true, true
	}
	return nil, false, indent >= 0
}

// wrap makes a chart's lines an index of their own.
func wrap(lines []byte) []byte {
	return append([]byte("entries:\n"), lines...)
}
