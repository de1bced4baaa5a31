package watch

import (
	"math/big"
	"regexp"
	"strings"
)

// quantity matches an amount of memory as Kubernetes writes it: "512Mi", "1.5Gi",
// "1500M", "1073741824"; not "1e9", "500m", "-1Gi".
var quantity = regexp.MustCompile(`^(\d{1,18}(?:\.\d{1,9})?)(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$`)

// units in the order of their size.
var units = map[string][]string{"i": {"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}, "": {"k", "M", "G", "T", "P", "E"}}

// DoubleMemory doubles an amount of memory and writes it in the largest unit
// that keeps it whole: "512Mi" gives "1Gi", "1500M" gives "3G", "1.5Gi" gives
// "3Gi". It reports false for what is no amount of memory.
func DoubleMemory(s string) (string, bool) {
	m := quantity.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return "", false
	}
	n, ok := new(big.Rat).SetString(m[1])
	if !ok || n.Sign() == 0 {
		return "", false
	}
	n.Mul(n, big.NewRat(2, 1))
	unit, system, step := m[2], "", int64(1000)
	if strings.HasSuffix(unit, "i") {
		system, step = "i", 1024
	}
	for i, u := range units[system] {
		next := new(big.Rat).Quo(n, big.NewRat(step, 1))
		if u == unit && next.IsInt() && i+1 < len(units[system]) {
			n, unit = next, units[system][i+1]
		}
	}
	return strings.TrimSuffix(strings.TrimRight(n.FloatString(9), "0"), ".") + unit, true
}

// SameMemory reports whether two amounts of memory are written alike, or come to the same.
func SameMemory(a, b string) bool {
	x, okA := DoubleMemory(a)
	y, okB := DoubleMemory(b)
	return okA && okB && x == y
}
