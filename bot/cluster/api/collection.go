package api

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// Collection is one kind of object in one namespace; namespace "" is all of
// them, or none where the objects are in none. Errors are those of client-go.
type Collection[T metav1.Object, L runtime.Object] struct {
	Resource  string // "pods"
	Namespace string

	client rest.Interface
	one    func() T
	list   func() L
	body   func(T) runtime.Object
}

// Of is a collection of Ts, which are listed as Ls.
func Of[T, L any, PT interface {
	*T
	metav1.Object
	runtime.Object
}, PL interface {
	*L
	runtime.Object
}](client rest.Interface, resource, namespace string) Collection[PT, PL] {
	return Collection[PT, PL]{Resource: resource, Namespace: namespace, client: client,
		one: func() PT { return new(T) }, list: func() PL { return new(L) }, body: func(o PT) runtime.Object { return o }}
}

// New is an empty object of the kind.
func (c Collection[T, L]) New() runtime.Object { return c.body(c.one()) }

// at begins a request about the collection.
func (c Collection[T, L]) at(r *rest.Request) *rest.Request {
	return r.NamespaceIfScoped(c.Namespace, c.Namespace != "").Resource(c.Resource)
}

// into makes the request and reads its answer.
func (c Collection[T, L]) into(ctx context.Context, r *rest.Request) (T, error) {
	out := c.one()
	err := r.Do(ctx).Into(c.body(out))
	return out, err
}

// Get reads one object.
func (c Collection[T, L]) Get(ctx context.Context, name string) (T, error) {
	return c.into(ctx, c.at(c.client.Get()).Name(name))
}

// List reads those that the options ask for.
func (c Collection[T, L]) List(ctx context.Context, opts metav1.ListOptions) (L, error) {
	out := c.list()
	err := c.at(c.client.Get()).VersionedParams(&opts, parameters()).Timeout(patience(opts)).Do(ctx).Into(out)
	return out, err
}

// Watch is told of what changes.
func (c Collection[T, L]) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	return c.at(c.client.Get()).VersionedParams(&opts, parameters()).Timeout(patience(opts)).Watch(ctx)
}

// patience is how long the server may take for what the options ask.
func patience(opts metav1.ListOptions) time.Duration {
	if opts.TimeoutSeconds == nil {
		return 0
	}
	return time.Duration(*opts.TimeoutSeconds) * time.Second
}

// Create makes an object.
func (c Collection[T, L]) Create(ctx context.Context, object T, opts metav1.CreateOptions) (T, error) {
	return c.into(ctx, c.at(c.client.Post()).VersionedParams(&opts, parameters()).Body(c.body(object)))
}

// Update replaces an object, or a subresource such as "status", if nobody has
// changed it since it was read.
func (c Collection[T, L]) Update(ctx context.Context, object T, subresources ...string) (T, error) {
	return c.into(ctx, c.at(c.client.Put()).Name(object.GetName()).SubResource(subresources...).Body(c.body(object)))
}

// Merge changes an object by a JSON merge patch. With metadata.resourceVersion
// in it, it is refused where somebody has changed the object meanwhile.
func (c Collection[T, L]) Merge(ctx context.Context, name string, patch []byte, opts metav1.PatchOptions) (T, error) {
	return c.into(ctx, c.at(c.client.Patch(types.MergePatchType)).Name(name).VersionedParams(&opts, parameters()).Body(patch))
}

// Delete has an object taken away.
func (c Collection[T, L]) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return c.at(c.client.Delete()).Name(name).Body(&opts).Do(ctx).Error()
}
