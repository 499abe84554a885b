# SPDX-License-Identifier: Apache-2.0
"""What the scheduler reads: ResourceSlices of every size, and what happens to them from outside."""
import time

import pytest
from kubernetes.client.exceptions import ApiException

from harness.api import DRIVER, attribute
from harness.control_plane import NODE, wait_for


def values(device):
    return {name.removeprefix(DRIVER + "/"): attribute(device, name) for name in device.attributes}


# 7 is one device fewer than the captured machine's, made; 64 fill a slice, 65 need a second, 130 a third.
@pytest.mark.parametrize("vfs", [7, 8, 64, 65, 130, 2048])
def test_slices_are_complete_and_correct(api, driver, vfs):
    node = driver(vfs=vfs).start()
    pool = wait_for(lambda: (pool := api.pool()) and len(pool) == vfs and pool, f"a pool of {vfs}")
    expected = node.expected_devices()
    assert len(expected) == vfs
    assert {name: values(device) for name, device in pool.items()} == expected

    slices = api.slices()
    assert len(slices) == -(-vfs // 64)
    uid = api.core.read_node(NODE).metadata.uid
    for found in slices:
        assert found.spec.driver == DRIVER
        assert found.spec.node_name == found.spec.pool.name == NODE
        assert found.spec.pool.resource_slice_count == len(slices)
        assert 1 <= len(found.spec.devices) <= 64
        assert [(o.kind, o.name, o.uid) for o in found.metadata.owner_references] == [("Node", NODE, uid)]
        names = [d.name for d in found.spec.devices]
        assert names == sorted(names)


def test_no_device_is_one_empty_slice(api, driver):
    node = driver(vfs=8)
    for entry in (node.sys / "bus/pci/devices").iterdir():
        if (entry.resolve() / "physfn").exists():
            entry.unlink()
    for pf in (node.sys / "bus/pci/devices").iterdir():
        for link in pf.resolve().glob("virtfn*"):
            link.unlink()
    node.start()
    [only] = wait_for(api.slices, "a slice")
    assert not only.spec.devices
    assert only.spec.pool.resource_slice_count == 1


def test_slices_are_made_again_when_someone_deletes_them(api, driver):
    driver(vfs=130).start()
    before = wait_for(lambda: (pool := api.pool()) and len(pool) == 130 and pool, "the pool")
    old = {s.metadata.uid for s in api.slices()}

    one = api.slices()[1]
    api.resource.delete_resource_slice(one.metadata.name)
    wait_for(lambda: (pool := api.pool()) and len(pool) == 130, "the deleted slice again")
    assert one.metadata.uid not in {s.metadata.uid for s in api.slices()}

    for found in api.slices():
        api.resource.delete_resource_slice(found.metadata.name)
    after = wait_for(lambda: (pool := api.pool()) and len(pool) == 130 and pool, "all slices again")
    assert {n: values(d) for n, d in after.items()} == {n: values(d) for n, d in before.items()}
    assert not old & {s.metadata.uid for s in api.slices()}


def test_an_edit_of_a_slice_is_undone(api, driver):
    driver(vfs=8).start()
    before = wait_for(lambda: (pool := api.pool()) and len(pool) == 8 and pool, "the pool")
    [only] = api.slices()
    api.resource.patch_resource_slice(only.metadata.name, {"spec": {"devices": [
        {"name": "not-a-device"}, *(api.client.sanitize_for_serialization(only.spec.devices[2:]))]}})
    after = wait_for(lambda: (pool := api.pool()) and "not-a-device" not in pool and len(pool) == 8 and pool, "the old content")
    assert {n: values(d) for n, d in after.items()} == {n: values(d) for n, d in before.items()}


def test_a_slice_of_the_pool_that_the_driver_did_not_make_goes(api, driver):
    driver(vfs=8).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    [only] = api.slices()
    api.resource.create_resource_slice({"metadata": {"name": "stray"}, "spec": {
        "driver": DRIVER, "nodeName": NODE, "devices": [{"name": "stray"}],
        "pool": {"name": NODE, "generation": only.spec.pool.generation, "resourceSliceCount": 1}}})
    wait_for(lambda: "stray" not in {s.metadata.name for s in api.slices()}, "the stray slice to go")
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8 and "stray" not in pool, "the pool")


def test_slices_follow_the_node_object(api, driver):
    """A Node deleted and made anew, as by a cloud provider: another UID, another owner of the slices."""
    driver(vfs=8).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    old = api.core.read_node(NODE)
    api.core.delete_node(NODE)
    api.core.create_node({"metadata": {"name": NODE, "labels": old.metadata.labels}})
    uid = api.core.read_node(NODE).metadata.uid
    assert uid != old.metadata.uid

    def owned():
        slices = api.slices()
        assert slices and {o.uid for s in slices for o in s.metadata.owner_references} == {uid}
        assert len(api.pool()) == 8
        return True
    wait_for(owned, "slices that belong to the new node")
    # So that the next test finds a node that can run pods.
    wait_for(lambda: any(c.type == "Ready" and c.status == "True" for c in api.core.read_node(NODE).status.conditions or []),
             "the node to be ready")


def test_a_clean_stop_leaves_the_slices_and_a_start_keeps_them(api, driver):
    node = driver(vfs=65).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 65, "the pool")
    before = {s.metadata.name: s.metadata.resource_version for s in api.slices()}
    node.stop()
    assert {s.metadata.name: s.metadata.resource_version for s in api.slices()} == before
    node.start()
    assert {s.metadata.name: s.metadata.resource_version for s in api.slices()} == before


def test_nothing_is_written_at_rest(api, driver):
    driver(vfs=65).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 65, "the pool")
    before = {s.metadata.name: s.metadata.resource_version for s in api.slices()}
    time.sleep(5)  # the time is what is tested
    assert {s.metadata.name: s.metadata.resource_version for s in api.slices()} == before


def test_the_driver_may_not_do_more_than_its_role(api, driver):
    """The token is the one that all tests run with."""
    node = driver(vfs=8)
    import kubernetes
    configuration = kubernetes.client.Configuration()
    configuration.host, configuration.ssl_ca_cert = node.plane.server, node.plane.ca_file
    configuration.api_key = {"authorization": "Bearer " + (node.folder / "token").read_text(encoding="utf-8")}
    as_driver = kubernetes.client.ApiClient(configuration)
    core = kubernetes.client.CoreV1Api(as_driver)
    assert core.read_node(NODE).metadata.name == NODE
    for refused in (lambda: core.list_namespaced_pod("default"), lambda: core.list_namespaced_secret("default"),
                    lambda: core.delete_node(NODE),
                    lambda: kubernetes.client.ResourceV1Api(as_driver).create_namespaced_resource_claim("default", {})):
        with pytest.raises(ApiException) as error:
            refused()
        assert error.value.status == 403
