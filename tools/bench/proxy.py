"""The gateway's CLS channel beside a plain TLS proxy of asyncio's streams, in one run.

    python tools/bench/proxy.py [--rounds N] [--no-write]

Client, proxy and echo server are processes of their own, both hops are TLS; once more with
SOCKS-TLS before the gateway. Blocks of 64 KiB are echoed for throughput, 256 bytes for the round
trip, the proxies in turn. Writes its section of docs/performance.md. Exit codes: 0 all bars hold,
1 one is missed.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.pki.layout import Pki

sys.path.insert(0, str(Path(__file__).parent))
from calm import ahead, words
from tables import Report, machine, table

HERE = Path(__file__).parent
MIN_THROUGHPUT = 0.9
MAX_TRIP = 1.15
NAMES = {
    "ours": "gateway, TLS in TLS out",
    "socks": "gateway, SOCKS-TLS in TLS out",
    "bare": "asyncio streams",
}


@dataclass
class Figures:
    """One figure for each round; cpu_ms: of the proxy, for 1 MB that went both ways."""

    mb_s: list[float] = field(default_factory=list)
    trip_us: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def measure(pki: Pki, rounds: int) -> dict[str, Figures]:
    """Of all proxies, in turn."""
    workers: list[asyncio.subprocess.Process] = []

    async def worker(script: str, *arguments: str) -> tuple[str, str]:
        """Its port and process number."""
        made = await _started(script, str(pki.directory), *arguments)
        workers.append(made)
        assert made.stdout is not None
        return (await made.stdout.readline()).decode().strip(), str(made.pid)

    try:
        echo, _ = await worker("proxy_worker.py", "echo")
        proxies = {
            "ours": await worker("proxy_ours.py", echo, "tls"),
            "socks": await worker("proxy_ours.py", echo, "socks"),
            "bare": await worker("proxy_worker.py", "bare", echo),
        }
        found = {mode: Figures() for mode in NAMES}
        for turn in range(rounds + 1):
            for mode, at in proxies.items():
                client = "proxy_box.py" if mode == "socks" else "proxy_client.py"
                mb_s, trip_us, cpu_ms = await _round(client, str(pki.directory), *at)
                if turn:  # the first warms up
                    found[mode].mb_s.append(mb_s)
                    found[mode].trip_us.append(trip_us)
                    found[mode].cpu_ms.append(cpu_ms)
        return found
    finally:
        for made in workers:
            made.kill()
            await made.wait()


async def _started(script: str, *arguments: str) -> asyncio.subprocess.Process:
    command = [*ahead(), sys.executable, str(HERE / script), *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)


async def _round(script: str, *arguments: str) -> list[float]:
    client = await _started(script, *arguments)
    said, _ = await client.communicate()
    if client.returncode:
        raise EnvironmentProblem(f"{script} ended with {client.returncode}, see above")
    return [float(each) for each in said.split()]


def _ratio(ours: list[float], bare: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, bare))


def tell(found: dict[str, Figures], write: bool) -> int:
    """The section; returns the exit code."""
    ours, socks, bare = found["ours"], found["socks"], found["bare"]
    trip = _ratio(ours.trip_us, bare.trip_us)
    report = Report()
    limit = f"{MIN_THROUGHPUT:.2f}"
    for what, side in (("throughput", ours), ("throughput with SOCKS-TLS", socks)):
        through = _ratio(side.mb_s, bare.mb_s)
        holds = through >= MIN_THROUGHPUT
        report.bar("G20", what, f"{through:.2f} of asyncio's", limit, holds)
    report.bar(
        "G20", "round trip", f"{trip:.2f} of asyncio's", f"{MAX_TRIP:.2f}", trip <= MAX_TRIP
    )
    rows = [
        [
            name,
            f"{statistics.median(found[mode].mb_s):.0f} MB/s",
            f"{statistics.median(found[mode].trip_us):.0f} us",
            f"{statistics.median(found[mode].cpu_ms):.2f} ms",
        ]
        for mode, name in NAMES.items()
    ]
    heads = ["64 KiB blocks echoed", "256 bytes, round trip", "processor time of the proxy, 1 MB"]
    report.add(table(["proxy", *heads], rows))
    intro = (
        "A client and an echo server with a proxy between them, TLS 1.2 on both hops, each a "
        "process of its own: the gateway's relay of a CLS channel, the same behind its SOCKS-TLS "
        "port, and a plain pair of pumps on asyncio's streams with its own buffers. A box end "
        "that speaks SOCKS-TLS has to frame, too; the proxy's own processor time shows what the "
        "gateway pays. Ratios are of the same round, their median is told; "
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
