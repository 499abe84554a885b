# SPDX-License-Identifier: Apache-2.0
"""Claims of all kinds, several at once, while the driver is killed again and again. DRASRIOV_VM_SEED repeats a run."""
import concurrent.futures
import random
import threading
import time

import pytest

import machine
from conftest import SEED, differences
from machine import PF0, PF1, vfs
from node import Unreachable

CLAIMS = 200
KILLS = 6


def patiently(node, method, claim, restarted):
    """Kubelet's way: again until it is answered. A refusal is an error."""
    while True:
        generation = restarted.generation
        try:
            answer = node.dra(method, [claim])[claim.uid]
            assert not answer.error, f"{method} of {claim.devices}: {answer.error}"
            return
        except Unreachable:
            restarted.wait_for_more_than(generation)


class Restarts:
    """How often the driver has been started; who was cut off waits for the next one."""

    def __init__(self):
        self.generation = 0
        self.changed = threading.Condition()

    def another(self):
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def wait_for_more_than(self, generation):
        with self.changed:
            # Not for ever: a call may also have been cut off just after the restart that it waits for.
            self.changed.wait_for(lambda: self.generation > generation, timeout=5)


@pytest.mark.needs("binding-vfio", "mount-vhost")
def test_two_hundred_claims_and_kills(driver):
    choice = random.Random(SEED)
    restarted = Restarts()
    kinds = ({}, {"driver": "vfio-pci"}, {"driver": "vfio-pci"}, {"addVhostMount": True}, {"driver": "default"})
    work = {vf: [] for vf in vfs(PF0) + vfs(PF1)}
    for _ in range(CLAIMS):
        work[choice.choice(list(work))].append((choice.choice(kinds), choice.random() < 0.2))
    done = []
    lock = threading.Lock()

    def use(vf):
        for config, twice in work[vf]:
            with lock:
                claim = driver.claim(vf, **config)
            for _ in range(2 if twice else 1):
                patiently(driver, "Prepare", claim, restarted)
            assert machine.driver(vf) == ("vfio-pci" if config.get("driver") == "vfio-pci" else "igbvf")
            patiently(driver, "Unprepare", claim, restarted)
            with lock:
                driver.forget(claim)
                done.append(claim)

    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(use, vf) for vf in work]
        for kill in range(1, KILLS + 1):
            # Spread over the run by its progress, not by time: a slow machine kills as often as a quick one.
            while len(done) < CLAIMS * kill // (KILLS + 2) and not all(f.done() for f in running):
                time.sleep(0.05)
            time.sleep(choice.random() / 2)
            driver.kill()
            driver.start()
            restarted.another()
        for future in running:
            future.result()
    assert len(done) == CLAIMS
    assert not differences()
