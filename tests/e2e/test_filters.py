# SPDX-License-Identifier: Apache-2.0
"""SriovResourceFilter objects, made by an administrator, seen by the scheduler as resourceName."""
import copy
import time

import pytest
from kubernetes.client.exceptions import ApiException

from harness.api import DRIVER, NAMESPACE
from harness.control_plane import NODE, wait_for

ALL = [{"resourceName": "all", "resourceFilters": []}]


def names_are(api, wanted, what):
    """wanted: a function of the resource names of all devices, None for a device without."""
    wait_for(lambda: (names := api.resource_names()) is not None and wanted(names), what)


def addresses(api):
    return sorted(api.resource_names())


def by_address(name, *devices):
    """A config that names these devices."""
    pci = [f"{d[:4]}:{d[5:7]}:{d[8:10]}.{d[11:]}" for d in devices]
    return {"resourceName": name, "resourceFilters": [{"pciAddresses": pci}]}


@pytest.fixture
def node(api, driver):
    made = driver(vfs=8).start()
    names_are(api, lambda names: len(names) == 8 and set(names.values()) == {None}, "8 devices without a name")
    return made


def test_a_filter_is_made_changed_and_deleted(api, node):
    first, second = addresses(api)[:2]
    api.create_filter("one", [by_address("fast", first)])
    names_are(api, lambda n: n[first] == "fast" and n[second] is None, "the first device to be named")
    api.change_filter("one", [by_address("faster", second)])
    names_are(api, lambda n: n[second] == "faster" and n[first] is None, "the second device to be named")
    api.delete_filter("one")
    names_are(api, lambda n: set(n.values()) == {None}, "no device to be named")


def test_the_first_config_that_matches_names_a_device(api, node):
    first = addresses(api)[0]
    api.create_filter("two", [by_address("special", first), *ALL])
    names_are(api, lambda n: n[first] == "special" and list(n.values()).count("all") == 7, "both names")


def test_of_two_filters_the_older_wins_and_the_newer_is_told(api, node):
    first, second = addresses(api)[:2]
    api.create_filter("b-older", [by_address("older", first)])
    time.sleep(1.1)  # creation times have whole seconds
    api.create_filter("a-newer", [by_address("newer", first, second)])
    names_are(api, lambda n: n[first] == "older" and n[second] == "newer", "the older filter's name, and the newer's elsewhere")

    def warned():
        return [e for e in api.events_of("SriovResourceFilter", "a-newer") if e.type == "Warning" and "b-older" in e.note]
    wait_for(warned, "a Warning event on the newer filter that names the older")
    assert not [e for e in api.events_of("SriovResourceFilter", "b-older") if e.type == "Warning"]

    api.delete_filter("b-older")
    names_are(api, lambda n: n[first] == "newer", "the newer filter's name when the older is gone")


def acceptance(api, name):
    """The condition Accepted of the filter, if it has one."""
    return next((c for c in api.get_filter(name).get("status", {}).get("conditions", []) if c["type"] == "Accepted"), None)


def accepted_as(api, name, status, generation):
    def is_so():
        condition = acceptance(api, name)
        return condition and (condition["status"], condition["observedGeneration"]) == (status, generation) and condition
    return wait_for(is_so, f"filter {name} with Accepted {status} for generation {generation}")


def test_a_filter_that_a_node_applies_is_accepted(api, node):
    api.create_filter("elsewhere", ALL, {"rack": "none has it"})
    api.create_filter("here", ALL)
    condition = accepted_as(api, "here", "True", 1)
    assert (condition["reason"], condition["message"]) == ("Applied", f"applied first on node {NODE}")
    api.change_filter("here", [{"resourceName": "changed"}])
    changed = accepted_as(api, "here", "True", 2)
    assert changed["lastTransitionTime"] == condition["lastTransitionTime"], "it has been accepted since then"

    # Nothing more is written: not by this driver, which sees its own status come back, and not by the next one.
    version = api.get_filter("here")["metadata"]["resourceVersion"]
    node.stop()
    node.start()
    api.create_filter("later", [{"resourceName": "later"}])
    accepted_as(api, "later", "True", 1)
    assert api.get_filter("here")["metadata"]["resourceVersion"] == version
    assert acceptance(api, "elsewhere") is None, "no node has applied it"


