package program

import (
	"fmt"
	"os"
	"strings"
)

// Secret reads a secret from the environment: BELAY_NAME, or the file that
// BELAY_NAME_FILE names. The file is read every time, so that a rotated secret
// needs no restart. "" when neither is set.
func Secret(name string) (string, error) { return SecretIn("BELAY_" + name) }

// SecretIn reads a secret from a variable of any name, or from the file that its
// twin with _FILE names.
func SecretIn(variable string) (string, error) {
	if s := os.Getenv(variable); s != "" {
		return s, nil
	}
	file := os.Getenv(variable + "_FILE")
	if file == "" {
		return "", nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", variable, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Rotating is a secret as a function that never fails: one that cannot be read
// for a moment keeps its last value.
func Rotating(name string) func() string {
	last, _ := Secret(name)
	return func() string {
		if s, err := Secret(name); err == nil && s != "" {
			return s
		}
		return last
	}
}
