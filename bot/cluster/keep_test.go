package cluster_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestKeepPutsValuesIntoASecret keeps what is there, makes what is not, and
// says which right is missing.
func TestKeepPutsValuesIntoASecret(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	target := w.namespace + "/belay"
	_, err := w.admin.CoreV1().Secrets(w.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "belay"}, StringData: map[string]string{"other": "kept", "app-id": ""}}, metav1.CreateOptions{})
	w.must(err)
	for _, name := range []string{"belay", "new"} {
		w.must(w.belay.Keep(t.Context(), w.namespace+"/"+name, map[string]string{"app-id": "1042", "app-key": "-----BEGIN\n"}))
		got, err := w.admin.CoreV1().Secrets(w.namespace).Get(t.Context(), name, metav1.GetOptions{})
		w.must(err)
		if string(got.Data["app-id"]) != "1042" || string(got.Data["app-key"]) != "-----BEGIN\n" || name == "belay" && string(got.Data["other"]) != "kept" {
			t.Errorf("%s holds %q", name, got.Data)
		}
	}
	config, err := w.plane.ConfigFor(t.Context(), w.bot("keeper", []right{{"", "secrets", "list"}}))
	w.must(err)
	if err := w.life(config).Keep(t.Context(), target, map[string]string{"app-id": "7"}); err == nil || !strings.Contains(err.Error(), "not allowed to get secrets") {
		t.Errorf("without the right: %v", err)
	}
}
