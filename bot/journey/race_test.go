//go:build race

package journey_test

// allowance is how much longer everything may take: the race detector slows belay
// and both stand-ins down about tenfold.
const allowance = 10
