#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""socks.py PORT MILLISECONDS BACKEND-PORT: a SOCKS5 server (RFC 1928) whose CONNECT takes its time

Whatever address is asked for, it answers after MILLISECONDS and joins the client to 127.0.0.1:BACKEND-PORT
where the asked port is 80, otherwise it echoes: what a far server would do.
"""
import asyncio
import sys

PORT, DELAY, BACKEND = int(sys.argv[1]), int(sys.argv[2]) / 1000, int(sys.argv[3])


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass


async def asked_port(reader):
    _, command, _, kind = await reader.readexactly(4)
    size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
    await reader.readexactly(size)
    return command, int.from_bytes(await reader.readexactly(2), "big")


async def serve(reader, writer):
    try:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\5\0")
        _, port = await asked_port(reader)
        await asyncio.sleep(DELAY)
        writer.write(b"\5\0\0\1\x7f\0\0\1\0\1")
        if port == 80:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", BACKEND)
            await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer))
            back_writer.close()
        else:
            await pump(reader, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=1024) as server:
        await server.serve_forever()


asyncio.run(main())
