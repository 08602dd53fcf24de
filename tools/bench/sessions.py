"""Thousands of TLS sessions on the gateway beside asyncio's own TLS server, in one run.

    python tools/bench/sessions.py [--sessions N] [--no-write]

Both get the same number of mutual TLS sessions from the same clients, in turns of a few hundred.
Processor time of a handshake is the server's own; memory of a session is what the server has
grown by when all stand, after each has had a request. Writes its section of docs/performance.md.
Exit codes: 0 all bars hold, 1 one is missed, 3 something to measure with is missing.
"""

import argparse
import asyncio
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.errors import ClsbenchError
from clsbench.load import gauge
from clsbench.load.bench import allow_descriptors
from clsbench.load.box import LoadBox
from clsbench.load.population import METER, Population, populate
from clsbench.meters.pty_meter import PtyMeter
from clsbench.net.tls import han_client

sys.path.insert(0, str(Path(__file__).parent))
from calm import ahead, words
from tables import Report, machine, table

AT_ONCE = 8
TURN = 250
WARM_UP = 50
MEMORY_KIB = 60
CPU_RATIO = 1.10
PLAIN, SAME, GATEWAY = "asyncio", "asyncio with the rules", "gateway"
PEER = Path(__file__).with_name("sessions_peer.py")


class Side:
    """One server under load.

    cpu_ms: of a handshake, one figure for each turn; kib_each: memory of a session, and held:
    those that stand, both after `weigh`.
    """

    def __init__(self, name: str, pid: int, port: int):
        self.name = name
        self.cpu_ms: list[float] = []
        self.kib_each = 0.0
        self.held = 0
        self.boxes: list[LoadBox] = []
        self._pid, self._port = pid, port
        self._first_kib = 0

    async def warm(self, population: Population, cls_ids: list[str]) -> None:
        """Sessions that count for nothing."""
        await self._open(population, cls_ids)
        self._first_kib = gauge.read(self._pid).resident_kib

    async def turn(self, population: Population, cls_ids: list[str]) -> None:
        """Sessions that count."""
        before = gauge.read(self._pid).cpu_ns
        await self._open(population, cls_ids)
        self.cpu_ms.append((gauge.read(self._pid).cpu_ns - before) / len(cls_ids) / 1e6)

    def weigh(self) -> None:
        """At the end, while all sessions stand."""
        counted = len(self.boxes) - WARM_UP
        self.kib_each = (gauge.read(self._pid).resident_kib - self._first_kib) / counted
        self.held = sum(box.connected for box in self.boxes) - WARM_UP

    async def _open(self, population: Population, cls_ids: list[str]) -> None:
        made = [LoadBox(cls_id) for cls_id in cls_ids]
        trust, name = population.pki.han_trust, population.pki.smgw_id
        contexts = [han_client(population.pki.cls(box.cls_id), trust) for box in made]
        for context in contexts:
            context.maximum_version = ssl.TLSVersion.TLSv1_2  # as a board has it
        pairs = list(zip(made, contexts))

        async def connect(pair: tuple) -> None:
            await pair[0].connect(self._port, name, pair[1])

        await _each(pairs, connect)
        await asyncio.sleep(0.1)  # the server's last steps
        self.boxes += made


Sides = dict[str, Side]


async def measure(work: Path, sessions: int) -> Sides:
    """Each after the whole course."""
    allow_descriptors(3 * (sessions + WARM_UP))
    population = populate(work, sessions + WARM_UP, lambda _: None)
    population.write_emt()
    meter = PtyMeter(METER, BenchClock())
    population.write_smgw(meter.port, 1)
    role = RoleProcess("smgw", population.smgw_config, work / "smgw.log", ahead())
    peers: list[asyncio.subprocess.Process] = []
    sides: Sides = {}
    try:
        for name, rules in ((PLAIN, "plain"), (SAME, "rules")):
            command = [*ahead(), sys.executable, str(PEER), str(population.pki.directory), rules]
            peers.append(await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE))
            answer = peers[-1].stdout
            assert answer is not None
            sides[name] = Side(name, peers[-1].pid, int(await answer.readline()))
        await role.start()
        sides[GATEWAY] = Side(GATEWAY, role.pid, role.ports["han"])
        await _course(population, sides, sessions)
        return sides
    finally:
        for peer in peers:
            peer.kill()
            await peer.wait()
        await role.stop()
        meter.close()


async def _course(population: Population, sides: Sides, sessions: int) -> None:
    warm, rest = list(population.cls_ids[:WARM_UP]), population.cls_ids[WARM_UP:]
    for side in sides.values():
        await side.warm(population, warm)
    for begin in range(0, sessions, TURN):
        for side in sides.values():
            await side.turn(population, list(rest[begin : begin + TURN]))
    await _each(sides[GATEWAY].boxes, LoadBox.time)
    for side in sides.values():
        side.weigh()


async def _each(things: list, act: Callable[..., Awaitable[object]]) -> None:
    left = iter(things)

    async def work() -> None:
        for thing in left:
            await act(thing)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def tell(sides: Sides, sessions: int, write: bool) -> int:
    """The section; returns the exit code."""
    peer, gateway = sides[SAME], sides[GATEWAY]
    held, memory = gateway.held, gateway.kib_each
    ratio = statistics.median(ours / own for own, ours in zip(peer.cpu_ms, gateway.cpu_ms))
    report = Report()
    report.bar("G20", "sessions held", f"{held:,}", "3,000", held >= sessions)
    limit = f"{MEMORY_KIB} KiB"
    report.bar("G20", "memory of a session", f"{memory:.1f} KiB", limit, memory <= MEMORY_KIB)
    report.bar(
        "G20",
        "processor time of a handshake",
        f"{ratio:.2f} of asyncio's with the rules",
        f"{CPU_RATIO:.2f}",
        ratio <= CPU_RATIO,
    )
    rows = [
        [
            side.name,
            f"{side.kib_each:.1f} KiB",
            f"{statistics.median(side.cpu_ms):.2f} ms",
            f"{min(side.cpu_ms):.2f} ms",
        ]
        for side in sides.values()
    ]
    report.add(table(["server", "memory of a session", "handshake, median", "least"], rows))
    intro = (
        f"{sessions:,} mutual TLS 1.2 sessions on P-256, each box with its own certificate, on "
        "the gateway (hello, certificate and profile judged; no event log) and on asyncio's own "
        "TLS server, which only echoes: once plain, once with the rules that are OpenSSL's to "
        "keep on the gateway, too: revocation list, strictness with certificates, no session "
        f"remembered. In turns of {TURN}. Memory is with an HTTP request served on each, time "
        "without: HTTP begins with the first byte. Processor time is the server's own; "
        f"{words()}. {machine()}."
    )
    return report.finish("sessions", "TLS sessions", intro, write)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Benchmark of TLS sessions.")
    parser.add_argument("--sessions", type=int, default=3000)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="clsbench-bench-") as folder:
            return asyncio.run(_run(Path(folder), options.sessions, not options.no_write))
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code


async def _run(work: Path, sessions: int, write: bool) -> int:
    sides = await measure(work, sessions)
    return tell(sides, sessions, write)


if __name__ == "__main__":
    sys.exit(main())
