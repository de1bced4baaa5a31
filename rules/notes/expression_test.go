package notes

import "testing"

// TestExpressionsCompile compiles those too that no other test asks.
func TestExpressionsCompile(t *testing.T) {
	if len(expressions) < 100 {
		t.Fatalf("%d expressions are registered", len(expressions))
	}
	for _, e := range expressions {
		e.compiled()
	}
}
