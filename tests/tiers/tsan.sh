#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The core tests under ThreadSanitizer. The distribution's gRPC is not instrumented: what links it is
# left out, and named while configuring.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
ctest_tier tsan tsan
