"""The client of the proxy benchmark: one round through a proxy, in a process of its own.

    python tools/bench/proxy_client.py PKI_DIR PORT PID

Sends blocks over TLS and waits for their echo, then small ones. PID: of the proxy, whose processor
time is read. Prints MB/s, microseconds of a round trip and processor milliseconds of the proxy
for 1 MB. Imports nothing that changes how asyncio reads.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

from proxy_worker import client_context

from clsbench.load import gauge
from clsbench.pki.layout import Pki

BLOCK = 65536
SMALL = 256
SPAN_S = 1.0
TRIPS = 1500


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
    """One round; prints its figures."""
    block, small = bytes(BLOCK), bytes(SMALL)
    count, cpu_ns, begun = 0, gauge.read(pid).cpu_ns, time.perf_counter()
    while time.perf_counter() - begun < SPAN_S:
        writer.write(block)
        await reader.readexactly(BLOCK)
        count += 1
    mb = count * BLOCK / 1e6
    mb_s = mb / (time.perf_counter() - begun)
    cpu_ms = (gauge.read(pid).cpu_ns - cpu_ns) / 1e6 / mb
    trips = []
    for _ in range(TRIPS):
        begun = time.perf_counter()
        writer.write(small)
        await reader.readexactly(SMALL)
        trips.append(time.perf_counter() - begun)
    print(mb_s, statistics.median(trips) * 1e6, cpu_ms)
    writer.transport.abort()


async def main(folder: str, port: int, pid: int) -> None:
    """One round."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client_context(Pki.open(Path(folder))), server_hostname=""
    )
    await talk(reader, writer, pid)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
