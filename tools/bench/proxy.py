"""The gateway's CLS channel beside a plain TLS proxy of asyncio's streams, in one run.

    python tools/bench/proxy.py [--rounds N] [--no-write]

Client, proxy and echo server are processes of their own, both hops are TLS. Blocks of 64 KiB are
echoed for throughput, 256 bytes for the round trip, the two proxies in turn. Writes its section
of docs/performance.md. Exit codes: 0 all bars hold, 1 one is missed.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.errors import ClsbenchError
from clsbench.pki.layout import Pki

sys.path.insert(0, str(Path(__file__).parent))
from calm import ahead, words
from proxy_worker import client_context
from tables import Report, machine, table

HERE = Path(__file__).parent
BLOCK = 65536
SMALL = 256
SPAN_S = 1.0
TRIPS = 1500
MIN_THROUGHPUT = 0.9
MAX_TRIP = 1.15
NAMES = {"ours": "gateway", "bare": "asyncio streams"}


@dataclass
class Figures:
    """One figure for each round."""

    mb_s: list[float] = field(default_factory=list)
    trip_us: list[float] = field(default_factory=list)


async def measure(pki: Pki, rounds: int) -> dict[str, Figures]:
    """Of both proxies, in turn."""
    workers: list[asyncio.subprocess.Process] = []

    async def worker(script: str, *arguments: str) -> int:
        program = [sys.executable, str(HERE / script), str(pki.directory)]
        command = [*ahead(), *program, *arguments]
        made = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        workers.append(made)
        assert made.stdout is not None
        return int(await made.stdout.readline())

    try:
        echo = str(await worker("proxy_worker.py", "echo"))
        ports = {
            "ours": await worker("proxy_ours.py", echo),
            "bare": await worker("proxy_worker.py", "bare", echo),
        }
        found = {mode: Figures() for mode in NAMES}
        for turn in range(rounds + 1):
            for mode, port in ports.items():
                mb_s, trip_us = await _round(pki, port)
                if turn:  # the first warms up
                    found[mode].mb_s.append(mb_s)
                    found[mode].trip_us.append(trip_us)
        return found
    finally:
        for made in workers:
            made.kill()
            await made.wait()


async def _round(pki: Pki, port: int) -> tuple[float, float]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client_context(pki), server_hostname=""
    )
    block, small = bytes(BLOCK), bytes(SMALL)
    try:
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < SPAN_S:
            writer.write(block)
            await reader.readexactly(BLOCK)
            count += 1
        mb_s = count * BLOCK / (time.perf_counter() - begun) / 1e6
        trips = []
        for _ in range(TRIPS):
            begun = time.perf_counter()
            writer.write(small)
            await reader.readexactly(SMALL)
            trips.append(time.perf_counter() - begun)
    finally:
        writer.transport.abort()
    return mb_s, statistics.median(trips) * 1e6


def tell(found: dict[str, Figures], write: bool) -> int:
    """The section; returns the exit code."""
    ours, bare = found["ours"], found["bare"]
    through = statistics.median(a / b for a, b in zip(ours.mb_s, bare.mb_s))
    trip = statistics.median(a / b for a, b in zip(ours.trip_us, bare.trip_us))
    report = Report()
    limit = f"{MIN_THROUGHPUT:.2f}"
    report.bar(
        "G20", "throughput", f"{through:.2f} of asyncio's", limit, through >= MIN_THROUGHPUT
    )
    report.bar(
        "G20", "round trip", f"{trip:.2f} of asyncio's", f"{MAX_TRIP:.2f}", trip <= MAX_TRIP
    )
    rows = [
        [
            name,
            f"{statistics.median(found[mode].mb_s):.0f} MB/s",
            f"{statistics.median(found[mode].trip_us):.0f} us",
        ]
        for mode, name in NAMES.items()
    ]
    report.add(table(["proxy", "64 KiB blocks echoed", "256 bytes, round trip"], rows))
    intro = (
        "A client and an echo server with a proxy between them, TLS 1.2 on both hops: the "
        "gateway's relay of a CLS channel, and a plain pair of pumps on asyncio's streams with "
        "its own buffers. Ratios are of the same round, their median is told; "
        f"{words()}. {machine()}."
    )
    return report.finish("proxy", "CLS channel", intro, write)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Benchmark of the CLS channel.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="clsbench-bench-") as folder:
            found = asyncio.run(measure(Pki.init(Path(folder) / "pki"), options.rounds))
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return tell(found, not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
