#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""echo.py PORT [BACKLOG]: a server that gives back what it gets until the end, many clients at once"""
import asyncio
import resource
import sys


async def serve(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", int(sys.argv[1]), reuse_address=True,
                                        backlog=int(sys.argv[2]) if len(sys.argv) > 2 else 1024)
    async with server:
        await server.serve_forever()


resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
asyncio.run(main())
