//go:build !race

package journey_test

// allowance is how much longer everything may take: no longer than it must.
const allowance = 1
