"""Concurrent clients that search: python clients.py PORT REQUESTS CLIENTS PHOTO… → JSON.

They run in a separate process, so that their work does not delay the server.
"""

import asyncio
import json
import sys
import time
from pathlib import Path


async def send(port: int, requests: list[bytes], found: list[tuple[int, float]]) -> None:
    """Send requests one at a time on one connection; append (status, seconds) to ``found``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while requests:
        request = requests.pop()
        start = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r", 1)[0])
        await reader.readexactly(length)
        found.append((int(head[9:12]), time.perf_counter() - start))
    writer.close()


async def main() -> None:
    """Send the requests and print each one's status and seconds, and the total seconds."""
    port, count, clients = map(int, sys.argv[1:4])
    photos = [Path(name).read_bytes() for name in sys.argv[4:]]
    head = "POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    kinds = [head.format(len(photo)).encode() + photo for photo in photos]
    requests = [kinds[number % len(kinds)] for number in range(count)]
    found: list[tuple[int, float]] = []
    start = time.perf_counter()
    await asyncio.gather(*(send(port, requests, found) for _ in range(clients)))
    print(json.dumps({"seconds": time.perf_counter() - start, "found": found}))


if __name__ == "__main__":
    asyncio.run(main())
