#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the tier "chart" would build: helm and Kubernetes.
set -euo pipefail
command -v go >/dev/null || exit 0
"$DRASRIOV_SOURCE_DIR/tests/e2e/cluster/build" 1.34
"$DRASRIOV_SOURCE_DIR/tests/chart/get-helm"
