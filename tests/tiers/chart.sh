#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Helm chart: rendered, read by the driver, judged by a real API server.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/pytest.bash"
for command in go python3; do
  command -v "$command" >/dev/null || skip_tier chart "needs $command"
done
pytest_tier chart "$DRASRIOV_SOURCE_DIR/tests/chart/run"
