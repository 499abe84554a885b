# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tiers that run tests/e2e.
source "$DRASRIOV_SOURCE_DIR/tests/tiers/pytest.bash"

# e2e_tier NAME KUBERNETES: runs the end-to-end tests on that Kubernetes minor, prints RESULT.
e2e_tier() {
  local reason='' command
  [[ $(id -u) -eq 0 ]] || reason='needs root, for namespaces and containers'
  for command in go python3 unshare ip apt-get; do
    command -v "$command" >/dev/null || reason="needs $command"
  done
  unshare --mount --net --pid --fork true 2>/dev/null || reason=${reason:-'no namespaces can be made here'}
  [[ -z $reason ]] || skip_tier "$1" "$reason"
  pytest_tier "$1" "$DRASRIOV_SOURCE_DIR/tests/e2e/run" --kubernetes "$2"
}
