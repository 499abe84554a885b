// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

func (c *cluster) makePKI(apiURL string) error {
	var err error
	if c.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	if err := c.writeKey("ca", c.caKey); err != nil {
		return err
	}
	if c.ca, err = c.sign("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "testcluster"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}, c.caKey); err != nil {
		return err
	}
	if _, err := c.issue("apiserver", &x509.Certificate{Subject: pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}}); err != nil {
		return err
	}
	for _, u := range []struct{ file, cn, org string }{
		{"admin", "admin", "system:masters"},
		{"kube-controller-manager", "system:kube-controller-manager", ""},
		{"kube-scheduler", "system:kube-scheduler", ""},
		{"kubelet", "system:node:" + c.node, "system:nodes"},
	} {
		s := pkix.Name{CommonName: u.cn}
		if u.org != "" {
			s.Organization = []string{u.org}
		}
		if _, err := c.issue(u.file, &x509.Certificate{Subject: s, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			return err
		}
		if err := c.writeKubeconfig(u.file, apiURL); err != nil {
			return err
		}
	}
	sa, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := c.writeKey("sa", sa); err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(sa.Public())
	if err != nil {
		return err
	}
	if err := c.writePEM("sa.pub", "PUBLIC KEY", pub); err != nil {
		return err
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(c.path("pki", "tokens.csv"), fmt.Appendf(nil, "%x,token-admin,1,\"system:masters\"\n", token), 0o600),
		os.WriteFile(c.path("admin.token"), fmt.Appendf(nil, "%x", token), 0o600))
}

func (c *cluster) issue(file string, t *x509.Certificate) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := c.writeKey(file, key); err != nil {
		return nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	return c.sign(file, t, key)
}

func (c *cluster) sign(file string, t *x509.Certificate, key crypto.Signer) (*x509.Certificate, error) {
	c.serial++
	t.SerialNumber = big.NewInt(c.serial)
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	parent := c.ca
	if parent == nil {
		parent = t
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), c.caKey)
	if err != nil {
		return nil, err
	}
	if err := c.writePEM(file+".crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (c *cluster) writeKey(file string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return c.writePEM(file+".key", "PRIVATE KEY", der)
}

func (c *cluster) writePEM(file, kind string, der []byte) error {
	return os.WriteFile(c.path("pki", file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (c *cluster) writeKubeconfig(name, apiURL string) error {
	return os.WriteFile(c.path(name+".kubeconfig"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: %q, certificate-authority: %q}
users:
- name: %s
  user: {client-certificate: %q, client-key: %q}
contexts:
- name: test
  context: {cluster: test, user: %s}
current-context: test
`, apiURL, c.path("pki", "ca.crt"), name, c.path("pki", name+".crt"), c.path("pki", name+".key"), name), 0o600)
}
