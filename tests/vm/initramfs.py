# SPDX-License-Identifier: MIT
"""initramfs.py OUT NAME[=FILE]...: a cpio archive for a kernel to boot from.

NAME is a path inside, of a copy of FILE or of an empty folder. A program comes with the libraries that ldd(1) names
and with its interpreter.
"""
import os
import re
import stat
import subprocess
import sys

entries = {}


def folder(name):
    parent = os.path.dirname(name)
    if name and name not in entries:
        if parent:
            folder(parent)
        entries[name] = (stat.S_IFDIR | 0o755, b"")


def libraries(path):
    result = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", result.stdout)


def add(name, path, with_libraries=True):
    name = name.strip("/")
    if name in entries:
        return
    folder(os.path.dirname(name))
    with open(path, "rb") as file:
        entries[name] = (stat.S_IFREG | (0o755 if os.access(path, os.X_OK) else 0o644), file.read())
    if with_libraries:
        for library in libraries(path):
            add(library, library, False)


def record(name, mode, data, ino):
    fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


for argument in sys.argv[2:]:
    inside, _, outside = argument.partition("=")
    if outside:
        add(inside, outside)
    else:
        folder(inside.strip("/"))
with open(sys.argv[1], "wb") as archive:
    for number, (name, (mode, data)) in enumerate(sorted(entries.items()), 1):
        archive.write(record(name, mode, data, number))
    archive.write(record("TRAILER!!!", 0, b"", 0))
