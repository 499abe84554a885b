# SPDX-License-Identifier: Apache-2.0
"""What a pod without devices pays for the driver's NRI plugin: RunPodSandbox from its arrival in the driver to the answer, as the
driver's own metric says, and the whole call as the runtime sees it (real adaptation package, relayed: tests/nri)."""
import os
import re
import signal
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PODS = 2000


def measure(build, prefix):
    """Mean milliseconds: in the driver, which `prefix` starts, and of the whole call. None without the runtime's program."""
    sys.path.insert(0, str(SOURCE / "tests/process"))
    os.environ |= {"DRASRIOV_FIXTURES_DIR": str(SOURCE / "tests/fixtures"), "DRASRIOV_BINARY": str(build / "bin/dra-driver-sriov"),
                   "DRASRIOV_KUBELET_PLAYER": str(build / "tests/tools/kubelet_player")}
    import pod_runtime
    from node import Node, wait_for
    if not pod_runtime.nri_runtime():
        return None
    node = Node()
    runtime = pod_runtime.Runtime(node.path("run"), "20s")
    try:
        node.configure([("runtime-nri", "builtin:runtime-nri", {"socket": runtime.socket})])
        node.prefix = prefix
        driver = node.start()
        runtime.start()
        runtime.await_driver()
        begun = time.monotonic()
        for number in range(PODS):
            runtime.ask(do="run", pod={"id": f"sandbox-{number}", "name": f"pod-{number}", "uid": f"uid-{number}",
                                       "namespace": "default", "linux": {"namespaces": [{"type": "network", "path": "/n"}]}})
        whole = (time.monotonic() - begun) / PODS
        driver.send_signal(signal.SIGUSR1)
        pattern = r'hook_seconds_(sum|count)\{[^}]*hook="RunPodSandbox"[^}]*\} ([\d.e+-]+)'
        found = wait_for(lambda: len(values := dict(re.findall(pattern, node.log()))) == 2 and values, "the driver's metrics")
        if int(found["count"]) != PODS:
            raise RuntimeError(f"{found['count']} hooks of {PODS} were counted")
        node.stop(driver)
        return float(found["sum"]) / PODS * 1e3, whole * 1e3
    finally:
        runtime.close()
        node.close()
