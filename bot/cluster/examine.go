package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belaybot/belay/rules/policy"
)

// Right is one verb on one resource.
type Right struct {
	Role                  string // that gives it, in deploy/rbac.yaml
	Group, Resource, Verb string
}

// String reads as "get jobs.batch".
func (r Right) String() string {
	return strings.TrimSuffix(r.Verb+" "+r.Resource+"."+r.Group, ".")
}

// Rights are those of the ClusterRoles in a file of manifests. wide tells which
// of the roles are bound for the whole cluster there.
func Rights(manifests []byte) (rights []Right, wide map[string]bool, err error) {
	wide = map[string]bool{}
	dec := yaml.NewDecoder(bytes.NewReader(manifests))
	for {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Rules    []struct {
				APIGroups        []string `yaml:"apiGroups"`
				Resources, Verbs []string
			}
			RoleRef struct{ Name string } `yaml:"roleRef"`
		}
		if err := dec.Decode(&object); errors.Is(err, io.EOF) {
			return rights, wide, nil
		} else if err != nil {
			return nil, nil, fmt.Errorf("the roles: %w", err)
		}
		if object.Kind == "ClusterRoleBinding" {
			wide[object.RoleRef.Name] = true
		}
		if object.Kind != "ClusterRole" {
			continue
		}
		for _, rule := range object.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						rights = append(rights, Right{object.Metadata.Name, group, resource, verb})
					}
				}
			}
		}
	}
}

// Missing are those of the rights that belay does not have in a namespace; ""
// asks for all namespaces. Everybody who has logged in may ask for himself.
func (c *Cluster) Missing(ctx context.Context, namespace string, rights []Right) ([]Right, error) {
	missing := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, r := range rights {
		group.Go(func() error {
			resource, sub, _ := strings.Cut(r.Resource, "/")
			review, err := c.dynamic.Resource(accessReviews).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": map[string]any{
					"namespace": namespace, "verb": r.Verb, "group": r.Group, "resource": resource, "subresource": sub}}}}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("asking the cluster for belay's rights: %w", err)
			}
			allowed, _, err := unstructured.NestedBool(review.Object, "status", "allowed")
			missing[i] = !allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []Right
	for i, r := range rights {
		if missing[i] {
			out = append(out, r)
		}
	}
	return out, nil
}

// Version is the cluster's: "v1.36.3".
func (c *Cluster) Version(ctx context.Context) (string, error) {
	var info struct{ GitVersion string }
	if err := c.ask(ctx, "/version", &info); err != nil {
		return "", err
	}
	// Everybody may ask for the version; whether the credentials are taken is asked too.
	return info.GitVersion, c.ask(ctx, "/apis", &struct{}{})
}

// ask reads what is at a path of the API server.
func (c *Cluster) ask(ctx context.Context, path string, into any) error {
	data, err := c.api.Core.Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// Exists says whether what a backup is taken from is there: its CronJob, the
// API for snapshots, Velero's Schedule. An error says what is to be done.
func (c *Cluster) Exists(ctx context.Context, kind policy.BackupKind, target string) error {
	namespace, name, err := split(target)
	if err != nil {
		return err
	}
	switch kind {
	case policy.BackupCronJob:
		_, err := c.api.CronJobs(namespace).Get(ctx, name)
		if apierrors.IsNotFound(err) {
			return refuse("CronJob %s does not exist: create it, or correct its name in belay.yml", target)
		}
		return attempt{"get", "batch", "cronjobs", namespace, name}.check(err)
	case policy.BackupVelero:
		_, err := c.dynamic.Resource(veleroSchedules).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && !noSuchAPI(err) {
			return refuse("Velero's Schedule %s does not exist: create it, or correct its name in belay.yml", target)
		}
		return attempt{"get", veleroSchedules.Group, veleroSchedules.Resource, namespace, name}.check(err)
	case policy.BackupVolumeSnapshot:
		return c.snapshots(ctx)
	case policy.BackupJob, policy.BackupNone:
	}
	return nil
}

// snapshots says whether the cluster knows volume snapshots. Which classes it
// has is not for belay to see.
func (c *Cluster) snapshots(ctx context.Context) error {
	var known struct{ Groups []struct{ Name string } }
	if err := c.ask(ctx, "/apis", &known); err != nil {
		return fmt.Errorf("asking the cluster which APIs it has: %w", err)
	}
	for _, g := range known.Groups {
		if g.Name == snapshotGroup {
			return nil
		}
	}
	return refuse("the cluster does not know volume snapshots: install the CSI snapshot controller with its CustomResourceDefinitions and a VolumeSnapshotClass, or choose another kind of backup")
}

// snapshotGroup is the API group of volume snapshots.
const snapshotGroup = "snapshot.storage.k8s.io"

// accessReviews are how anybody asks for his own rights.
var accessReviews = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
