#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The driver on real virtual functions, in a virtual machine with SR-IOV network cards.
set -euo pipefail
source "$DRASRIOV_SOURCE_DIR/tests/tiers/pytest.bash"
[[ $(id -u) -eq 0 ]] || skip_tier vm 'needs root, to make the file systems of the guest'
for command in apt-get dpkg-deb mke2fs protoc cc go; do
  command -v "$command" >/dev/null || skip_tier vm "needs $command"
done
log=$DRASRIOV_BUILD_DIR/vm.image.log
"$DRASRIOV_SOURCE_DIR/tests/vm/image/build" >"$log" 2>&1 || {
  tail -n 20 "$log"
  skip_tier vm 'QEMU or the guest could not be made from Debian packages (see above)'
}
"$DRASRIOV_SOURCE_DIR/tests/chart/get-helm" >"$log" 2>&1 || {
  tail -n 20 "$log"
  skip_tier vm 'helm, which renders the driver'"'"'s pod, could not be built (see above)'
}
# As the chart's default values run it.
pytest_tier vm "$DRASRIOV_SOURCE_DIR/tests/vm/run" --profile minimal
