# SPDX-License-Identifier: MIT
"""Who may include what: includes.py ROOT prints one line for each breach.

The siblings shim, resolver, rendezvous and relay share common/ and conf/, never each other; the shim and
the pure files (PURE in the Makefile) reach libc alone, through any number of headers; a library
is used in one folder or, better, one file.
"""
import os
import re
import sys

# Folder: what of the project it may include, and which libraries (first part of the header's path)
FOLDERS = {
    "shim": ("shim conf PURE", ""),
    "resolver": ("resolver conf common", "event2 openssl ares json-c natpmp miniupnpc protobuf-c"),
    "rendezvous": ("rendezvous conf common", "event2 openssl hiredis protobuf-c"),
    "relay": ("relay conf common", "event2 openssl protobuf-c"),
    "conf": ("conf PURE", "ini"),
    "common": ("common", "openssl protobuf-c seccomp sodium zxcvbn"),
}
# Library: the one file that may include it
OWNERS = {
    "zxcvbn": ["common/strength.c"],
    "ares": ["resolver/dns.c", "resolver/dns_channel.c", "resolver/dns_channel.h"],
    "ini": ["conf/conf.c"],
    "sodium": ["common/meeting.c"],
    "seccomp": ["common/sandbox.c"],
    "natpmp": ["resolver/mapper_natpmp.c"],
    "miniupnpc": ["resolver/mapper_upnp.c"],
    # the store, and the two connections that it has to the server
    "hiredis": ["rendezvous/store_redis.c", "rendezvous/redis_link.c", "rendezvous/redis_link.h"],
}
LIBRARIES = {"event2", "openssl", "ares", "json-c", "protobuf-c", "hiredis", "ini", "seccomp", "sodium", "zxcvbn", "cmocka", "natpmp", "miniupnpc"}
PURE_HEADERS = {"common/clock.h", "common/limits.h", "common/printable.h"}  # without a file of their own
ALLOWED = {"shim/punch.c": ["common/strength.h"]}  # the runner is a program of its own, not the library
GENERATED = {"common/punch.pb-c.h": ["protobuf-c/protobuf-c.h"]}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


class Tree:
    def __init__(self, root):
        self.files = {}
        for folder in FOLDERS:
            for path, _, names in os.walk(os.path.join(root, folder)):
                for name in names:
                    if name.endswith((".c", ".h")):
                        file = os.path.relpath(os.path.join(path, name), root)
                        with open(os.path.join(root, file), encoding="utf-8") as f:
                            self.files[file] = COMMENT.sub(" ", f.read())
        with open(os.path.join(root, "Makefile"), encoding="utf-8") as f:
            line = re.search(r"^PURE\s*=((?:.*\\\n)*.*)", f.read(), re.M)
        self.pure = re.findall(r"[\w/]+\.c", line.group(1))
        self.pure_headers = PURE_HEADERS | {c[:-2] + ".h" for c in self.pure}

    def includes(self, file):
        """Headers of a file: (name, is it the project's or a known library's)"""
        if file in GENERATED:
            return GENERATED[file]
        return [name for mark, name in INCLUDE.findall(self.files.get(file, ""))
                if mark == '"' or library(name)]


def library(header):
    first = re.sub(r"\.h$", "", header.split("/")[0])
    return first if first in LIBRARIES else None


def borders(tree):
    for file in sorted(tree.files):
        folder = file.split("/")[0]
        project, libraries = (words.split() for words in FOLDERS[folder])
        for header in tree.includes(file):
            lib = library(header)
            if lib and lib not in libraries:
                yield f"{file} includes {header}, which {folder}/ may not"
            elif lib and file not in OWNERS.get(lib, [file]):
                yield f"{file} includes {header}, which belongs to {OWNERS[lib][0]}"
            elif not lib and header not in ALLOWED.get(file, []) and header.split("/")[0] not in project and not (
                    "PURE" in project and header in tree.pure_headers):
                yield f"{file} includes {header}, which {folder}/ may not"
        if re.search(r"\bdlsym\s*\(", tree.files[file]) and file != "shim/libc.c":
            yield f"{file} calls dlsym, which belongs to shim/libc.c"


def purity(tree):
    queue = [(file, file) for file in tree.files if file in tree.pure or file.startswith("shim/")]
    seen = set()
    while queue:
        file, way = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        for header in tree.includes(file):
            if library(header) and file not in OWNERS.get(library(header), []):
                yield f"pure code reaches {header}: {way}"
            elif header in tree.files or header in GENERATED:
                queue.append((header, f"{way} -> {header}"))


if __name__ == "__main__":
    the_tree = Tree(sys.argv[1])
    for breach in [*borders(the_tree), *purity(the_tree)]:
        print(breach)
