// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

func (c *cluster) client() *http.Client {
	cert, _ := tls.LoadX509KeyPair(c.path("pki", "admin.crt"), c.path("pki", "admin.key"))
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		// The scheduler and the controller manager have self-signed certificates.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}}}
}

func (c *cluster) poll(ctx context.Context, what string, limit time.Duration, ok func() (bool, string)) error {
	last := ""
	for end := time.Now().Add(limit); time.Now().Before(end); {
		good, why := ok()
		if good {
			return nil
		}
		last = why
		select {
		case <-ctx.Done():
			return ctx.Err()
		case name := <-c.exited:
			return fmt.Errorf("%s ended by itself, see %s", name, c.path("logs", name+".log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s: not there after %v: %s", what, limit, last)
}

func get(cl *http.Client, url string) (int, []byte, error) {
	r, err := cl.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, b, err
}

func (c *cluster) waitHTTP(ctx context.Context, url string, limit time.Duration) error {
	cl := c.client()
	return c.poll(ctx, url, limit, func() (bool, string) {
		code, b, err := get(cl, url)
		return err == nil && code == 200, fmt.Sprint(code, " ", string(b), " ", err)
	})
}

func (c *cluster) waitNodeReady(ctx context.Context, apiURL string, limit time.Duration) error {
	cl := c.client()
	return c.poll(ctx, "Ready node "+c.node, limit, func() (bool, string) {
		_, b, err := get(cl, apiURL+"/api/v1/nodes/"+c.node)
		if err != nil {
			return false, err.Error()
		}
		var n struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := json.Unmarshal(b, &n); err != nil {
			return false, err.Error()
		}
		for _, cond := range n.Status.Conditions {
			if cond.Type == "Ready" {
				return cond.Status == "True", cond.Message
			}
		}
		return false, "no Ready condition"
	})
}

func freePorts(n int) ([]string, error) {
	var ports []string
	var open []net.Listener
	defer func() {
		for _, l := range open {
			l.Close()
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