def test_without_the_right_to_tell_filters_work_all_the_same(api, driver):
    with api.without_rule("sriovresourcefilters/status"):
        made = driver(vfs=8).start()
        api.create_filter("one", ALL)
        names_are(api, lambda n: len(n) == 8 and set(n.values()) == {"all"}, "the names")
        wait_for(lambda: "status of SriovResourceFilter" in made.log(), "a line about the status")
    assert acceptance(api, "one") is None


def test_labels_of_the_node_choose_filters(api, node):
    try:
        api.create_filter("rack", ALL, {"rack": "a"})
        api.create_filter("other", [{"resourceName": "other"}], {"rack": "b"})
        time.sleep(1)
        assert set(api.resource_names().values()) == {None}
        api.label_node(rack="a")
        names_are(api, lambda n: set(n.values()) == {"all"}, "the filter of rack a")
        api.label_node(rack="b")
        names_are(api, lambda n: set(n.values()) == {"other"}, "the filter of rack b")
        api.label_node(rack=None)
        names_are(api, lambda n: set(n.values()) == {None}, "no filter")
    finally:
        api.label_node(rack=None)


def test_filters_of_other_namespaces_count_for_nothing(api, node):
    api.custom.create_namespaced_custom_object(DRIVER, "v1alpha1", "default", "sriovresourcefilters", {
        "apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter", "metadata": {"name": "elsewhere"},
        "spec": {"configs": ALL}})
    try:
        time.sleep(1)  # nothing is what is tested
        assert set(api.resource_names().values()) == {None}
    finally:
        api.custom.delete_namespaced_custom_object(DRIVER, "v1alpha1", "default", "sriovresourcefilters", "elsewhere")


@pytest.mark.parametrize("spec, complaint", [
    ({"configs": [{"resourceFilters": []}]}, "resourceName"),
    ({"configs": [{"resourceName": ""}]}, "at least 1 chars"),
    ({"configs": [{"resourceName": " padded"}]}, "white space"),
    ({"configs": [{"resourceName": "x" * 65}]}, "64"),
    ({"configs": [{"resourceName": "x", "resourceFilters": [{"vendors": ["0x8086"]}]}]}, "without 0x"),
    ({"configs": [{"resourceName": "x", "resourceFilters": [{"devices": ["10e"]}]}]}, "4 hexadecimal digits"),
    ({"configs": [{"resourceName": "x", "resourceFilters": [{"pciAddresses": ["08:00.2"]}]}]}, "should match"),
    ({"configs": [{"resourceName": "x", "resourceFilters": [{"numaNodes": [0]}]}]}, "must be of type string"),
    ({"configs": [{"resourceName": "x", "resourceFilters": [{"numaNodes": ["zero"]}]}]}, "number in quotes"),
    ({"nodeSelector": {"rack": 1}}, "must be of type string"),
    ({"configs": {"resourceName": "x"}}, "must be of type array"),
])
def test_the_api_server_refuses_a_bad_filter(api, spec, complaint):
    with pytest.raises(ApiException) as error:
        api.custom.create_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters", {
            "apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter", "metadata": {"name": "bad"}, "spec": spec})
    assert error.value.status == 422
    assert complaint in error.value.body


