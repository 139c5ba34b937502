#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
many.py HOST PORT TOTAL AT-ONCE [THREADS]: connect so often to an echo server, check what comes back

Prints one line: how many were served, then each errno with its count; seconds; the slowest.
With a fifth argument each connection is a blocking connect() in a thread of its own.
"""
import asyncio
import collections
import errno
import resource
import socket
import sys
import threading
import time

host, port, total, at_once = sys.argv[1], *map(int, sys.argv[2:5])
LIMIT = 60
result = collections.Counter()
slowest = 0.0


def name(problem):
    if isinstance(problem, (asyncio.TimeoutError, TimeoutError)) and not getattr(problem, "errno", None):
        return "no answer"
    return errno.errorcode.get(getattr(problem, "errno", None), type(problem).__name__)


async def exchange(text):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(text)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def one(number, turn):
    global slowest
    text = b"hello %d\n" % number * 20
    async with turn:
        begun = time.monotonic()
        try:
            back = await asyncio.wait_for(exchange(text), LIMIT)
            result["ok" if back == text else "wrong bytes" if back else "early end"] += 1
        except (OSError, asyncio.TimeoutError) as problem:
            result[name(problem)] += 1
        slowest = max(slowest, time.monotonic() - begun)


async def events():
    turn = asyncio.Semaphore(at_once)
    await asyncio.gather(*(one(i, turn) for i in range(total)))


def blocking(number):
    text = b"hello %d\n" % number * 20
    try:
        with socket.create_connection((host, port), None) as s:
            s.settimeout(LIMIT)
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            back = b"".join(iter(lambda: s.recv(65536), b""))
        result["ok" if back == text else "wrong bytes" if back else "early end"] += 1
    except OSError as problem:
        result[name(problem)] += 1


def threads():
    for start in range(0, total, at_once):
        running = [threading.Thread(target=blocking, args=(i,)) for i in range(start, min(total, start + at_once))]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()


resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
start = time.monotonic()
if len(sys.argv) > 5:
    threads()
else:
    asyncio.run(events())
print(f"{result.pop('ok', 0)} served" + "".join(f", {n} {what}" for what, n in sorted(result.items())),
      f"in {time.monotonic() - start:.1f} s" + (f", slowest {slowest:.2f} s" if slowest else ""), sep="; ")
