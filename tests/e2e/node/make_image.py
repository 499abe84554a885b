#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_image.py BUSYBOX OUT.tar: an OCI archive with one layer, a static busybox, under two names:
test.local/pause:1 and test.local/busybox:1. Needs no network and no image tools. write() makes others of the kind."""
import hashlib
import io
import json
import sys
import tarfile

APPLETS = ("sh", "ls", "cat", "echo", "env", "ip", "ping", "sleep", "stat", "test", "grep", "true", "false", "install")
NAMES = ("test.local/pause:1", "test.local/busybox:1")


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer_of(busybox, more):
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        def add(name, content=b"", kind=tarfile.REGTYPE, link=""):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.size = kind, link, 0o755, len(content)
            archive.addfile(entry, io.BytesIO(content))
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp"):
            add(folder, kind=tarfile.DIRTYPE)
        with open(busybox, "rb") as file:
            add("bin/busybox", file.read())
        for applet in APPLETS:
            add("bin/" + applet, kind=tarfile.SYMTYPE, link="busybox")
        for name, content in more.items():
            add(name, content)
    return layer.getvalue()


def descriptor(media_type, content, **more):
    return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": digest(content), "size": len(content),
            **more}


def write(busybox, out, names=NAMES, more=()):
    """more: files beside busybox, path → content."""
    layer = layer_of(busybox, dict(more))
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "2147483647"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar", layer)]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [
        descriptor("manifest.v1+json", manifest, platform={"architecture": "amd64", "os": "linux"},
                   annotations={"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]})
        for name in names]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    files |= {"blobs/sha256/" + digest(blob).split(":")[1]: blob for blob in (config, manifest, layer)}
    with tarfile.open(out, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    write(*sys.argv[1:])
