#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that ctest knows, built with warnings as errors.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"
ctest_tier core ci
