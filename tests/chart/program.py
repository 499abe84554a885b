# SPDX-License-Identifier: Apache-2.0
"""The driver's program with a configuration that the chart has rendered, on this machine and without a cluster."""
import json
import os
import re
import socket
import subprocess

import pytest
import yaml

from harness.control_plane import PATIENCE, wait_for


class Program:
    """folder: one with a short name, for Unix sockets end at 107 bytes."""

    def __init__(self, folder, configuration):
        self.folder, self.given = folder, yaml.safe_load(configuration)
        os.makedirs(f"{folder}/registry", exist_ok=True)
        with open(f"{folder}/config.yaml", "w", encoding="utf-8") as file:
            file.write(configuration)

    def start(self):
        """What it says of itself once it serves."""
        # Paths of this machine are the test's; flags win over the file, which names none of its modules' settings.
        command = [os.environ["DRASRIOV_BINARY"], "run", "--insecure-dev", f"--config={self.folder}/config.yaml",
                   f"--cluster=dir:{self.folder}", f"--cdi-root={self.folder}/cdi",
                   f"--kubelet-plugins-directory-path={self.folder}",
                   f"--kubelet-registrar-directory-path={self.folder}/registry"]
        # As of this machine are the ports.
        for key, flag in (("healthcheckPort", "--healthcheck-port=0"), ("metricsPort", "--metrics-port=0")):
            if self.given.get(key, -1) > 0:
                command.append(flag)
        with open(f"{self.folder}/log", "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={"NODE_NAME": "worker", "HOST_IP": "127.0.0.1", "PATH": os.environ["PATH"]})

        def serving():
            if self.process.poll() is not None:
                pytest.fail(self.log()[-3000:])
            status = self.status()
            return status if status and status["phase"] == "Serving" else None
        return wait_for(serving, "the driver to serve")

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def status(self):
        """docs/status.md, or None."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(f"{self.folder}/{self.given['driverName']}/status.sock")
                text = b""
                while part := client.recv(1 << 16):
                    text += part
        except OSError:
            return None
        return json.loads(text)

    def metrics_port(self):
        return int(wait_for(lambda: re.search(r"metrics over HTTP on 127\.0\.0\.1, port (\d+)", self.log()), "the endpoint")[1])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        assert code == 0, self.log()[-3000:]
