// SPDX-License-Identifier: Apache-2.0

// Command testcluster is one multi-call binary with the Kubernetes node and
// control plane components, an embedded etcd, and "up", which runs them on
// loopback for end-to-end tests. It is test tooling, never a product.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func command(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kube-controller-manager":
		return controllermanager.NewControllerManagerCommand()
	case "kubelet":
		return newKubelet()
	case "kubectl":
		return cmd.NewDefaultKubectlCommand()
	case "etcd":
		return newEtcd()
	case "up":
		return newUp()
	}
	return nil
}

func main() {
	// Called through a link named as a component, or as "testcluster COMPONENT".
	name, args := filepath.Base(os.Args[0]), os.Args
	c := command(name)
	if c == nil && len(args) > 1 {
		name, args = args[1], args[1:]
		// cobra and kubectl's plugin handling read os.Args themselves.
		os.Args = args
		c = command(name)
	}
	if c == nil {
		fmt.Fprintln(os.Stderr, "usage: testcluster etcd|kube-apiserver|kube-scheduler|kube-controller-manager|kubelet|kubectl|up [flags]")
		os.Exit(2)
	}
	if name == "kubectl" {
		if err := cli.RunNoErrOutput(c); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(cli.Run(c))
}
