package terraform

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/belaybot/belay/rules/pin"
)

// Keeps is what the repository tells of a service's data: the settings that
// point at a database, the volumes it writes to, the CronJobs beside it.
type Keeps struct {
	Settings []Setting // sorted by name and place
	Claims   []Claim   // sorted
	CronJobs []CronJob // sorted
}

// Setting is an environment variable, or what looks like one in a chart's
// values, a ConfigMap or a Secret.
type Setting struct {
	Name  string
	Value string // "" when it is not written in the repository
	At    pin.Location
}

// Claim is a PersistentVolumeClaim that a workload mounts.
type Claim struct {
	Namespace, Name string
	Path            string // where it is mounted; "" when not known
	At              pin.Location
}

// CronJob is a CronJob of the repository.
type CronJob struct {
	Namespace, Name string
	Text            string // its images, commands and arguments as far as they are known
	At              pin.Location
}

// Keeps walks the repository once more and tells what every service keeps, by
// service.
func (inv *Inventory) Keeps() map[string]*Keeps {
	out := map[string]*Keeps{}
	r := inv.repo
	roots := r.roots()
	for _, i := range roots {
		i.setHomes()
	}
	w := &walker{repo: r, names: newNamer(r.opts, roots), files: map[string]map[string]bool{}, dirs: map[string]string{}, places: map[string]*placed{}}
	w.keeps = func(service string) *Keeps {
		if out[service] == nil {
			out[service] = &Keeps{}
		}
		return out[service]
	}
	for _, i := range roots {
		w.instance(i)
	}
	for _, k := range out {
		slices.SortFunc(k.Settings, func(a, b Setting) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.At.Path, b.At.Path), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.Value, b.Value))
		})
		slices.SortFunc(k.Claims, func(a, b Claim) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path))
		})
		slices.SortFunc(k.CronJobs, func(a, b CronJob) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		k.Settings, k.Claims, k.CronJobs = slices.Compact(k.Settings), slices.Compact(k.Claims), slices.Compact(k.CronJobs)
	}
	return out
}

// settingForm matches names that are environment variables: "DATABASE_URL",
// "PAPERLESS_DBHOST"; not "image", "replicaCount".
var settingForm = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// keepBlock notes what a resource of the Kubernetes provider keeps.
func (w *walker) keepBlock(r *hclsyntax.Block, s *scope, u use) {
	if w.keeps == nil || u.outside || u.disabled {
		return
	}
	kind := strings.TrimSuffix(strings.TrimPrefix(r.Labels[0], "kubernetes_"), "_v1")
	k := w.keeps(u.service)
	if kind == "config_map" || kind == "secret" || kind == "config_map_v1_data" {
		for _, name := range []string{"data", "string_data"} {
			if attr := r.Body.Attributes[name]; attr != nil {
				k.values(s.eval(attr.Expr), u, at(attr), kind == "secret", 0)
			}
		}
		return
	}
	if kinds[kind] == "" {
		return
	}
	g := &gathered{k: k, s: s, u: u, at: pin.Location{Path: u.at.Filename, Line: u.at.Start.Line}, paths: map[string]string{}, claims: map[string]string{}}
	if u.namespace == "" {
		if p := w.places[u.service]; p != nil && len(p.declared) == 1 {
			g.u.namespace = p.declared[0]
		}
	}
	g.block(r.Body, s, 0)
	g.end()
	if kind == "cron_job" && u.workload != "" {
		k.CronJobs = append(k.CronJobs, CronJob{Namespace: g.u.namespace, Name: u.workload, Text: strings.Join(g.text, " "), At: g.at})
	}
}

func at(a *hclsyntax.Attribute) pin.Location {
	return pin.Location{Path: a.NameRange.Filename, Line: a.NameRange.Start.Line}
}

// gathered is what is found inside one workload.
type gathered struct {
	k      *Keeps
	s      *scope
	u      use
	at     pin.Location
	text   []string
	paths  map[string]string // volume → where it is mounted
	claims map[string]string // volume → claim
}

