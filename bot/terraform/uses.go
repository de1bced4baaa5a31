package terraform

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// Uses looks identifiers up in a service's own files, Terraform and values, and
// says where each is written. Comments do not count.
func (inv *Inventory) Uses(service string, identifiers []string) map[string][]pin.Location {
	out := map[string][]pin.Location{}
	for _, s := range inv.Services {
		if s.Name != service {
			continue
		}
		for _, p := range s.Files {
			f := inv.repo.files[p]
			if f == nil {
				continue
			}
			for _, id := range identifiers {
				if id == "" || len(out[id]) > 0 && out[id][len(out[id])-1].Path == p || !strings.Contains(string(f.src), id) {
					continue
				}
				for _, line := range f.mentions(id) {
					out[id] = append(out[id], pin.Location{Path: p, Line: line})
				}
			}
		}
	}
	return out
}

// mentions are the lines of a file that name an identifier outside comments.
func (f *file) mentions(id string) []int {
	var out []int
	add := func(line int, s string) {
		for i, l := range strings.Split(s, "\n") {
			if names(l, id) && (len(out) == 0 || out[len(out)-1] < line+i) {
				out = append(out, line+i)
			}
		}
	}
	if f.body == nil {
		for i, l := range strings.Split(string(f.src), "\n") {
			if j := strings.IndexByte(l, '#'); j >= 0 && (j == 0 || l[j-1] == ' ' || l[j-1] == '\t') {
				l = l[:j]
			}
			add(i+1, l)
		}
		return out
	}
	tokens, _ := hclsyntax.LexConfig(f.src, f.path, hcl.InitialPos)
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenIdent, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			s := string(t.Bytes)
			// An identifier with a dash or dots is several tokens; those beside each other are read together.
			if t.Type == hclsyntax.TokenIdent && i+2 < len(tokens) {
				s += string(tokens[i+1].Bytes) + string(tokens[i+2].Bytes)
			}
			add(t.Range.Start.Line, s)
		default:
		}
	}
	return out
}

// names reports whether s holds id as a whole word.
func names(s, id string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], id)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(id)
		if (i == 0 || !wordByte(s[i-1])) && (end == len(s) || !wordByte(s[end])) {
			return true
		}
		from = i + 1
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
