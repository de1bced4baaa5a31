package cluster

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// allowed tries out the two steps that cannot be taken back alone: a claim that
// is gone and may not be made again would be the worst of all ends. The API server
// looks at rights and admission first, then finds that the claim is there.
func (v *volume) allowed(ctx context.Context) error {
	dry, anew := []string{metav1.DryRunAll}, v.anew()
	_, err := v.api.Claims(v.namespace).Create(ctx, anew, metav1.CreateOptions{FieldManager: manager, DryRun: dry})
	over := overQuota(err)
	if err != nil && !apierrors.IsAlreadyExists(err) && !over.fitsWithout(v.claim) {
		return attempt{"create", "", "persistentvolumeclaims", v.namespace, v.name}.check(err)
	}
	err = v.api.Claims(v.namespace).Delete(ctx, v.name, metav1.DeleteOptions{DryRun: dry})
	return attempt{"delete", "", "persistentvolumeclaims", v.namespace, v.name}.check(err)
}

// quotaWord is how a ResourceQuota's refusal begins, and "" for every other
// error: a missing right, a policy or a webhook say no with the same status, and
// any name may have "quota" in it.
//
//	persistentvolumeclaims "data" is forbidden: exceeded quota: small, requested: …
//	persistentvolumeclaims "data" is forbidden: status unknown for quota: small, resources: …
//	persistentvolumeclaims "data" is forbidden: failed quota: small: must specify …
func quotaWord(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return ""
	}
	_, reason, _ := strings.Cut(status.Status().Message, " is forbidden: ")
	for _, word := range []string{quotaExceeded, quotaUnknown, quotaFailed} {
		if strings.HasPrefix(strings.ToLower(reason), word) {
			return word
		}
	}
	return ""
}

const (
	quotaExceeded = "exceeded quota"           // there is no room
	quotaUnknown  = "status unknown for quota" // it is new, and has not been counted yet
	quotaFailed   = "failed quota"             // it wants something said that is not
)

// excess is what a quota says of a request that it has no room for, of each
// resource that is short: "requests.storage".
type excess struct {
	requested, used, limited map[string]resource.Quantity
}

// overQuota reads a quota's refusal; nil where the error is none, or cannot be
// read.
//
//	exceeded quota: small, requested: persistentvolumeclaims=1,requests.storage=2Gi, used: persistentvolumeclaims=1,requests.storage=1Gi, limited: persistentvolumeclaims=1,requests.storage=2Gi
func overQuota(err error) *excess {
	if quotaWord(err) != quotaExceeded {
		return nil
	}
	_, text, ok := strings.Cut(err.Error(), ", requested: ")
	requested, text, ok2 := strings.Cut(text, ", used: ")
	used, limited, ok3 := strings.Cut(text, ", limited: ")
	if !ok || !ok2 || !ok3 {
		return nil
	}
	var out excess
	for into, list := range map[*map[string]resource.Quantity]string{&out.requested: requested, &out.used: used, &out.limited: limited} {
		*into = map[string]resource.Quantity{}
		for _, item := range strings.Split(list, ",") {
			name, number, _ := strings.Cut(strings.TrimSpace(item), "=")
			quantity, err := resource.ParseQuantity(number)
			if err != nil {
				return nil
			}
			(*into)[name] = quantity
		}
	}
	return &out
}

// fitsWithout reports whether there is room when the old claim is not counted
// any more.
func (e *excess) fitsWithout(old *corev1.PersistentVolumeClaim) bool {
	if e == nil {
		return false
	}
	for name, sum := range e.requested {
		used, ok := e.used[name]
		limit, ok2 := e.limited[name]
		if !ok || !ok2 {
			return false
		}
		sum.Add(used)
		switch { // "fast.storageclass.storage.k8s.io/requests.storage" too
		case strings.HasSuffix(name, string(corev1.ResourceRequestsStorage)):
			sum.Sub(old.Spec.Resources.Requests[corev1.ResourceStorage])
		case strings.HasSuffix(name, string(corev1.ResourcePersistentVolumeClaims)):
			sum.Sub(resource.MustParse("1"))
		}
		if sum.Cmp(limit) > 0 {
			return false
		}
	}
	return true
}
