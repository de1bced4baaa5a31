package journey_test

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

// object is a workload: as a stack describes it, its image in Terraform's words
// ("acme/web:${var.tag}"), or as CI reads it there.
type object = kube.Workload

// stack writes the Terraform of a service: what stands before, and its workloads.
func stack(before string, objects ...object) string {
	var b strings.Builder
	b.WriteString(before)
	for _, o := range objects {
		b.WriteString("\n" + terraform(o))
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// ingress writes how a service is reached.
func ingress(namespace, host string) string {
	return fmt.Sprintf("resource \"kubernetes_ingress_v1\" %[1]q {\n  metadata {\n    name      = %[1]q\n    namespace = %[1]q\n  }\n  spec {\n    rule {\n      host = %[2]q\n    }\n  }\n}\n", namespace, host)
}

func terraform(o object) string {
	container := fmt.Sprintf("container {\n  name  = %q\n  image = %q # pinned\n", o.Name, o.Image)
	if o.Memory != "" {
		container += fmt.Sprintf("  resources {\n    limits = {\n      memory = %q\n    }\n  }\n", o.Memory)
	}
	container += "}\n"
	if o.Claim != "" {
		container += fmt.Sprintf("volume {\n  name = \"data\"\n  persistent_volume_claim {\n    claim_name = %q\n  }\n}\n", o.Claim)
	}
	body := "template {\n  spec {\n" + indent(container, 4) + "  }\n}\n"
	switch {
	case o.Kind == "cron_job_v1":
		body = "schedule = \"0 3 * * *\"\njob_template {\n  spec {\n" + indent(body, 4) + "  }\n}\n"
	case o.Recreate:
		body = "strategy {\n  type = \"Recreate\"\n}\n" + body
	}
	text := fmt.Sprintf("metadata {\n  name      = %q\n  namespace = %q\n}\nspec {\n%s}\n", o.Name, o.Namespace, indent(body, 2))
	if o.Ignored {
		text += "lifecycle {\n  ignore_changes = [spec[0].template[0].spec[0].container[0].image]\n}\n"
	}
	return fmt.Sprintf("resource \"kubernetes_%s\" %q {\n%s}\n", o.Kind, strings.ReplaceAll(o.Name, "-", "_"), indent(text, 2))
}

func indent(text string, by int) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", by) + line
		}
	}
	return strings.Join(lines, "")
}

// readStack reads the workloads of a stack as an apply would, from its text
// alone: belay's own reading has no part in it. outputs are those of the modules
// that it calls, by the module's name.
func readStack(text string, outputs map[string]cty.Value) ([]object, error) {
	file, diags := hclsyntax.ParseConfig([]byte(text), "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	root := file.Body.(*hclsyntax.Body)
	known := map[string]map[string]cty.Value{"var": {}, "local": {}, "module": outputs}
	context := func() *hcl.EvalContext {
		c := &hcl.EvalContext{Variables: map[string]cty.Value{}}
		for name, values := range known {
			c.Variables[name] = cty.ObjectVal(values)
		}
		return c
	}
	for _, b := range root.Blocks {
		switch b.Type {
		case "variable":
			known["var"][b.Labels[0]] = cty.StringVal(str(b.Body, "default", context()))
		case "locals":
			for name := range b.Body.Attributes {
				known["local"][name] = cty.StringVal(str(b.Body, name, context()))
			}
		}
	}
	var out []object
	for _, b := range root.Blocks {
		if b.Type != "resource" || block(b.Body, "spec") == nil || b.Labels[0] == "kubernetes_ingress_v1" {
			continue
		}
		o := object{Kind: strings.TrimPrefix(b.Labels[0], "kubernetes_"), Ignored: block(b.Body, "lifecycle") != nil}
		o.Name, o.Namespace = str(block(b.Body, "metadata"), "name", context()), str(block(b.Body, "metadata"), "namespace", context())
		spec := block(b.Body, "spec")
		o.Recreate = block(spec, "strategy") != nil
		if job := block(spec, "job_template", "spec"); job != nil {
			spec = job
		}
		container := block(spec, "template", "spec", "container")
		o.Image = str(container, "image", context())
		if resources := block(container, "resources"); resources != nil {
			limits, _ := resources.Attributes["limits"].Expr.Value(context())
			o.Memory = limits.GetAttr("memory").AsString()
		}
		if claim := block(spec, "template", "spec", "volume", "persistent_volume_claim"); claim != nil {
			o.Claim = str(claim, "claim_name", context())
		}
		out = append(out, o)
	}
	return out, nil
}

// readOutputs reads the outputs of a module.
func readOutputs(text string) (cty.Value, error) {
	file, diags := hclsyntax.ParseConfig([]byte(text), "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	values := map[string]cty.Value{}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		if b.Type == "output" {
			values[b.Labels[0]] = cty.StringVal(str(b.Body, "value", nil))
		}
	}
	return cty.ObjectVal(values), nil
}

// block finds a block by its path, nil when it is not there.
func block(body *hclsyntax.Body, path ...string) *hclsyntax.Body {
	for _, name := range path {
		if body == nil {
			return nil
		}
		var next *hclsyntax.Body
		for _, b := range body.Blocks {
			if b.Type == name && next == nil {
				next = b.Body
			}
		}
		body = next
	}
	return body
}

func str(body *hclsyntax.Body, name string, c *hcl.EvalContext) string {
	v, diags := body.Attributes[name].Expr.Value(c)
	if diags.HasErrors() {
		return ""
	}
	return v.AsString()
}
