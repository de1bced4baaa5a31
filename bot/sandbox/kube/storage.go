package kube

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/belaybot/belay/bot/cluster/api"
)

// The storage classes of StartStorage. Their volumes go with their claims.
const (
	ClassAtOnce = "at-once" // makes a volume when it is asked for
	ClassLate   = "late"    // makes it when a pod wants it
)

// provisioner is the name of the storage driver.
const provisioner = "sandbox.belaybot.github.io"

var (
	storageClasses = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
	snapshots      = schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}
)

// storage plays the parts of a CSI driver: its provisioner and its snapshotter.
// A volume is a directory; a snapshot is a copy of one.
type storage struct {
	client  *api.Client
	dynamic dynamic.Interface
	dir     string
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// StartStorage adds two storage classes and the driver behind them, once. Claims
// are bound by the real controller. It knows volume snapshots where their
// CustomResourceDefinitions are installed.
func (cp *ControlPlane) StartStorage(ctx context.Context) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.storage != nil {
		return nil
	}
	s := &storage{dir: cp.dir}
	var err error
	if s.client, err = api.New(cp.config); err != nil {
		return err
	}
	if s.dynamic, err = dynamic.NewForConfigAndClient(cp.config, s.client.HTTP); err != nil {
		return err
	}
	for name, mode := range map[string]string{ClassAtOnce: "Immediate", ClassLate: "WaitForFirstConsumer"} {
		class := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": name},
			"provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": "Delete"}}
		if _, err := s.dynamic.Resource(storageClasses).Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("storage class %s: %w", name, err)
		}
	}
	running, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.run(running) })
	cp.storage = s
	return nil
}

func (s *storage) close() {
	s.cancel()
	s.done.Wait()
}

// run looks again and again. Whatever fails is tried at the next look.
func (s *storage) run(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.snapshot(ctx)
		s.provision(ctx)
		s.reclaim(ctx)
	}
}

// volume and copyOf are the directories of a volume and of a snapshot.
func (s *storage) volume(name string) string { return volumeDir(s.dir, name) }

func (s *storage) copyOf(uid types.UID) string { return filepath.Join(s.dir, "snapshots", string(uid)) }

func volumeDir(dir, volume string) string { return filepath.Join(dir, "volumes", volume) }

// provision makes a volume for every claim that asks the driver for one.
func (s *storage) provision(ctx context.Context) {
	list, err := s.client.Claims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		claim := &list.Items[i]
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Annotations["volume.kubernetes.io/storage-provisioner"] != provisioner {
			continue
		}
		name := "pvc-" + string(claim.UID)
		if err := s.fill(ctx, claim, s.volume(name)); err != nil {
			s.complain(ctx, claim, err)
			continue
		}
		_, _ = s.client.Volumes().Create(ctx, &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisioner}},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, StorageClassName: *claim.Spec.StorageClassName, VolumeMode: claim.Spec.VolumeMode,
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion},
				PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: provisioner, VolumeHandle: name}},
			},
		}, metav1.CreateOptions{})
	}
}

// fill makes what a new volume has on it: nothing, or what a snapshot has.
func (s *storage) fill(ctx context.Context, claim *corev1.PersistentVolumeClaim, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	source := claim.Spec.DataSource
	if source == nil {
		return os.MkdirAll(dir, 0o700)
	}
	object, err := s.dynamic.Resource(snapshots).Namespace(claim.Namespace).Get(ctx, source.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("error getting handle for DataSource Type VolumeSnapshot by Name %s: %w", source.Name, err)
	}
	if _, err := os.Stat(s.copyOf(object.GetUID())); err != nil {
		return fmt.Errorf("snapshot %s is not ready", source.Name)
	}
	return os.CopyFS(dir, os.DirFS(s.copyOf(object.GetUID())))
}

// complain says why a claim gets no volume, once.
func (s *storage) complain(ctx context.Context, claim *corev1.PersistentVolumeClaim, why error) {
	_, _ = s.client.Events(claim.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Name + "." + string(claim.UID)}, Type: corev1.EventTypeWarning, Reason: "ProvisioningFailed", Message: why.Error(), LastTimestamp: metav1.Now(),
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
	}, metav1.CreateOptions{})
}

// snapshot copies what is asked for.
func (s *storage) snapshot(ctx context.Context) {
	list, err := s.dynamic.Resource(snapshots).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		object := &list.Items[i]
		ready, _, _ := unstructured.NestedBool(object.Object, "status", "readyToUse")
		source, _, _ := unstructured.NestedString(object.Object, "spec", "source", "persistentVolumeClaimName")
		_, broken, _ := unstructured.NestedMap(object.Object, "status", "error")
		if ready || broken || source == "" {
			continue
		}
		claim, err := s.client.Claims(object.GetNamespace()).Get(ctx, source)
		if err != nil || claim.Spec.VolumeName == "" {
			continue
		}
		at := s.copyOf(object.GetUID())
		if _, err := os.Stat(at); err != nil {
			if os.CopyFS(at, os.DirFS(s.volume(claim.Spec.VolumeName))) != nil {
				_ = os.RemoveAll(at)
				continue
			}
		}
		size := claim.Status.Capacity[corev1.ResourceStorage]
		object.Object["status"] = map[string]any{"readyToUse": true, "creationTime": time.Now().UTC().Format(time.RFC3339), "restoreSize": size.String()}
		_, _ = s.dynamic.Resource(snapshots).Namespace(object.GetNamespace()).UpdateStatus(ctx, object, metav1.UpdateOptions{})
	}
}

// reclaim takes away the volumes that were to go with their claims.
func (s *storage) reclaim(ctx context.Context) {
	list, err := s.client.Volumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range list.Items {
		pv := &list.Items[i]
		if pv.Status.Phase == corev1.VolumeReleased && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete && pv.Annotations["pv.kubernetes.io/provisioned-by"] == provisioner {
			_ = os.RemoveAll(s.volume(pv.Name))
			_ = s.client.Volumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
		}
	}
}

// bindClaims has the claims of a pod bound, as the scheduler does, and reports
// whether the pod can run now.
func (k *Kubelet) bindClaims(object *corev1.Pod) bool {
	for _, v := range object.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		for ; ; k.retry(k.ctx) {
			if k.ctx.Err() != nil {
				return false
			}
			if pod, err := k.client.Pods(object.Namespace).Get(k.ctx, object.Name); apierrors.IsNotFound(err) || err == nil && (pod.UID != object.UID || pod.DeletionTimestamp != nil) {
				return false
			}
			claims := k.client.Claims(object.Namespace)
			claim, err := claims.Get(k.ctx, v.PersistentVolumeClaim.ClaimName)
			if err != nil || claim.DeletionTimestamp != nil {
				continue
			}
			if claim.Status.Phase == corev1.ClaimBound {
				break
			}
			const chosen = "volume.kubernetes.io/selected-node"
			if claim.Annotations[chosen] == "" {
				if claim.Annotations == nil {
					claim.Annotations = map[string]string{}
				}
				claim.Annotations[chosen] = NodeName
				_, _ = claims.Update(k.ctx, claim)
			}
		}
	}
	return true
}

// Disk is the directory of a volume of the pod, by its name in spec.volumes; ""
// where the pod has no such volume.
func (c *Container) Disk(ctx context.Context, volume string) string {
	for _, v := range c.pod.object.Spec.Volumes {
		if v.Name != volume || v.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := c.pod.kubelet.client.Claims(c.pod.object.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName)
		if err != nil {
			return ""
		}
		return volumeDir(c.pod.kubelet.dir, claim.Spec.VolumeName)
	}
	return ""
}