func (g *gathered) block(body *hclsyntax.Body, s *scope, depth int) {
	if depth > maxDepth {
		return
	}
	for _, b := range s.blocks(body) {
		switch b.kind {
		case "env":
			g.env(b)
		case "volume_mount":
			if v := b.scope.string(b.body, "name"); v != "" {
				g.paths[v] = b.scope.string(b.body, "mount_path")
			}
		case "volume":
			for _, in := range b.scope.blocks(b.body) {
				if in.kind == "persistent_volume_claim" {
					if c := in.scope.string(in.body, "claim_name"); c != "" {
						g.claims[cmp.Or(b.scope.string(b.body, "name"), c)] = c
					}
				}
			}
		case "volume_claim_template":
			if meta := firstBlock(b.body, "metadata"); meta != nil && g.u.workload != "" {
				if v := b.scope.string(meta.Body, "name"); v != "" {
					g.claims[v] = v + "-" + g.u.workload + "-0" // how a StatefulSet names the first replica's
				}
			}
		case "container", "init_container":
			for _, name := range []string{"image", "command", "args"} {
				if attr := b.body.Attributes[name]; attr != nil {
					g.words(b.scope.eval(attr.Expr))
				}
			}
		}
		g.block(b.body, b.scope, depth+1)
	}
}

func (g *gathered) words(v *value) {
	v.each(func(v *value) {
		if s, ok := v.known(); ok {
			g.text = append(g.text, s)
		}
		for _, e := range v.items {
			g.words(e)
		}
	})
}

func (g *gathered) env(b nested) {
	attr := b.body.Attributes["name"]
	if attr == nil {
		return
	}
	if name, ok := b.scope.eval(attr.Expr).known(); ok && settingForm.MatchString(name) {
		g.k.Settings = append(g.k.Settings, Setting{Name: name, Value: b.scope.string(b.body, "value"), At: at(attr)})
	}
}

func (g *gathered) end() {
	for _, volume := range sortedKeys(g.claims) {
		g.k.Claims = append(g.k.Claims, Claim{Namespace: g.u.namespace, Name: g.claims[volume], Path: g.paths[volume], At: g.at})
	}
}

// keepValues notes what a manifest, a chart's values or a foreign module's
// arguments keep.
func (w *walker) keepValues(v *value, u use) {
	if w.keeps == nil || u.outside || u.disabled || v == nil {
		return
	}
	k := w.keeps(u.service)
	where := pin.Location{Path: u.at.Filename, Line: u.at.Start.Line}
	kind := stringOf(v.get("kind"))
	k.values(v, u, where, kind == "Secret", 0)
	if kind == "CronJob" && u.workload != "" {
		g := &gathered{}
		g.deep(v, 0)
		k.CronJobs = append(k.CronJobs, CronJob{Namespace: cmp.Or(u.namespace, "default"), Name: u.workload, Text: strings.Join(g.text, " "), At: where})
	}
}

// deep gathers the images, commands and arguments anywhere below a value.
func (g *gathered) deep(v *value, depth int) {
	if v == nil || depth > maxDepth {
		return
	}
	v.each(func(v *value) {
		for _, e := range v.items {
			g.deep(e, depth+1)
		}
		for _, f := range uniqueFields(v.fields) {
			if f.key == "image" || f.key == "command" || f.key == "args" {
				g.words(f.val)
				continue
			}
			g.deep(f.val, depth+1)
		}
	})
}

// bare is what may be told of a Secret's value: an address without who logs in
// and how.
func bare(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return ""
	}
	return u.Scheme + "://" + u.Hostname() + "/"
}

// values takes settings and claims from anything that is written as values.
func (k *Keeps) values(v *value, u use, where pin.Location, hidden bool, depth int) {
	if v == nil || depth > maxDepth {
		return
	}
	add := func(name string, v *value) {
		s := Setting{Name: name, At: where}
		if s.Value = stringOf(v); hidden {
			s.Value = bare(s.Value)
		}
		k.Settings = append(k.Settings, s)
	}
	v.each(func(v *value) {
		if name := stringOf(v.get("name")); settingForm.MatchString(name) {
			add(name, v.get("value"))
			return
		}
		for _, e := range v.items {
			k.values(e, u, where, hidden, depth+1)
		}
		for _, f := range uniqueFields(v.fields) {
			switch scalar := f.val.kind == kindString || f.val.kind == kindUnknown; {
			case settingForm.MatchString(f.key) && (scalar || f.val.get("valueFrom") != nil || f.val.get("secretKeyRef") != nil):
				add(f.key, f.val)
			case (f.key == "existingClaim" || f.key == "claimName") && stringOf(f.val) != "":
				k.Claims = append(k.Claims, Claim{Namespace: u.namespace, Name: stringOf(f.val), At: where})
			default:
				k.values(f.val, u, where, hidden, depth+1)
			}
		}
	})
}
