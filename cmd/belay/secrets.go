package main

import (
	"fmt"
	"os"
	"strings"
)

// secret reads a secret from the environment: BELAY_NAME, or the file that
// BELAY_NAME_FILE names. The file is read every time, so that a rotated secret
// needs no restart. "" when neither is set.
func secret(name string) (string, error) { return secretIn("BELAY_" + name) }

// secretIn reads a secret from a variable of any name, or from the file that its
// twin with _FILE names.
func secretIn(variable string) (string, error) {
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

// rotating is a secret as a function that never fails: one that cannot be read
// for a moment keeps its last value.
func rotating(name string) func() string {
	last, _ := secret(name)
	return func() string {
		if s, err := secret(name); err == nil && s != "" {
			return s
		}
		return last
	}
}
