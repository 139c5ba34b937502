#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""loops.py HOST:PORT HOST:PORT: two connects in one event loop (asyncio)

Prints milliseconds: the first alone, both at once, the longest time that the loop was held meanwhile.
Each connection must echo its own bytes.
"""
import asyncio
import sys
import time

TICK = 0.002


async def connect(target, begun=None):
    host, port = target.rsplit(":", 1)
    begun = begun or time.monotonic()
    reader, writer = await asyncio.open_connection(host, int(port))
    took = time.monotonic() - begun
    text = target.encode() + b"\n"
    writer.write(text)
    if await reader.readline() != text:
        sys.exit(f"{target}: wrong bytes")
    writer.close()
    return took


async def tick(gaps):
    before = time.monotonic()
    while True:
        await asyncio.sleep(TICK)
        now = time.monotonic()
        gaps.append(now - before - TICK)
        before = now


async def main():
    one = await connect(sys.argv[1])
    await asyncio.sleep(1)  # the figure is for a node at rest
    gaps = []
    ticker = asyncio.create_task(tick(gaps))
    await asyncio.sleep(10 * TICK)
    begun = time.monotonic()
    both = max(await asyncio.gather(*(connect(target, begun) for target in sys.argv[1:])))
    await asyncio.sleep(2 * TICK)
    ticker.cancel()
    print(f"{one * 1000:.0f} {both * 1000:.0f} {max(gaps) * 1000:.0f}")


asyncio.run(main())
