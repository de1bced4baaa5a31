package probe

import (
	"fmt"
	"net/netip"
	"strings"
)

// forbiddenError is an address that HTTP does not look at.
type forbiddenError struct{ what string }

func (e *forbiddenError) Error() string {
	return "it leads to " + e.what + ", where belay does not look"
}

var (
	// metadata are the addresses at which clouds hand out credentials, beside
	// the link-local ones.
	metadata = []netip.Addr{
		netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
		netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
		netip.MustParseAddr("168.63.129.16"),   // Azure
		netip.MustParseAddr("fd00:ec2::254"),   // AWS
		netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	}
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	sixTo = netip.MustParsePrefix("2002::/16")
	noNet = netip.MustParsePrefix("0.0.0.0/8")
	old6  = netip.MustParsePrefix("::/96") // IPv4-compatible
)

// inner is the address that is reached in the end: IPv6 has several ways of
// writing an IPv4 address.
func inner(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case ip.Is4(), ip.IsLoopback(), ip.IsUnspecified():
		return ip
	case nat64.Contains(ip), old6.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixTo.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// place names what an address is, where that is nothing to look at: loopback,
// link-local, metadata. "" for others, private ones included: that is where a
// homelab's services are.
func place(ip netip.Addr) string {
	ip = inner(ip)
	switch {
	case ip.IsLoopback():
		return "a loopback address"
	case ip.IsUnspecified(), noNet.Contains(ip):
		return "an unspecified address"
	case ip.IsLinkLocalUnicast():
		return "a link-local address"
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a multicast address"
	}
	for _, m := range metadata {
		if ip == m {
			return "a metadata address"
		}
	}
	return ""
}

// mayDial says whether a connection to address ("192.0.2.7:443", as it was
// resolved) may be made for a host that is configured. A host that is itself
// such an address is meant; a name that resolves to one is not.
func mayDial(host, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return &forbiddenError{fmt.Sprintf("no address (%.60q)", address)}
	}
	what := place(at.Addr())
	if what == "" {
		return nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if own, err := netip.ParseAddr(host); err == nil && inner(own) == inner(at.Addr()) {
		return nil
	}
	if (host == "localhost" || strings.HasSuffix(host, ".localhost")) && inner(at.Addr()).IsLoopback() {
		return nil
	}
	return &forbiddenError{what}
}
