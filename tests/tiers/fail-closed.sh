#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every row of docs/fail-closed.md, and that each test fails with its guard left out: real driver, NRI, CNI plugins, runc.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"

if [[ $(id -u) -ne 0 ]] || ! command -v go >/dev/null || ! unshare --mount --net true 2>/dev/null; then
  printf 'SKIPPED tier fail-closed: needs root, namespaces and go\nRESULT 0 0 1\n'
  exit 0
fi
"$DRASRIOV_SOURCE_DIR/scripts/install-packages" containers
"$DRASRIOV_SOURCE_DIR/tests/nri/build"
dir=$DRASRIOV_BUILD_DIR/core
configure_preset ci "$dir"
cmake --build "$dir" --parallel "$DRASRIOV_JOBS" --target plugins/all dra-driver-sriov-faults kubelet_player -- --quiet
status=0
rm -f "$dir/fail-closed.xml"
ctest --test-dir "$dir" -C fail-closed -L fail-closed --output-on-failure --no-tests=error \
  --output-junit fail-closed.xml || status=$?
printf 'RESULT %s\n' "$(count_junit "$dir/fail-closed.xml")"
exit "$status"
