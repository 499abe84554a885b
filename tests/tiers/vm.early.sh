#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# QEMU and the guest's disks, which take minutes, beside the tiers before this one.
set -euo pipefail
[[ $(id -u) -eq 0 ]] || exit 0
exec "$DRASRIOV_SOURCE_DIR/tests/vm/image/build"
