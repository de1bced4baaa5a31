package cluster

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// says is an answer with the status 403.
func says(name, why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, name, errors.New(why))
}

func claimOf(size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}}}
}

func TestQuotaRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		err  error
		word string
		fits bool // once a claim of 1Gi is not counted any more
	}{
		{"no error", nil, "", false},
		{"one claim too many", says("data", "exceeded quota: small, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=2, limited: persistentvolumeclaims=2"), quotaExceeded, true},
		{"in other letters", says("data", "Exceeded quota: small, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=2, limited: persistentvolumeclaims=2"), quotaExceeded, true},
		{"two claims too many", says("data", "exceeded quota: small, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=3, limited: persistentvolumeclaims=2"), quotaExceeded, false},
		{"claims that are counted as objects", says("data", "exceeded quota: small, requested: count/persistentvolumeclaims=1, used: count/persistentvolumeclaims=5, limited: count/persistentvolumeclaims=5"), quotaExceeded, true},
		{"storage of a class", says("data", "exceeded quota: small, requested: fast.storageclass.storage.k8s.io/requests.storage=1Gi,requests.storage=1Gi, used: fast.storageclass.storage.k8s.io/requests.storage=1Gi,requests.storage=3Gi, limited: fast.storageclass.storage.k8s.io/requests.storage=1Gi,requests.storage=3500Mi"), quotaExceeded, true},
		{"one of two is short for good", says("data", "exceeded quota: small, requested: persistentvolumeclaims=1,requests.storage=2Gi, used: persistentvolumeclaims=1,requests.storage=1Gi, limited: persistentvolumeclaims=1,requests.storage=1Gi"), quotaExceeded, false},
		{"a resource that a claim does not have", says("data", "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"), quotaExceeded, false},
		{"a form that is not known", says("data", "exceeded quota: small"), quotaExceeded, false},
		{"a number that is none", says("data", "exceeded quota: small, requested: persistentvolumeclaims=many, used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1"), quotaExceeded, false},
		{"not counted yet", says("data", "status unknown for quota: small, resources: persistentvolumeclaims"), quotaUnknown, false},
		{"something is not said", says("data", "failed quota: small: must specify limits.memory"), quotaFailed, false},
		{"a missing right, for a claim with a name like it", says("exceeded-quota", `User "belay" cannot create resource "persistentvolumeclaims"`), "", false},
		{"a webhook that speaks of quotas", says("data", `admission webhook "quota.example.org" denied the request: exceeded quota: small, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1`), "", false},
		{"another status", errors.New("exceeded quota: small"), "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := quotaWord(test.err); got != test.word {
				t.Errorf("got %q, want %q", got, test.word)
			}
			if got := overQuota(test.err).fitsWithout(claimOf("1Gi")); got != test.fits {
				t.Errorf("fits: %v", got)
			}
		})
	}
}

func FuzzOverQuota(f *testing.F) {
	f.Add("exceeded quota: small, requested: persistentvolumeclaims=1,requests.storage=2Gi, used: persistentvolumeclaims=1,requests.storage=1Gi, limited: persistentvolumeclaims=1,requests.storage=2Gi")
	f.Add("exceeded quota: , requested: =, used: =, limited: =")
	f.Fuzz(func(t *testing.T, why string) {
		over := overQuota(says("data", why))
		// A larger claim that goes leaves no less room.
		if over.fitsWithout(claimOf("1Gi")) && !over.fitsWithout(claimOf("2Gi")) {
			t.Errorf("%q fits without a small claim, and not without a large one", why)
		}
	})
}
