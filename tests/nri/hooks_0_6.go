// SPDX-License-Identifier: Apache-2.0

//go:build nri_0_6

package main

import (
	"context"

	"github.com/containerd/nri/pkg/adaptation"
)

// Up to NRI 0.11 they are all StateChange.

func runPodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.RunPodSandbox(ctx, &adaptation.StateChangeEvent{Pod: pod})
}

func stopPodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.StopPodSandbox(ctx, &adaptation.StateChangeEvent{Pod: pod})
}

func removePodSandbox(ctx context.Context, nri *adaptation.Adaptation, pod *adaptation.PodSandbox) error {
	return nri.RemovePodSandbox(ctx, &adaptation.StateChangeEvent{Pod: pod})
}
