#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the tier "chart" would fetch or build: Prometheus, helm and Kubernetes.
set -euo pipefail
"$DRASRIOV_SOURCE_DIR/tests/tools/get-prometheus" || true
command -v go >/dev/null || exit 0
"$DRASRIOV_SOURCE_DIR/tests/e2e/cluster/build" 1.34
"$DRASRIOV_SOURCE_DIR/tests/chart/get-helm"