def test_a_filter_older_than_the_schema_keeps_what_was_there(api, node):
    """Written while the definition still allowed everything: the driver names the mistake and applies the others."""
    first = addresses(api)[0]
    api.create_filter("good", [by_address("good", first)])
    names_are(api, lambda n: n[first] == "good", "the good filter")
    definition = f"sriovresourcefilters.{DRIVER}"
    strict = api.extensions.read_custom_resource_definition(definition)
    loose = api.client.sanitize_for_serialization(strict)["spec"]["versions"]
    loose[0]["schema"]["openAPIV3Schema"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    strict_versions = api.client.sanitize_for_serialization(strict)["spec"]["versions"]
    try:
        api.extensions.patch_custom_resource_definition(definition, {"spec": {"versions": loose}})

        def accepted():
            try:
                return api.create_filter("bad", [{"resourceName": 7}])
            except ApiException as error:
                assert error.status not in (400, 422), error.body
                raise
        wait_for(accepted, "the loose definition")
    finally:
        api.extensions.patch_custom_resource_definition(definition, {"spec": {"versions": strict_versions}})
    wait_for(lambda: [e for e in api.events_of("SriovResourceFilter", "bad") if e.type == "Warning"
                      and "resourceName" in e.note], "a Warning event that names the field")
    # The server itself cannot apply anything to an object of the wrong types.
    wait_for(lambda: "failed to create typed live object" in node.log(), "a line about the status")
    assert acceptance(api, "bad") is None
    assert api.resource_names()[first] == "good"


def test_a_filter_newer_than_the_driver_is_not_accepted(api, driver):
    """The definition of a later version is there before the node's driver is. (A watch that has begun before goes on without
    the fields that are new.)"""
    definition = f"sriovresourcefilters.{DRIVER}"
    versions = api.client.sanitize_for_serialization(api.extensions.read_custom_resource_definition(definition))["spec"]["versions"]
    later = copy.deepcopy(versions)
    spec = later[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec["configs"]["items"]["properties"]["weight"] = {"type": "integer"}
    try:
        api.extensions.patch_custom_resource_definition(definition, {"spec": {"versions": later}})

        def kept():
            api.create_filter("later", [{"resourceName": "all", "weight": 1}])
            if "weight" in api.get_filter("later")["spec"]["configs"][0]:
                return True
            api.delete_filter("later")
            return False
        wait_for(kept, "the later definition")
        driver(vfs=8).start()
        condition = accepted_as(api, "later", "False", 1)
        assert condition["reason"] == "Invalid" and "weight: unknown key" in condition["message"]
        api.change_filter("later", ALL)
        accepted_as(api, "later", "True", 2)
    finally:
        api.extensions.patch_custom_resource_definition(definition, {"spec": {"versions": versions}})


def told_on_the_node(api, text):
    wait_for(lambda: [e for e in api.events_of("Node", NODE) if e.reason == "FiltersNotFollowed" and text in e.note],
             "a Warning event on the Node")


def test_the_definition_comes_later(api, driver):
    """Without the definition every device is published without a name; when it comes, so do the names."""
    definition = f"sriovresourcefilters.{DRIVER}"
    api.extensions.delete_custom_resource_definition(definition)
    wait_for(lambda: definition not in {d.metadata.name for d in api.extensions.list_custom_resource_definition().items},
             "the definition to go")
    try:
        made = driver(vfs=8).start()
        names_are(api, lambda n: len(n) == 8 and set(n.values()) == {None}, "devices without names")
        assert "sriovresourcefilters" in made.log()
        told_on_the_node(api, "sriovresourcefilters")
    finally:
        api.install_filters()
    api.create_filter("late", ALL)
    names_are(api, lambda n: set(n.values()) == {"all"}, "the names")


def test_the_right_to_read_filters_comes_later(api, driver):
    """Without it the devices are published all the same, and people are told which right is missing."""
    with api.without_rule("sriovresourcefilters"):
        driver(vfs=8).start()
        api.create_filter("late", ALL)
        names_are(api, lambda n: len(n) == 8 and set(n.values()) == {None}, "devices without names")
        told_on_the_node(api, "HTTP 403")
    names_are(api, lambda n: set(n.values()) == {"all"}, "the names")
