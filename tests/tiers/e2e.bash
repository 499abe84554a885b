# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tiers that run tests/e2e.
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"

# e2e_tier NAME KUBERNETES: runs the end-to-end tests on that Kubernetes minor, prints RESULT.
e2e_tier() {
  local dir=$DRASRIOV_BUILD_DIR/$1 status=0 reason='' command counts
  [[ $(id -u) -eq 0 ]] || reason='needs root, for namespaces and containers'
  for command in go python3 unshare ip apt-get; do
    command -v "$command" >/dev/null || reason="needs $command"
  done
  unshare --mount --net --pid --fork true 2>/dev/null || reason=${reason:-'no namespaces can be made here'}
  if [[ -n $reason ]]; then
    printf 'SKIPPED tier %s: %s\nRESULT 0 0 1\n' "$1" "$reason"
    return 0
  fi
  mkdir -p "$dir"
  rm -f "$dir/junit.xml"
  "$DRASRIOV_SOURCE_DIR/tests/e2e/run" --kubernetes "$2" --junit "$dir/junit.xml" || status=$?
  # 5: pytest found no test of that name.
  if [[ $status -eq 5 && -n $DRASRIOV_FILTER ]]; then
    printf 'RESULT 0 0 0\n'
    return 0
  fi
  counts=$(python3 - "$dir/junit.xml" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
total, failed, skipped = (int(suite.get(k)) for k in ("tests", "failures", "skipped"))
failed += int(suite.get("errors"))
print(max(0, total - failed - skipped), failed, skipped)
PYTHON
  ) || return 1
  printf 'RESULT %s\n' "$counts"
  return "$status"
}
