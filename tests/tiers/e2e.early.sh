#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prometheus, and Kubernetes 1.34, which takes minutes, beside the tiers before this one.
set -euo pipefail
"$DRASRIOV_SOURCE_DIR/tests/tools/get-prometheus" || true
command -v go >/dev/null || exit 0
exec "$DRASRIOV_SOURCE_DIR/tests/e2e/cluster/build" 1.34
