// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"

	"github.com/spf13/cobra"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

func newKubelet() *cobra.Command { return kubeletapp.NewKubeletCommand(context.Background()) }

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{.Address}}
port: {{.Port}}
healthzBindAddress: 127.0.0.1
healthzPort: {{.HealthzPort}}
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: {{.Dir}}/pki/ca.crt}
authorization: {mode: Webhook}
containerRuntimeEndpoint: {{.CRI}}
podLogsDir: {{.Dir}}/pod-logs
volumePluginDir: {{.Root}}/volumeplugins
resolvConf: ""
clusterDNS: [10.96.0.10]
cgroupDriver: cgroupfs
cgroupRoot: {{.CgroupRoot}}
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
# This and the next: for machines with cgroup v1 and swap, and without CAP_SYS_RESOURCE.
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "50Mi", nodefs.available: "0%", imagefs.available: "0%"}
# Quick tests.
nodeStatusUpdateFrequency: 5s
syncFrequency: 5s
`

// prepareKubelet makes the kubelet's cgroup and config file, and returns its flags.
func (c *cluster) prepareKubelet(port, healthzPort string) ([]string, error) {
	if err := makeCgroup(c.cgroupRoot); err != nil {
		return nil, err
	}
	address := "127.0.0.1"
	if ip := net.ParseIP(c.node); ip != nil && ip.IsLoopback() {
		address = c.node
	}
	var b bytes.Buffer
	err := template.Must(template.New("").Parse(kubeletConfig)).Execute(&b, map[string]string{"Dir": c.dir, "Root": c.kubeletRoot,
		"Address": address, "Port": port, "HealthzPort": healthzPort, "CRI": c.cri, "CgroupRoot": c.cgroupRoot})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.path("kubelet.yaml"), b.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return []string{
		"--kubeconfig=" + c.path("kubelet.kubeconfig"), "--config=" + c.path("kubelet.yaml"),
		"--root-dir=" + c.kubeletRoot, "--cert-dir=" + c.path("kubelet-pki"),
		"--hostname-override=" + c.node, "--v=2",
	}, nil
}

// unmountUnder detaches what the kubelet leaves mounted: its root directory,
// which it binds onto itself to make it shared, and volumes of pods.
func unmountUnder(dir string) {
	b, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(string(b), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && (f[1] == dir || strings.HasPrefix(f[1], dir+"/")) {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// cgroupDirs lists a cgroup's directory in each hierarchy, of v1 and v2.
func cgroupDirs(name string) []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", name)}
	}
	var dirs []string
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	for _, h := range hierarchies {
		dirs = append(dirs, filepath.Join(filepath.Dir(h), name))
	}
	return dirs
}

func makeCgroup(name string) error {
	if name == "/" {
		return nil
	}
	for _, d := range cgroupDirs(name) {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
		// A new v1 cpuset takes no process before it has CPUs and memory nodes.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if b, err := os.ReadFile(filepath.Join(filepath.Dir(d), f)); err == nil {
				_ = os.WriteFile(filepath.Join(d, f), b, 0)
			}
		}
	}
	return nil
}

func removeCgroup(name string) {
	if name == "/" {
		return
	}
	for _, d := range cgroupDirs(name) {
		var all []string
		_ = filepath.WalkDir(d, func(p string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				all = append(all, p)
			}
			return nil
		})
		for i := len(all) - 1; i >= 0; i-- {
			_ = syscall.Rmdir(all[i])
		}
	}
}
