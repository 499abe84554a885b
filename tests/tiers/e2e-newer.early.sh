#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kubernetes 1.36, which takes minutes, beside the tiers before this one.
set -euo pipefail
command -v go >/dev/null || exit 0
exec "$DRASRIOV_SOURCE_DIR/tests/e2e/cluster/build" 1.36
