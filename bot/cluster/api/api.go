// Package api speaks of the few groups of Kubernetes' API that belay knows by
// their Go types: core, apps and batch. It is client-go's REST client and a
// scheme with these groups.
//
// It stands in for client-go's Clientset, which links every group, version and
// apply configuration that Kubernetes has: a third of the program, for three of
// sixty. Custom resources go through client-go's dynamic client.
package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// Client has one REST client for each group. They share connections.
type Client struct {
	Core, Apps, Batch rest.Interface
	HTTP              *http.Client // what they share; the dynamic client may too
}

// scheme is made when a cluster is first spoken to: it is of no use to a belay
// that has none, and not small.
var scheme = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // a fault of the libraries' versions
		}
	}
	return s
})

// parameters writes options into a request's query.
var parameters = sync.OnceValue(func() runtime.ParameterCodec { return runtime.NewParameterCodec(scheme()) })

// New makes the clients, which share the limit of requests too where the
// configuration sets one. It does not talk to the cluster.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	if config.UserAgent == "" {
		config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, max(config.Burst, 1))
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme()).WithoutConversion()
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c := &Client{HTTP: shared}
	for _, each := range []struct {
		to    *rest.Interface
		path  string
		group schema.GroupVersion
	}{{&c.Core, "/api", corev1.SchemeGroupVersion}, {&c.Apps, "/apis", appsv1.SchemeGroupVersion}, {&c.Batch, "/apis", batchv1.SchemeGroupVersion}} {
		config.APIPath, config.GroupVersion = each.path, &each.group
		if *each.to, err = rest.RESTClientForConfigAndClient(config, shared); err != nil {
			return nil, fmt.Errorf("client for %s: %w", each.group, err)
		}
	}
	return c, nil
}

// Live asks whether the API server answers at all.
func (c *Client) Live(ctx context.Context) error {
	return c.Core.Get().AbsPath("/livez").Do(ctx).Error()
}

// Logs asks for the log of a container; the request is still to be made.
func (c *Client) Logs(namespace, pod string, opts *corev1.PodLogOptions) *rest.Request {
	return c.Core.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").VersionedParams(opts, parameters())
}

// Pods are those of a namespace; "" is all of them, here and below.
func (c *Client) Pods(namespace string) Collection[*corev1.Pod, *corev1.PodList] {
	return Of[corev1.Pod, corev1.PodList](c.Core, "pods", namespace)
}

// Events are what happened there.
func (c *Client) Events(namespace string) Collection[*corev1.Event, *corev1.EventList] {
	return Of[corev1.Event, corev1.EventList](c.Core, "events", namespace)
}

// Claims are PersistentVolumeClaims.
func (c *Client) Claims(namespace string) Collection[*corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaimList] {
	return Of[corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](c.Core, "persistentvolumeclaims", namespace)
}

// Volumes are PersistentVolumes, which are in no namespace.
func (c *Client) Volumes() Collection[*corev1.PersistentVolume, *corev1.PersistentVolumeList] {
	return Of[corev1.PersistentVolume, corev1.PersistentVolumeList](c.Core, "persistentvolumes", "")
}

// Deployments are those of a namespace.
func (c *Client) Deployments(namespace string) Collection[*appsv1.Deployment, *appsv1.DeploymentList] {
	return Of[appsv1.Deployment, appsv1.DeploymentList](c.Apps, "deployments", namespace)
}

// StatefulSets are those of a namespace.
func (c *Client) StatefulSets(namespace string) Collection[*appsv1.StatefulSet, *appsv1.StatefulSetList] {
	return Of[appsv1.StatefulSet, appsv1.StatefulSetList](c.Apps, "statefulsets", namespace)
}

// DaemonSets are those of a namespace.
func (c *Client) DaemonSets(namespace string) Collection[*appsv1.DaemonSet, *appsv1.DaemonSetList] {
	return Of[appsv1.DaemonSet, appsv1.DaemonSetList](c.Apps, "daemonsets", namespace)
}

// CronJobs are those of a namespace.
func (c *Client) CronJobs(namespace string) Collection[*batchv1.CronJob, *batchv1.CronJobList] {
	return Of[batchv1.CronJob, batchv1.CronJobList](c.Batch, "cronjobs", namespace)
}

// Jobs are those of a namespace.
func (c *Client) Jobs(namespace string) Collection[*batchv1.Job, *batchv1.JobList] {
	return Of[batchv1.Job, batchv1.JobList](c.Batch, "jobs", namespace)
}
