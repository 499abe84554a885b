#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same with a newer Kubernetes, where claim status needs another permission and devices can be
# asked for as extended resources.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/e2e.bash"
e2e_tier e2e-newer 1.36
