# SPDX-License-Identifier: Apache-2.0
"""GET /metrics of the whole program: asked over HTTP, beside what the status socket says; the port in use; off."""
import http.client
import json
import os
import re
import socket
import unittest

from node import PATIENCE, Node, wait_for

VF = "0000-11-10-0"


def get(port, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def listening(process):
    """Ports on which the process listens."""
    inodes = set()
    for entry in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            inodes |= set(re.findall(r"^socket:\[(\d+)\]$", os.readlink(f"/proc/{process.pid}/fd/{entry}")))
        except FileNotFoundError:
            pass
    ports = set()
    for table in (f"/proc/{process.pid}/net/{name}" for name in ("tcp", "tcp6")):
        if not os.path.exists(table):
            continue  # no IPv6
        with open(table, encoding="utf-8") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                if words[3] == "0A" and words[9] in inodes:
                    ports.add(int(words[1].rsplit(":", 1)[1], 16))
    return ports


class MetricsTest(unittest.TestCase):
    def node(self, config=""):
        node = Node(config=config)
        self.addCleanup(node.close)
        return node

    def port_of(self, node):
        found = wait_for(lambda: re.search(r"metrics over HTTP on 127\.0\.0\.1, port (\d+)", node.log()), "the endpoint")
        return int(found[1])

    def status(self, node):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(node.data, "status.sock"))
            with client.makefile("rb") as stream:
                return json.load(stream)

    def test_the_running_driver_gives_its_series(self):
        node = self.node("metricsPort: 0\n")
        process = node.start()
        port = self.port_of(node)
        self.assertEqual({port}, listening(process))
        self.assertEqual(0, node.prepare(node.claim("one", VF))[0])
        self.assertNotEqual(0, node.prepare(node.claim("two", VF))[0], "the device is held")
        # What they count follows the answer.
        wait_for(lambda: 'drasriov_claim_seconds_count{operation="prepare",outcome="failed"} 1\n' in get(port)[2], "the claims")
        wait_for(lambda: "\ndrasriov_devices_held 1\n" in get(port)[2], "the held device")
        status, kind, text = get(port)
        self.assertEqual((200, "text/plain; version=0.0.4; charset=utf-8"), (status, kind))
        self.assertIn('drasriov_claim_seconds_count{operation="prepare",outcome="ok"} 1\n', text)
        self.assertIn("\ndrasriov_devices_published 8\n", text)
        self.assertIn('drasriov_module_up{module="discovery-sysfs"} 1\n', text)
        wait_for(lambda: get(port)[2] == self.status(node)["metrics"], "the two to say the same")
        self.assertEqual(404, get(port, "/")[0])
        self.assertEqual(405, get(port, method="POST")[0])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"GET /met")
            self.assertEqual(200, get(port)[0])
            # Also while somebody is slow.
            node.stop(process)

    def test_a_port_in_use_ends_the_start_before_anything_is_touched(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            node = self.node(f"metricsPort: {port}\n")
            process = node.start(wait=False)
            self.assertEqual(1, process.wait(PATIENCE))
        self.assertIn(f"serve metrics: metrics: cannot listen on 127.0.0.1:{port}: Address already in use — hint: another program "
                      "has the port: set metrics-port to a free one, 0 (any) or -1 (off)", node.log())
        self.assertEqual([], os.listdir(node.path("registry")))
        self.assertEqual([], os.listdir(node.path("cdi")))
        self.assertEqual(["owner.lock"], os.listdir(node.data))

    def test_off_means_that_nothing_listens(self):
        node = self.node()
        process = node.start()
        self.assertEqual(set(), listening(process))
        self.assertNotIn("metrics over HTTP", node.log())
        node.stop(process)


if __name__ == "__main__":
    unittest.main(verbosity=2)
