# SPDX-License-Identifier: MIT
"""secrets.py FOLDER WHERE [NAME LABEL...]: look for secrets where none may be; print each place, once.

FOLDER/told has what the programs told (tell.c), FOLDER/word the word of quick mode, FOLDER/keys paths of files with secrets.
WHERE is a file or a folder; or "cmdline": of all processes; "environ NAME": of those called NAME; "memory NAME
LABEL...": the same, for secrets of these labels. A secret is found by any eight of its bytes in a row that begin at a multiple
of eight: raw, in hexadecimal, or in base64 with whatever before them. "count LABEL": how many there are; "forms": is it found, really?
"""
import base64
import os
import re
import sys

PIECE = 8           # bytes: nothing else has the same by chance
LINE = 128          # of told
SHADOW = 1 << 30    # bytes mapped at once: none but the sanitizers' own

folder, where, *rest = sys.argv[1:]


def told():
    """The secrets that programs have told, as (label, bytes)."""
    with open(os.path.join(folder, "told"), "rb") as f:
        count = int.from_bytes(f.read(4), "little")
        assert 0 < count < (4 << 20) // LINE - 1, f"{count} secrets: there was no room for them, or nobody told any"
        f.seek(LINE)
        for _ in range(count):
            label, digits = f.read(LINE).split()
            yield label.decode(), bytes.fromhex(digits.decode())


def filed():
    """Those in files: the last 32 bytes of what stands there in base64, with or without the lines of PEM around it."""
    with open(os.path.join(folder, "keys"), encoding="ascii") as names:
        for name in names.read().split():
            with open(name, encoding="ascii") as f:
                body = "".join(line.strip() for line in f if "-----" not in line)
            yield "private", base64.b64decode(body)[-32:]


with open(os.path.join(folder, "word"), encoding="ascii") as word_file:
    word = word_file.read().strip().encode()
secrets = {*told(), *filed()}


def windows(secret, size, step):
    """All of @size bytes in a row that begin at multiples of @step."""
    return [secret[at:at + size] for at in range(0, len(secret) - size + 1, step)]


raw, hexed, coded = {}, {}, {}
for label, secret in {*secrets, ("word", word)}:
    for piece in windows(secret, PIECE, PIECE):
        raw[piece] = label
        hexed[piece.hex().encode()] = label
    for before in range(3):     # bytes before it that share its digits; digits that they have a part in are left out
        text = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        for piece in windows(text[4 if before else 0:-1], 12, 4):
            coded[piece] = label
            coded[piece.translate(bytes.maketrans(b"+/", b"-_"))] = label


def seen(data):
    """Which secrets are in there."""
    found = {raw.get(data[at:at + PIECE]) for at in range(len(data))}
    for pattern, size, known in (rb"[0-9a-fA-F:\\x ]{16,}", 16, hexed), (rb"[A-Za-z0-9+/_-]{12,}", 12, coded):
        for run in re.findall(pattern, data):
            if known is hexed:
                run = re.sub(rb"[^0-9a-f]|0x", b"", run.lower())
            found |= {known.get(run[at:at + size]) for at in range(len(run))}
    return found - {None}


def look(name, data):
    """Say which secrets are in there."""
    for what in sorted(seen(data)):
        print(f"{name}: {what}", flush=True)


def forms(secret):
    """What a log might make of it."""
    digits = secret.hex()
    yield from (secret, digits.encode(), digits.upper().encode(), secret[:len(secret) // 2].hex().encode())
    yield from ("".join(mark + digits[at:at + 2] for at in range(0, len(digits), 2)).encode() for mark in ("\\x", ":", " "))
    for before in range(4):
        yield from (code(bytes(before) + secret + b"and more") for code in (base64.b64encode, base64.urlsafe_b64encode))


def processes(called=None):
    """Of this PID namespace: number and name."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                comm = f.read().strip()
        except OSError:
            continue
        if called in (None, comm):
            yield pid, comm


def memory(pid):
    """What is mapped there and can be read, but for the file in which secrets are told."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            at, rights, *_ = line.split()
            start, end = (int(n, 16) for n in at.split("-"))
            if rights[0] != "r" or line.rstrip().endswith("/told") or "[v" in line or end - start > SHADOW:
                continue
            mem.seek(start)
            yield mem.read(end - start)


if where == "count":
    print(sum(label == rest[0] for label, _ in secrets))
elif where == "forms":
    for label, secret in {**dict(secrets), "word": word}.items():
        for form in forms(secret):
            if not seen(b"something: " + form + b" and so on"):     # the same one may have another label, too
                print(f"missed: {label} as {form!r}")
elif where in ("cmdline", "environ"):
    looked = 0
    for pid, comm in processes(*rest):
        with open(f"/proc/{pid}/{where}", "rb") as f:
            look(f"{comm} {where}", f.read())
        looked += 1
    if not looked:
        print("no such process")
elif where == "memory":
    called, *labels = rest
    sought = {(label, secret) for label, secret in secrets if label in labels} | {("word", word)}
    pids = [pid for pid, _ in processes(called)]
    if not pids:
        print("no such process")
    for pid in pids:
        for part in memory(pid):
            for what in {label for label, secret in sought if len(secret) >= PIECE and secret in part}:
                print(f"{called} memory: {what}")
else:
    files = [where] if os.path.isfile(where) else [os.path.join(d, name) for d, _, names in os.walk(where) for name in names]
    if not files:
        print("no such file")
    for name in files:
        with open(name, "rb") as f:
            look(os.path.basename(name), f.read())
