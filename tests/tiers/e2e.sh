#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The driver on a real node: API server, scheduler, controller manager, kubelet, containerd.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/e2e.bash"
e2e_tier e2e 1.34
