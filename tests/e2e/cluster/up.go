// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

type upOptions struct {
	dir, node, cri, kubeletRoot, readyFile string
	kubelet, controllers                   bool
}

func newUp() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "run a control plane (and a kubelet) on loopback until SIGTERM",
		Long: "Runs a control plane (and a kubelet) on loopback until SIGTERM. It fails when a component ends by itself;\n" +
			"while DIR/COMPONENT.hold exists it waits instead, and starts the component again when that file is gone.",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE:         func(*cobra.Command, []string) error { return runUp(o) },
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "", "state directory, made if absent; keep it short, sockets live under it")
	f.StringVar(&o.readyFile, "ready-file", "", "written with the kubeconfig's path when everything is ready")
	f.BoolVar(&o.controllers, "controllers", true, "run kube-scheduler and kube-controller-manager")
	f.BoolVar(&o.kubelet, "kubelet", false, "run a kubelet too")
	f.StringVar(&o.cri, "cri", "unix:///run/containerd/containerd.sock", "CRI endpoint of the kubelet")
	f.StringVar(&o.kubeletRoot, "kubelet-root", "/var/lib/kubelet", "the kubelet's folder; what is mounted below it is unmounted at the end")
	f.StringVar(&o.node, "node", "127.0.0.1", "node name; its kubeconfig is made even without --kubelet. "+
		"kubectl logs and exec need a name that the API server can resolve, as this one")
	_ = c.MarkFlagRequired("dir")
	return c
}

type child struct {
	name string
	args []string
	cmd  *exec.Cmd
	done chan error
}

type cluster struct {
	upOptions
	self       string
	cgroupRoot string // under which the kubelet makes kubepods
	start      time.Time
	children   []*child
	exited     chan string
	caKey      crypto.Signer
	ca         *x509.Certificate
	serial     int64
	timings    map[string]float64
}

func (c *cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *cluster) mark(what string) {
	c.timings[what] = float64(time.Since(c.start).Milliseconds()) / 1000
	fmt.Fprintf(os.Stderr, "%7.3f s  %s\n", c.timings[what], what)
}

