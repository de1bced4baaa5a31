package deploy_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

var format = flag.Bool("update", false, "format the Terraform module")

func TestMain(m *testing.M) { os.Exit(kube.Main(m)) }

// kustomize is kubectl kustomize, as a Go tool.
func kustomize(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", dir)
	cmd.Dir = ".."
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", dir, err, problems.String())
	}
	var objects []*unstructured.Unstructured
	for dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := dec.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", dir, err)
		case object.Object != nil:
			objects = append(objects, object)
		}
	}
}

// TestKustomizeApplies builds what deploy/ and the example with PostgreSQL make,
// has a real API server take every object, and every pod in a namespace that
// lets in what keeps the restricted Pod Security Standard alone.
func TestKustomizeApplies(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	plane := kube.ForTest(t)
	config := plane.Config()
	admin := kubernetes.NewForConfigOrDie(config)
	client := dynamic.NewForConfigOrDie(config)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config)))
	for _, dir := range []string{"deploy", "docs/examples/postgres"} {
		t.Run(dir, func(t *testing.T) {
			var kinds []string
			for _, object := range kustomize(t, dir) {
				mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
				if err != nil {
					t.Fatal(err)
				}
				var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
				if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
					resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
					if object.GetNamespace() != "belay" {
						t.Errorf("%s %s is in the namespace %q", object.GetKind(), object.GetName(), object.GetNamespace())
					}
				}
				if object.GetKind() == "ClusterRoleBinding" && object.GetName() == "belay-volumes" {
					t.Error("belay may change volumes without being asked to put snapshots back")
				}
				options := metav1.ApplyOptions{FieldManager: "test", Force: true}
				if object.GetKind() != "Namespace" { // which has to be there for the others
					options.DryRun = []string{metav1.DryRunAll}
				}
				if _, err := resource.Apply(t.Context(), object.GetName(), object, options); err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
				kinds = append(kinds, object.GetKind())
				if object.GetKind() == "StatefulSet" {
					restricted(t, admin, config, object)
				}
			}
			for _, want := range []string{"Namespace", "ServiceAccount", "StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy", "ClusterRole", "ClusterRoleBinding", "Role", "Secret"} {
				if !slices.Contains(kinds, want) {
					t.Errorf("no %s is made", want)
				}
			}
		})
	}
}

// restricted makes the StatefulSet's pod as its controller would.
func restricted(t *testing.T, admin kubernetes.Interface, _ *rest.Config, object *unstructured.Unstructured) {
	t.Helper()
	namespace, err := admin.CoreV1().Namespaces().Get(t.Context(), "belay", metav1.GetOptions{})
	if err != nil || namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("the namespace does not enforce the restricted standard: %v %v", namespace.Labels, err)
	}
	var set appsv1.StatefulSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &set); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "belay-0", Labels: set.Spec.Template.Labels}, Spec: set.Spec.Template.Spec}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-belay-0"}}})
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := admin.CoreV1().Pods("belay").Create(t.Context(), pod, dry); err != nil {
		t.Errorf("the pod is not let in: %v", err)
	}
	// The gate is there: it does not let in what breaks the standard.
	loose := pod.DeepCopy()
	loose.Spec.Containers[0].SecurityContext.Capabilities = nil
	if _, err := admin.CoreV1().Pods("belay").Create(t.Context(), loose, dry); !apierrors.IsForbidden(err) {
		t.Errorf("a pod with capabilities is let in: %v", err)
	}
	if no := set.Spec.Template.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; no == nil || !*no {
		t.Error("the root file system can be written")
	}
}

// TestTerraformModule parses the module: what it refers to is declared, what
// is declared is used and described, its pods are let in, every Terraform that it
// is for can evaluate it, and a second plan changes nothing.
func TestTerraformModule(t *testing.T) {
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v %v", files, err)
	}
	declared, used := map[string]bool{}, map[string]bool{}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if want := hclwrite.Format(src); !bytes.Equal(src, want) { // what terraform fmt does
			t.Errorf("%s is not formatted", name)
			if *format {
				if err := os.WriteFile(name, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		f, diags := hclparse.NewParser().ParseHCL(src, name)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, b := range f.Body.(*hclsyntax.Body).Blocks {
			if b.Type == "variable" {
				declared[b.Labels[0]] = true
				if b.Body.Attributes["description"] == nil || b.Body.Attributes["type"] == nil {
					t.Errorf("variable %s has no description or type", b.Labels[0])
				}
			}
			if b.Type == "resource" {
				declared[b.Labels[0]+"."+b.Labels[1]] = true
			}
		}
		if name == "terraform/main.tf" {
			settled(t, f.Body.(*hclsyntax.Body))
		}
		for _, guard := range guards(f.Body.(*hclsyntax.Body)) {
			t.Errorf("%s: the if of this for-expression guards an attribute with && or ||, both sides of which are looked at before Terraform 1.12: filter in two steps", guard)
		}
		_ = hclsyntax.VisitAll(f.Body.(*hclsyntax.Body), func(n hclsyntax.Node) hcl.Diagnostics {
			if x, ok := n.(*hclsyntax.ScopeTraversalExpr); ok && len(x.Traversal) > 1 {
				if attr, ok := x.Traversal[1].(hcl.TraverseAttr); ok {
					switch root := x.Traversal.RootName(); {
					case root == "var":
						used[attr.Name] = true
					case strings.HasPrefix(root, "kubernetes_"):
						used[root+"."+attr.Name] = true
					}
				}
			}
			return nil
		})
	}
	for name := range used {
		if !declared[name] {
			t.Errorf("%s is used and not declared", name)
		}
	}
	readme, err := os.ReadFile("terraform/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range declared {
		if strings.Contains(name, ".") {
			continue
		}
		if !used[name] {
			t.Errorf("variable %s is not used", name)
		}
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("variable %s is not in the README", name)
		}
	}
}

