#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The core tests under AddressSanitizer (with leaks) and UndefinedBehaviorSanitizer.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"
export ASAN_OPTIONS=detect_stack_use_after_return=1:check_initialization_order=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
ctest_tier asan asan
