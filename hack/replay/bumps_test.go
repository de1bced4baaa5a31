package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindBumps(t *testing.T) {
	diff := `diff --git a/stacks/url/main.tf b/stacks/url/main.tf
--- a/stacks/url/main.tf
+++ b/stacks/url/main.tf
@@ -12 +12 @@ resource "x" {
-  image = "shlinkio/shlink:4.3.4" # keep
+  image = "shlinkio/shlink:5.0.2" # keep
@@ -20,2 +20,2 @@
-  a = 1
-  version = "v1.2.3-rc.1"
+  a = 2
+  version = "v1.2.3"
@@ -30 +30,2 @@
-  image = "a:1.0"
+  image = "a:1.1"
+  more = true
@@ -40 +41 @@
-  # image = "a:1.0"
+  # image = "a:1.1"
@@ -50 +51 @@
-  name = "web"
+  name = "api"
`
	var got []string
	for _, b := range findBumps(diff) {
		got = append(got, fmt.Sprintf("%s:%d %s → %s", b.path, b.line, b.from, b.to))
	}
	want := []string{"stacks/url/main.tf:12 4.3.4 → 5.0.2", "stacks/url/main.tf:21 v1.2.3-rc.1 → v1.2.3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