// settled holds what the pods of the module are not let in without, and what
// keeps a second plan from finding something to change: the provider writes its
// own default where the StatefulSet says nothing.
func settled(t *testing.T, main *hclsyntax.Body) {
	t.Helper()
	for _, b := range main.Blocks {
		if b.Type != "resource" || b.Labels[0] != "kubernetes_stateful_set_v1" {
			continue
		}
		for _, want := range []struct{ path, attribute, is string }{
			{"spec", "revision_history_limit", "10"},
			{"spec template spec security_context", "run_as_non_root", "true"},
			{"spec template spec container security_context", "run_as_non_root", "true"},
			{"lifecycle", "ignore_changes", "spec.volume_claim_template"},
		} {
			if got := attribute(b.Body, strings.Fields(want.path), want.attribute); got != want.is {
				t.Errorf("the StatefulSet's %s of %s is %q, and has to be %q", want.attribute, want.path, got, want.is)
			}
		}
		return
	}
	t.Error("there is no StatefulSet")
}

// attribute is what a block below a body says, "" where it says nothing: a value,
// or the names of a list of references, such as "spec.volume_claim_template".
func attribute(body *hclsyntax.Body, path []string, name string) string {
	for _, step := range path {
		i := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == step })
		if i < 0 {
			return ""
		}
		body = body.Blocks[i].Body
	}
	a := body.Attributes[name]
	if a == nil {
		return ""
	}
	if list, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok {
		var names []string
		for _, e := range list.Exprs {
			for _, step := range e.Variables()[0] {
				switch step := step.(type) {
				case hcl.TraverseRoot:
					names = append(names, step.Name)
				case hcl.TraverseAttr:
					names = append(names, step.Name)
				}
			}
		}
		return strings.Join(names, ".")
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return diags.Error()
	}
	if v, err := convert.Convert(v, cty.String); err == nil {
		return v.AsString()
	}
	return v.GoString()
}

// guards are the places of for-expressions whose `if` has an attribute of what it
// filters on the right of && or ||, as in `if d.kind == "x" && d.ref.name != "y"`.
func guards(body *hclsyntax.Body) []string {
	var out []string
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		loop, ok := n.(*hclsyntax.ForExpr)
		if !ok || loop.CondExpr == nil {
			return nil
		}
		_ = hclsyntax.VisitAll(loop.CondExpr, func(n hclsyntax.Node) hcl.Diagnostics {
			both, ok := n.(*hclsyntax.BinaryOpExpr)
			if !ok || both.Op != hclsyntax.OpLogicalAnd && both.Op != hclsyntax.OpLogicalOr {
				return nil
			}
			for _, use := range both.RHS.Variables() {
				if root := use.RootName(); (root == loop.ValVar || root == loop.KeyVar) && len(use) > 1 {
					out = append(out, loop.SrcRange.String())
				}
			}
			return nil
		})
		return nil
	})
	return out
}

// TestGuards finds the for-expression that no Terraform before 1.12 evaluates.
func TestGuards(t *testing.T) {
	for expression, want := range map[string]int{
		`[for d in local.all : d.ref.name if d.kind == "Binding"]`:                                    0,
		`[for n in local.names : n if var.wide || n != "narrow"]`:                                     0,
		`[for d in local.all : d.ref.name if d.kind == "Binding" && d.ref.name != "x"]`:               1,
		`[for d in local.all : d.ref.name if d.kind == "Binding" && (var.wide || d.ref.name != "x")]`: 2,
		`{ for k, d in local.all : k => d if d == null || d.on }`:                                     1,
	} {
		f, diags := hclparse.NewParser().ParseHCL([]byte("a = "+expression+"\n"), "a.tf")
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if got := guards(f.Body.(*hclsyntax.Body)); len(got) != want {
			t.Errorf("%s: %v, and %d should be found", expression, got, want)
		}
	}
}

// from matches what a stage of the Dockerfile is made from.
var from = regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)(?: AS (\S+))?$`)

// TestDockerfile checks what can be checked without a daemon: its last stage
// is empty, runs as nobody, and has what was built.
func TestDockerfile(t *testing.T) {
	src, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := from.FindAllStringSubmatchIndex(string(src), -1)
	if len(stages) != 2 {
		t.Fatalf("%d stages", len(stages))
	}
	build, last := string(src[stages[0][0]:stages[1][0]]), string(src[stages[1][0]:])
	for _, want := range []string{" golang:1.26-", " AS build\n", "CGO_ENABLED=0", "-trimpath", `-ldflags "-s -w -buildid="`, "-o /out/belay ./cmd/belay"} {
		if !strings.Contains(build, want) {
			t.Errorf("the first stage lacks %q", want)
		}
	}
	for _, want := range []string{"FROM scratch\n", "COPY --from=build /out/belay /usr/bin/belay\n", "/etc/ssl/certs/ca-certificates.crt", "USER 65532:65532\n", `ENTRYPOINT ["/usr/bin/belay"]`} {
		if !strings.Contains(last, want) {
			t.Errorf("the last stage lacks %q", want)
		}
	}
	if strings.Contains(last, "RUN ") || strings.Contains(last, "ADD ") {
		t.Error("the last stage runs or fetches something: it has no shell")
	}
}
