package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/belaybot/belay/bot/cluster/api"
)

// NodeName is the one node.
const NodeName = "sandbox"

// Kubelet is the node: it takes every pod that has none, plays the script of
// each container's image and serves the logs to the API server.
type Kubelet struct {
	client *api.Client
	log    *slog.Logger
	speed  float64
	dir    string // of the control plane, in which volumes are
	ctx    context.Context
	cancel context.CancelFunc
	server *http.Server
	work   sync.WaitGroup

	mu      sync.Mutex
	scripts map[string]Script
	pods    map[types.UID]*pod
	gone    map[types.UID]bool // already being taken away
}

// startKubelet registers the node and starts to take pods.
func startKubelet(ctx context.Context, cp *ControlPlane) (*Kubelet, error) {
	client, err := api.New(cp.config)
	if err != nil {
		return nil, err
	}
	k := &Kubelet{
		client: client, log: cp.opts.Log, speed: cp.opts.Speed, dir: cp.dir,
		scripts: map[string]Script{}, pods: map[types.UID]*pod{}, gone: map[types.UID]bool{},
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	port, err := k.serve(cp.certs)
	if err != nil {
		k.cancel()
		return nil, err
	}
	if err := k.register(ctx, port); err != nil {
		k.close()
		return nil, fmt.Errorf("register the node: %w", err)
	}
	everywhere := client.Pods("")
	pods := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return everywhere.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return everywhere.Watch(ctx, o)
		},
	}, everywhere), &corev1.Pod{}, 0, cache.Indexers{})
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { k.sync(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { k.sync(object.(*corev1.Pod)) },
		DeleteFunc: k.forget,
	})
	if err != nil {
		k.close()
		return nil, err
	}
	k.work.Go(func() { pods.RunWithContext(k.ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		k.close()
		return nil, fmt.Errorf("the kubelet sees no pods: %w", ctx.Err())
	}
	return k, nil
}

// Play sets the script of containers whose image is exactly this, or, where no
// script has the whole reference, this without its tag. It counts for containers
// that are started after it. Without a script, containers of Jobs succeed at
// once and all others are ready at once.
func (k *Kubelet) Play(image string, script Script) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.scripts[image] = script
}

func (k *Kubelet) script(object *corev1.Pod, image string) Script {
	k.mu.Lock()
	defer k.mu.Unlock()
	if script, ok := k.scripts[image]; ok {
		return script
	}
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}
	if script, ok := k.scripts[name]; ok {
		return script
	}
	if object.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		return Succeeds(0)
	}
	return ReadyAfter(0)
}

// sync does what the pod asks for: a node, its scripts, or its end. It must not
// block: the informer waits for it.
func (k *Kubelet) sync(object *corev1.Pod) {
	k.mu.Lock()
	known, gone := k.pods[object.UID], k.gone[object.UID]
	k.mu.Unlock()
	switch {
	case gone:
	case object.DeletionTimestamp != nil && known != nil:
		k.mu.Lock()
		k.gone[object.UID] = true
		k.mu.Unlock()
		k.work.Go(known.end)
	case object.DeletionTimestamp != nil:
		if object.Spec.NodeName != "" {
			k.work.Go(func() { _ = k.remove(object) })
		}
	case object.Spec.NodeName == "":
		k.work.Go(func() { k.bind(object) })
	case object.Spec.NodeName == NodeName && known == nil && object.Status.Phase == corev1.PodPending:
		taken := k.take(object)
		k.mu.Lock()
		k.pods[object.UID] = taken
		k.mu.Unlock()
		taken.play()
	}
}

// forget stops what still runs of a pod that is gone.
func (k *Kubelet) forget(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	gone, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if taken := k.pods[gone.UID]; taken != nil {
		taken.stop()
	}
	delete(k.pods, gone.UID)
	delete(k.gone, gone.UID)
}

// bind is the whole scheduler: there is one node and it takes everything.
func (k *Kubelet) bind(object *corev1.Pod) {
	if !k.bindClaims(object) {
		return
	}
	for k.ctx.Err() == nil {
		err := k.client.Core.Post().Namespace(object.Namespace).Resource("pods").Name(object.Name).SubResource("binding").Body(&corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: object.Name, UID: object.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: NodeName},
		}).Do(k.ctx).Error()
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		k.retry(k.ctx)
	}
}

// remove takes away a deleted pod of which nothing runs.
func (k *Kubelet) remove(object *corev1.Pod) error {
	return k.client.Pods(object.Namespace).Delete(k.ctx, object.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(object.UID)),
	})
}

// retry waits a moment before the API server is asked again.
func (k *Kubelet) retry(ctx context.Context) {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// register adds the node, Ready and with room for everything.
func (k *Kubelet) register(ctx context.Context, port int) error {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("4Ti"), corev1.ResourcePods: resource.MustParse("10000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: NodeName, Labels: map[string]string{corev1.LabelHostname: NodeName, corev1.LabelOSStable: "linux"}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: NodeName}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.Now(), LastHeartbeatTime: metav1.Now()}},
			NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: Version, OperatingSystem: "linux"},
		},
	}
	nodes := api.Of[corev1.Node, corev1.NodeList](k.client.Core, "nodes", "")
	created, err := nodes.Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	created.Status, created.Spec.Taints = node.Status, nil
	if created, err = nodes.Update(ctx, created, "status"); err != nil {
		return err
	}
	// New nodes are born with a taint that the node controller takes away.
	created.Spec.Taints = nil
	_, err = nodes.Update(ctx, created)
	return err
}

func (k *Kubelet) close() {
	k.cancel()
	if k.server != nil {
		_ = k.server.Close()
	}
	k.work.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, taken := range k.pods {
		<-taken.done
	}
}
