#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Helm, QEMU and the guest's disks, which take minutes, beside the tiers before this one.
set -euo pipefail
[[ $(id -u) -eq 0 ]] || exit 0
"$DRASRIOV_SOURCE_DIR/tests/chart/get-helm" || true
exec "$DRASRIOV_SOURCE_DIR/tests/vm/image/build"
