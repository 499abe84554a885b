# SPDX-License-Identifier: Apache-2.0
"""Kills the real driver at every named fault point of prepare and unprepare, starts it again, and compares the node with
a recording: it is as before the call or as after it, nothing is left over, and the call succeeds when it is repeated.

The list of points is not written down here: a run with DRASRIOV_FAULT_LOG records which are passed, and how often."""
import os
import signal
import unittest

from node import Node, environment

VF = "0000-11-10-0"
SECOND_VF = "0000-11-10-2"


def new_node():
    return Node(modules=[("override-binding", environment("DRASRIOV_OVERRIDE_BINDING"))])


class Recording:
    """One undisturbed run: the states before and after, and the points passed in between."""

    def __init__(self, driver):
        self.driver = driver
        node = new_node()
        try:
            self.claim = self.make_claim(node)
            log = node.path("faults")
            process = node.start(faults=True, extra_environment={"DRASRIOV_FAULT_LOG": log})
            self.before = node.state()
            marks = [self.passed(log)]
            code, answer = node.prepare(self.claim)
            assert code == 0, answer
            self.answer = answer["claims"]
            marks.append(self.passed(log))
            self.after = node.state()
            code, answer = node.unprepare(self.claim)
            assert code == 0, answer
            marks.append(self.passed(log))
            assert node.state() == self.before, "unprepare does not undo prepare"
            node.stop(process)
            self.prepare_points = self.between(marks[0], marks[1], "prepare.")
            self.unprepare_points = self.between(marks[1], marks[2], "unprepare.")
        finally:
            node.close()

    def make_claim(self, node):
        return node.claim("crash", [VF, SECOND_VF], driver=self.driver)

    @staticmethod
    def passed(log):
        if not os.path.exists(log):
            return []
        with open(log, encoding="utf-8") as file:
            return file.read().split()

    @staticmethod
    def between(first, second, prefix):
        """name#N for each passing in between; N counts from the process' start."""
        counts, points = {}, []
        for i, name in enumerate(second):
            counts[name] = counts.get(name, 0) + 1
            if i >= len(first) and name.startswith(prefix):
                points.append((name, counts[name]))
        return points


class CrashTest(unittest.TestCase):
    maxDiff = None

    def crash(self, recording, point, action):
        """Kills the driver at `point` during `action`, and checks what is left."""
        name, number = point
        node = new_node()
        try:
            claim = recording.make_claim(node)
            if action == "unprepare":
                process = node.start(faults=True)
                self.assertEqual(0, node.prepare(claim)[0])
                node.stop(process)
                # The count begins anew with the process: unprepare alone passes each point from 1 on.
                number -= self.count_before(recording, name)
            process = node.start(faults=True, extra_environment={"DRASRIOV_CRASH_AT": f"{name}#{number}"})
            code, answer = node.kubelet(action, claim)
            self.assertEqual(-signal.SIGKILL, process.wait(60), f"{name}#{number} was not reached: {code} {answer}")
            self.assertEqual(3, code, "a call whose server dies cannot succeed")

            process = node.start(faults=True)  # recovers before it serves
            node.stop(process)
            state = node.state()
            self.assertIn(state, (recording.before_stopped, recording.after_stopped), node.log())

            process = node.start(faults=True)
            code, answer = node.kubelet(action, claim)
            self.assertEqual(0, code, f"the repeated {action} failed: {answer}\n{node.log()}")
            if action == "prepare":
                self.assertEqual(recording.answer, answer["claims"])
                self.assertEqual(recording.after, node.state())
                self.assertEqual(0, node.unprepare(claim)[0])
            self.assertEqual(recording.before, node.state())
            node.stop(process)
        finally:
            node.close()

    @staticmethod
    def count_before(recording, name):
        return sum(1 for other, _ in recording.prepare_points if other == name)

    def run_all(self, driver, required):
        recording = Recording(driver)
        # A stopped driver has no sockets.
        sockets = {n for n, content in recording.before.items() if content == "socket"}
        recording.before_stopped = {n: c for n, c in recording.before.items() if n not in sockets}
        recording.after_stopped = {n: c for n, c in recording.after.items() if n not in sockets}
        self.assertNotEqual(recording.before, recording.after)
        names = {name for name, _ in recording.prepare_points + recording.unprepare_points}
        self.assertTrue(required <= names, f"missing: {sorted(required - names)}")
        for action, points in (("prepare", recording.prepare_points), ("unprepare", recording.unprepare_points)):
            for point in points:
                with self.subTest(driver=driver, action=action, point=f"{point[0]}#{point[1]}"):
                    self.crash(recording, point, action)

    def test_claim_with_a_binding(self):
        self.run_all("vfio-pci", {"prepare.snapshot", "prepare.intent", "prepare.bind", "prepare.state", "prepare.bound",
                                  "prepare.spec", "prepare.pod_spec", "prepare.committed", "unprepare.begun",
                                  "unprepare.undo", "unprepare.undone", "unprepare.spec", "unprepare.erased"})

    def test_claim_that_changes_nothing_on_the_machine(self):
        self.run_all("", {"prepare.fetched", "prepare.planned", "prepare.spec", "prepare.committed", "unprepare.spec"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
