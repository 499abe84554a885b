# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by tiers whose tests are run by pytest.

# skip_tier NAME REASON: the tier ends here.
skip_tier() {
  printf 'SKIPPED tier %s: %s\nRESULT 0 0 1\n' "$1" "$2"
  exit 0
}

# pytest_tier NAME COMMAND…: runs COMMAND with --junit FILE, prints RESULT.
pytest_tier() {
  local dir=$DRASRIOV_BUILD_DIR/$1 status=0 counts
  shift
  mkdir -p "$dir"
  rm -f "$dir/junit.xml"
  "$@" --junit "$dir/junit.xml" || status=$?
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
