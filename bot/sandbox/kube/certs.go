package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are those of one control plane, signed by an authority of its
// own that lives as long as it does.
type certificates struct {
	dir       string
	ca        []byte // PEM
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

// newCertificates makes the authority and, under dir, ca.crt; server (of the
// API server), client (that it shows to the kubelet) and service-account pairs.
func newCertificates(dir string) (*certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "belay sandbox"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &certificates{dir: dir, ca: encode("CERTIFICATE", der), authority: authority, key: key}
	if err := os.WriteFile(c.file("ca.crt"), c.ca, 0o600); err != nil {
		return nil, err
	}
	for i, name := range []string{"server", "client", "service-account"} {
		if _, err := c.sign(int64(i+2), name); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", name, err)
		}
	}
	return c, nil
}

func (c *certificates) file(name string) string { return filepath.Join(c.dir, name) }

// sign makes a pair for loopback, writes it as name.crt and name.key and
// returns it.
func (c *certificates) sign(serial int64, name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: c.authority.NotBefore, NotAfter: c.authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority, &key.PublicKey, c.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, keyPEM := encode("CERTIFICATE", der), encode("EC PRIVATE KEY", private)
	if err := os.WriteFile(c.file(name+".crt"), certificate, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	if err := os.WriteFile(c.file(name+".key"), keyPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, keyPEM)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// random is a token that nobody guesses.
func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
