#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real peers: the CNI plugins and Prometheus, which the tests would fetch by themselves, and NRI's runtime
# side in Go, whose tests are skipped when it is not there.
set -uo pipefail
"$DRASRIOV_SOURCE_DIR/tests/tools/get-cni-plugins"
"$DRASRIOV_SOURCE_DIR/tests/tools/get-prometheus"
command -v go >/dev/null || exit 0
for version in 0.12 0.6; do "$DRASRIOV_SOURCE_DIR/tests/nri/build" "$version"; done
