"""An upstream that answers after a while: `python slow_upstream.py PORT SECONDS FILE [FAULTS]`.

With FAULTS, one request in so many is reset or stalls for good, and every ten seconds all get 500 for half a
second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path


async def main(port: int, seconds: float, content: bytes, faults: int) -> None:
    """Answer until killed."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
    count = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = int(request.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                count += 1
                await asyncio.sleep(seconds)
                if faults and count % faults == 0:
                    if count // faults % 4:
                        writer.transport.abort()  # a reset
                        return
                    await asyncio.sleep(3600)  # a stall
                if faults and time.monotonic() % 10 < 0.5:  # a burst
                    writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                writer.write(head)
                writer.write(content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(
        main(
            int(sys.argv[1]),
            float(sys.argv[2]),
            Path(sys.argv[3]).read_bytes(),
            int(sys.argv[4]) if len(sys.argv) > 4 else 0,
        )
    )
