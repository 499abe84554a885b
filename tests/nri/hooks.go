// SPDX-License-Identifier: Apache-2.0

//go:build !nri_0_6

package main

import (
	"context"

	"github.com/containerd/nri/pkg/adaptation"
)

// Since NRI 0.12 each hook is a call of its own.

func runPodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.RunPodSandbox(ctx, &adaptation.RunPodSandboxRequest{Pod: pod})
}

func stopPodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.StopPodSandbox(ctx, &adaptation.StopPodSandboxRequest{Pod: pod})
}

func removePodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.RemovePodSandbox(ctx, &adaptation.RemovePodSandboxRequest{Pod: pod})
}
