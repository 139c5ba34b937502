#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""liar_relay.py LIE ADDRESS PORT - a relay that tells both sides that they are joined, and then

    silent   says nothing more
    once     says nothing more to the first session, and serves the others
    inject   sends bytes of its own first
    flip     turns a bit in each side's first bytes
    reflect  sends each side its own bytes back
    replay   sends what both sides of earlier sessions sent first
    cross    joins sides of different sessions
"""
import asyncio
import os
import sys

JOINED = b"\x00\x00\x00\x02\x08\x01"  # a frame with RelayReply {status: RELAY_JOINED}
PREAMBLE = 56
KIND = 4  # its offset: caller's or callee's hello
lie = sys.argv[1]
waiting, recorded = [], []
sessions = []


async def copy(reader, writer, change):
    first = True
    while data := await reader.read(65536):
        writer.write(change(data) if first else data)
        first = False
        await writer.drain()
    writer.close()


def flipped(data):
    return bytes([data[0]]) + bytes([data[1]]) + data[2:30] + bytes([data[30] ^ 1]) + data[31:]


async def replay(reader, writer, session):
    """What is of this very session is no lie: its other side did say it"""
    own = await reader.readexactly(PREAMBLE)
    old = [hello for other, hello in recorded if other != session]
    recorded.append((session, own))
    # First of the kind that this side waits for
    for hello in sorted(old, key=lambda hello: hello[KIND] == own[KIND]):
        writer.write(hello)
    if old:
        print("replayed to kind", own[KIND], flush=True)
    await reader.read()


async def serve(reader, writer):
    size = int.from_bytes(await reader.readexactly(4), "big")
    hello = await reader.readexactly(size)
    at = hello.index(b"\x0a\x10") + 2  # Ticket.session: field 1, 16 bytes
    session = hello[at:at + 16]
    print("visited", flush=True)
    writer.write(JOINED)
    sessions.append(session)
    if lie == "silent" or (lie == "once" and session == sessions[0]):
        await reader.read()
    elif lie == "inject":
        writer.write(os.urandom(PREAMBLE) + b"welcome to mallory's\n")
        await reader.read()
    elif lie == "reflect":
        await copy(reader, writer, lambda data: data)
    elif lie == "replay":
        await replay(reader, writer, session)
    else:  # once, flip, cross: two visitors are one pair, right or wrong
        other = next((w for w in waiting if (w[0] == session) == (lie != "cross")), None)
        if not other:
            waiting.append((session, reader, writer))
            return
        waiting.remove(other)
        _, r2, w2 = other
        change = flipped if lie == "flip" else lambda data: data
        print("joined", flush=True)
        await asyncio.gather(copy(reader, w2, change), copy(r2, writer, change))


async def main():
    server = await asyncio.start_server(serve, sys.argv[2], int(sys.argv[3]))
    await server.serve_forever()

asyncio.run(main())
