# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by tiers that build a preset and run ctest in it.

# configure_preset PRESET DIR [CMAKE OPTION…]
configure_preset() {
  local preset=$1 dir=$2 fresh=()
  shift 2
  # A build tree that another clone has made cannot be used again as it is.
  if [[ -e $dir/CMakeCache.txt ]] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$DRASRIOV_SOURCE_DIR" "$dir/CMakeCache.txt"; then
    fresh=(--fresh)
  fi
  (cd "$DRASRIOV_SOURCE_DIR" && cmake --preset "$preset" -B "$dir" "${fresh[@]}" "$@") |
    grep -E 'Left out|CMake|rror' || [[ ${PIPESTATUS[0]} -eq 0 ]]
}

# Prints "passed failed skipped" of a JUnit file of ctest, and the names of what failed to stderr.
# ctest writes status "notrun" for a skipped test and for one whose program is missing alike.
count_junit() {
  awk '
    function attribute(name) {
      return match($0, " " name "=\"[^\"]*\"") \
        ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : ""
    }
    /^\t<testcase / {
      test = attribute("name"); status = attribute("status"); waiting = status == "notrun"
      if (status == "run") passed++
      else if (status == "disabled") skipped++
      else if (!waiting) { failed++; print "FAILED " test > "/dev/stderr" }
    }
    waiting && /^\t\t<skipped / {
      waiting = 0
      if ($0 ~ /message="SKIP_/) skipped++
      else { failed++; print "NOT RUN " test ": " attribute("message") > "/dev/stderr" }
    }
    END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# ctest_tier NAME PRESET [CMAKE OPTION…]: builds the preset, runs all its tests, prints RESULT.
ctest_tier() {
  local preset=$2 dir=$DRASRIOV_BUILD_DIR/$1 status=0 filter=(--no-tests=error) counts
  shift 2
  [[ -z $DRASRIOV_FILTER ]] || filter=(-R "$DRASRIOV_FILTER" --no-tests=ignore)
  printf 'building preset %s in %s (the first time takes minutes)\n' "$preset" "$dir"
  configure_preset "$preset" "$dir" "$@"
  cmake --build "$dir" --parallel "$DRASRIOV_JOBS" -- --quiet
  rm -f "$dir/junit.xml"
  ctest --test-dir "$dir" --parallel "$DRASRIOV_JOBS" --timeout 120 --output-on-failure \
    --output-junit junit.xml "${filter[@]}" |
    grep -vE '^ +Start +[0-9]+: |^ *[0-9]+/[0-9]+ Test .* Passed ' || status=${PIPESTATUS[0]}
  counts=$(count_junit "$dir/junit.xml")
  # ctest knows of failures that are no test of the file: none found at all, an unreadable test list.
  if [[ $status -ne 0 && $counts == *" 0 "* ]]; then
    printf 'ctest ended with status %d without naming a failed test\n' "$status" >&2
    return "$status"
  fi
  printf 'RESULT %s\n' "$counts"
  return "$status"
}
