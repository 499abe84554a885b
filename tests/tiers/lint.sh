#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What can be said about the sources without running them. Each check counts as one test.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/ctest.bash"
"$DRASRIOV_SOURCE_DIR/scripts/install-packages" build test lint

cd "$DRASRIOV_SOURCE_DIR"
dir=$DRASRIOV_BUILD_DIR/lint
passed=0 failed=0 skipped=0

# A check that ends with status 3 could not say: skipped.
check() {
  local title=$1 status=0
  shift
  # After "||" bash ignores set -e, so each check is one command or one && chain.
  "$@" || status=$?
  if [[ $status -eq 0 ]]; then
    passed=$((passed + 1))
  elif [[ $status -eq 3 ]]; then
    skipped=$((skipped + 1))
    printf 'SKIPPED lint: %s\n' "$title"
  else
    failed=$((failed + 1))
    printf 'FAILED lint: %s\n' "$title"
  fi
}

tracked() { git ls-files -z -- "$@"; }

format() { tracked '*.c' '*.h' '*.cpp' '*.hpp' | xargs -0 -r clang-format-14 --dry-run -Werror; }

shell_scripts() {
  # By first line, because programs of the tree carry no suffix.
  git grep -lIzE '^#!/usr/bin/env bash|^#!/bin/(ba)?sh|^# shellcheck shell=' |
    xargs -0 -r shellcheck --external-sources
}

spdx() {
  local missing
  missing=$(tracked '*.c' '*.h' '*.cpp' '*.hpp' '*.proto' '*.cmake' '*CMakeLists.txt' '*.sh' '*.py' |
    xargs -0 -r grep -L -m1 'SPDX-License-Identifier: Apache-2.0')
  [[ -z $missing ]] || { printf 'without SPDX line: %s\n' "$missing" && false; }
}

clang_build() {
  configure_preset clang "$dir" &&
    cmake --build "$dir" --parallel "$DRASRIOV_JOBS" -- --quiet
}

# The thread-safety analysis is only worth something if it does object.
thread_safety_objects() {
  local source=tests/tiers/lint/unguarded_read.cpp
  local clang=(clang++-16 -std=c++20 -I. -fsyntax-only -Wthread-safety -Werror=thread-safety)
  "${clang[@]}" -DGUARDED "$source" && ! "${clang[@]}" "$source" 2>"$dir/unguarded.txt" &&
    grep -q "requires holding mutex" "$dir/unguarded.txt"
}

check "clang-format (mend with: git ls-files '*.cpp' '*.hpp' '*.h' '*.c' | xargs clang-format-14 -i)" format
check "shellcheck" shell_scripts
check "SPDX lines" spdx
check "clang build with thread-safety analysis" clang_build
check "thread-safety analysis finds an unguarded read" thread_safety_objects
check "clang-tidy" scripts/tidy "$dir" --jobs "$DRASRIOV_JOBS" --minutes 20
printf 'RESULT %d %d %d\n' "$passed" "$failed" "$skipped"
[[ $failed -eq 0 ]]