func runUp(o upOptions) (err error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	o.dir = dir
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := &cluster{upOptions: o, self: self, start: time.Now(), exited: make(chan string, 8), timings: map[string]float64{},
		// Never shared: a kubelet kills what it finds in pod cgroups that it does not know.
		cgroupRoot: fmt.Sprintf("/testcluster-%d", os.Getpid())}
	for _, d := range []string{"pki", "logs", "etcd"} {
		if err := os.MkdirAll(c.path(d), 0o700); err != nil {
			return err
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	defer c.stop()
	// Children get SIGTERM when the thread that started them ends: keep it.
	runtime.LockOSThread()
	if err := c.bringUp(ctx); err != nil {
		return err
	}
	kubeconfig := c.path("admin.kubeconfig")
	if j, err := json.MarshalIndent(map[string]any{"timings_s": c.timings, "rss_mib": c.rss()}, "", "  "); err == nil {
		_ = os.WriteFile(c.path("up.json"), append(j, '\n'), 0o644)
	}
	if c.readyFile != "" {
		if err := os.WriteFile(c.readyFile, []byte(kubeconfig+"\n"), 0o644); err != nil {
			return err
		}
		defer os.Remove(c.readyFile)
	}
	fmt.Println(kubeconfig)
	for {
		select {
		case <-ctx.Done():
			return nil
		case name := <-c.exited:
			if !c.held(name) {
				return fmt.Errorf("%s ended by itself, see %s", name, c.path("logs", name+".log"))
			}
			// So that who waits knows that the end was seen.
			_ = os.Remove(c.path(name + ".pid"))
			for c.held(name) && ctx.Err() == nil {
				time.Sleep(50 * time.Millisecond)
			}
			if ctx.Err() == nil {
				c.runAgain(name)
			}
		}
	}
}

func (c *cluster) held(name string) bool {
	_, err := os.Stat(c.path(name + ".hold"))
	return err == nil
}

func (c *cluster) bringUp(ctx context.Context) error {
	ports, err := freePorts(7)
	if err != nil {
		return err
	}
	etcdURL := "http://127.0.0.1:" + ports[0]
	apiURL := "https://127.0.0.1:" + ports[2]
	if err := c.makePKI(apiURL); err != nil {
		return err
	}
	c.mark("pki made")
	pki := func(f string) string { return c.path("pki", f) }
	const verbosity = "--v=2"

	c.run("etcd", "--data-dir="+c.path("etcd"), "--client-url="+etcdURL, "--peer-url=http://127.0.0.1:"+ports[1])
	c.run("kube-apiserver",
		"--etcd-servers="+etcdURL,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2],
		"--endpoint-reconciler-type=none", // a loopback address is no valid endpoint
		"--service-cluster-ip-range=10.96.0.0/16",
		"--cert-dir="+c.path("pki"),
		"--tls-cert-file="+pki("apiserver.crt"), "--tls-private-key-file="+pki("apiserver.key"),
		"--client-ca-file="+pki("ca.crt"),
		"--token-auth-file="+pki("tokens.csv"),
		"--kubelet-preferred-address-types=Hostname",
		"--kubelet-client-certificate="+pki("admin.crt"), "--kubelet-client-key="+pki("admin.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+pki("sa.pub"), "--service-account-signing-key-file="+pki("sa.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", verbosity)
	if err := c.waitHTTP(ctx, apiURL+"/readyz", 120*time.Second); err != nil {
		return err
	}
	c.mark("kube-apiserver /readyz")

	if c.controllers {
		kcm := c.path("kube-controller-manager.kubeconfig")
		c.run("kube-controller-manager",
			"--kubeconfig="+kcm, "--authentication-kubeconfig="+kcm, "--authorization-kubeconfig="+kcm,
			"--bind-address=127.0.0.1", "--secure-port="+ports[3], "--cert-dir="+c.path("pki"),
			"--leader-elect=false", "--use-service-account-credentials=true",
			"--root-ca-file="+pki("ca.crt"),
			"--service-account-private-key-file="+pki("sa.key"),
			"--cluster-signing-cert-file="+pki("ca.crt"), "--cluster-signing-key-file="+pki("ca.key"), verbosity)
		sched := c.path("kube-scheduler.kubeconfig")
		c.run("kube-scheduler",
			"--kubeconfig="+sched, "--authentication-kubeconfig="+sched, "--authorization-kubeconfig="+sched,
			"--bind-address=127.0.0.1", "--secure-port="+ports[4], "--cert-dir="+c.path("pki"),
			"--leader-elect=false", verbosity)
		if err := c.waitHTTP(ctx, "https://127.0.0.1:"+ports[3]+"/healthz", 60*time.Second); err != nil {
			return err
		}
		c.mark("kube-controller-manager /healthz")
		if err := c.waitHTTP(ctx, "https://127.0.0.1:"+ports[4]+"/healthz", 60*time.Second); err != nil {
			return err
		}
		c.mark("kube-scheduler /healthz")
		if err := c.waitHTTP(ctx, apiURL+"/api/v1/namespaces/default/serviceaccounts/default", 60*time.Second); err != nil {
			return err
		}
		c.mark("default service account")
	}

	if c.kubelet {
		args, err := c.prepareKubelet(ports[5], ports[6])
		if err != nil {
			return err
		}
		c.run("kubelet", args...)
		if err := c.waitHTTP(ctx, "http://127.0.0.1:"+ports[6]+"/healthz", 60*time.Second); err != nil {
			return err
		}
		c.mark("kubelet /healthz")
		if err := c.waitNodeReady(ctx, apiURL, 120*time.Second); err != nil {
			return err
		}
		c.mark("node Ready")
	}
	return nil
}

// run starts this same binary as one component.
func (c *cluster) run(name string, args ...string) {
	ch := &child{name: name, args: args}
	c.children = append(c.children, ch)
	c.launch(ch)
}

func (c *cluster) runAgain(name string) {
	for _, ch := range c.children {
		if ch.name == name {
			c.launch(ch)
		}
	}
}

func (c *cluster) launch(ch *child) {
	ch.done = make(chan error, 1)
	fail := func(err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", ch.name, err)
		ch.done <- err
		c.exited <- ch.name
	}
	log, err := os.OpenFile(c.path("logs", ch.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fail(err)
		return
	}
	defer log.Close()
	ch.cmd = exec.Command(c.self, append([]string{ch.name}, ch.args...)...)
	ch.cmd.Stdout, ch.cmd.Stderr = log, log
	// A group of its own: ^C goes to "up" alone, which stops the rest in order.
	ch.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := ch.cmd.Start(); err != nil {
		fail(err)
		return
	}
	_ = os.WriteFile(c.path(ch.name+".pid"), []byte(strconv.Itoa(ch.cmd.Process.Pid)+"\n"), 0o644)
	cmd, done := ch.cmd, ch.done
	go func() {
		done <- cmd.Wait()
		c.exited <- ch.name
	}()
}

// stop ends the components, last started first.
func (c *cluster) stop() {
	begin := time.Now()
	for i := len(c.children) - 1; i >= 0; i-- {
		ch := c.children[i]
		if ch.cmd == nil || ch.cmd.Process == nil {
			continue
		}
		_ = ch.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ch.done:
		case <-time.After(5 * time.Second):
			_ = ch.cmd.Process.Kill()
			<-ch.done
		}
		_ = os.Remove(c.path(ch.name + ".pid"))
	}
	if c.kubelet {
		unmountUnder(c.kubeletRoot)
	}
	removeCgroup(c.cgroupRoot)
	fmt.Fprintf(os.Stderr, "stopped in %.1f s\n", time.Since(begin).Seconds())
}

func (c *cluster) rss() map[string]int {
	m := map[string]int{}
	for _, ch := range c.children {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", ch.cmd.Process.Pid))
		for _, l := range strings.Split(string(b), "\n") {
			if f := strings.Fields(l); len(f) > 1 && f[0] == "VmRSS:" {
				kb, _ := strconv.Atoi(f[1])
				m[ch.name] = kb / 1024
			}
		}
	}
	return m
}
