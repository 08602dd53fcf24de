"""A load run: a gateway and an aEMT as processes, a meter, and many control boxes here.

Three phases: all boxes open their sessions; all ask for the time while all sessions stand; events
are announced, and followed until the aEMT has each record. Ends with `Result`.
"""

import asyncio
import resource
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.errors import ClsbenchError, EnvironmentProblem, PeerSilent
from clsbench.load import gauge
from clsbench.load.box import LoadBox
from clsbench.load.judge import Stored, judge, stored_count
from clsbench.load.population import METER, Population, populate
from clsbench.load.result import Phase, Result, spread
from clsbench.meters.pty_meter import PtyMeter
from clsbench.net.tls import han_client

TELEGRAM_S = 0.05
WARM_UP = 20  # sessions before the first reading: what every process loads once
DESCRIPTORS_BESIDE = 256
PORTS_BESIDE = 256  # roles, and what other programs hold
LOCAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
DELIVERED_WITHIN_S = 120.0  # without one record more
LOOK_S = 0.2


class Progress(Protocol):
    """Told of each phase (name, steps) and of steps done."""

    def phase(self, name: str, steps: int) -> None: ...
    def step(self, number: int = 1) -> None: ...


@dataclass(frozen=True)
class Plan:
    """boxes: sessions held at once; events: announced; at_once: requests in flight."""

    boxes: int
    events: int
    at_once: int


class LoadBench:
    """One run in the folder `work`; `run`, then `close`, whatever happened."""

    def __init__(self, work: Path, plan: Plan, progress: Progress):
        self._work = work
        self._plan = plan
        self._progress = progress
        self._meter = PtyMeter(METER, BenchClock())
        self._pushing: asyncio.Task[None] | None = None
        self._boxes: list[LoadBox] = []
        self._roles: list[RoleProcess] = []

    async def run(self) -> Result:
        """The figures. Raises EnvironmentProblem, PeerRefused, PeerSilent."""
        allow_descriptors(self._plan.boxes + WARM_UP)
        check_ports(self._plan.boxes)
        self._progress.phase("certificates", self._plan.boxes)
        population = populate(self._work, self._plan.boxes, self._progress.step)
        gateway = await self._start(population)
        connecting = await self._connect(population, gateway)
        asking = await self._ask(gateway)
        announcing, delivering, seqs = await self._announce(gateway, population)
        held = sum(box.connected for box in self._boxes)
        found = judge(self._work, population.pki.wan_trust.read_bytes())
        return Result(
            self._plan.boxes,
            held,
            connecting,
            asking,
            announcing,
            delivering,
            _findings(seqs, found),
        )

    async def close(self) -> None:
        """Ends sessions, processes and meter."""
        for box in self._boxes:
            box.close()
        for role in reversed(self._roles):
            await role.stop()
        if self._pushing is not None:
            self._pushing.cancel()
        self._meter.close()

    async def _start(self, population: Population) -> RoleProcess:
        self._progress.phase("roles", 2)
        population.write_emt()
        emt = await self._role("emt", population.emt_config)
        population.write_smgw(self._meter.port, emt.ports["delivery"])
        gateway = await self._role("smgw", population.smgw_config)
        self._pushing = asyncio.create_task(self._push())
        return gateway

    async def _role(self, name: str, config: Path) -> RoleProcess:
        role = RoleProcess(name, config, self._work / f"{name}.log")
        self._roles.append(role)
        await role.start()
        self._progress.step()
        return role

    async def _push(self) -> None:
        while True:
            self._meter.push()
            await asyncio.sleep(TELEGRAM_S)

    async def _connect(self, population: Population, gateway: RoleProcess) -> Phase:
        port, trust = gateway.ports["han"], population.pki.han_trust
        contexts: dict[str, ssl.SSLContext] = {
            cls_id: han_client(population.pki.cls(cls_id), trust) for cls_id in population.cls_ids
        }

        async def connect(box: LoadBox) -> None:
            await box.connect(port, population.pki.smgw_id, contexts.pop(box.cls_id))

        self._boxes = [LoadBox(cls_id) for cls_id in population.cls_ids]
        warm = self._boxes[: min(WARM_UP, len(self._boxes) // 2)]
        for box in warm:
            await connect(box)
            await box.time()
        return await self._timed("sessions", gateway, self._boxes[len(warm) :], connect)

    async def _ask(self, gateway: RoleProcess) -> Phase:
        async def ask(box: LoadBox) -> None:
            await box.time()

        return await self._timed("requests", gateway, self._boxes, ask)

    async def _announce(
        self, gateway: RoleProcess, population: Population
    ) -> tuple[Phase, Phase, list[int]]:
        seqs: list[int] = []
        turns = [self._boxes[n % len(self._boxes)] for n in range(self._plan.events)]
        free = {box: asyncio.Lock() for box in self._boxes}  # a box has one request at a time

        async def announce(box: LoadBox) -> None:
            async with free[box]:
                key = str(uuid.uuid4())
                answer = await box.announce(key, time.time_ns() // 1_000_000, len(seqs) + 1)
            seqs.append(answer["seq"])

        begun = time.monotonic()
        announcing = await self._timed("events", gateway, turns, announce)
        await self._delivered()
        took = time.monotonic() - begun
        return announcing, Phase(len(turns), took, announcing.times_ms, 0, 0), seqs

    async def _delivered(self) -> None:
        self._progress.phase("at the aEMT", self._plan.events)
        seen, since = 0, time.monotonic()
        while seen < self._plan.events:
            count = await asyncio.to_thread(stored_count, self._work)
            if count > seen:
                self._progress.step(count - seen)
                seen, since = count, time.monotonic()
            elif time.monotonic() - since > DELIVERED_WITHIN_S:
                raise PeerSilent(
                    f"the aEMT has {seen} of {self._plan.events} records and no more came in "
                    f"{DELIVERED_WITHIN_S:g} s. See {self._work / 'smgw.log'}"
                )
            await asyncio.sleep(LOOK_S)

    async def _timed(
        self,
        name: str,
        gateway: RoleProcess,
        boxes: list[LoadBox],
        act: Callable[[LoadBox], Awaitable[None]],
    ) -> Phase:
        """Every box acts once, `at_once` of them at a time."""
        self._progress.phase(name, len(boxes))
        left, times_ms = iter(boxes), []

        async def work() -> None:
            for box in left:
                begun = time.perf_counter()
                await act(box)
                times_ms.append((time.perf_counter() - begun) * 1000)
                self._progress.step()

        before, begun = gauge.read(gateway.pid), time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.at_once):
                    group.create_task(work())
        except* (ClsbenchError, OSError) as failed:
            raise _first(failed, name) from failed
        took = time.monotonic() - begun
        after = gauge.read(gateway.pid)
        return Phase(
            len(boxes),
            took,
            spread(times_ms),
            after.resident_kib - before.resident_kib,
            after.cpu_ns - before.cpu_ns,
        )


def _first(failed: BaseExceptionGroup, phase: str) -> ClsbenchError:
    """Of what went wrong at once, the first: the rest is mostly the same."""
    found: BaseException = failed
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    told = f"{phase}: {found}"
    return type(found)(told) if isinstance(found, ClsbenchError) else PeerSilent(told)


def _findings(seqs: list[int], found: Stored) -> list[str]:
    """What is wrong with the records; empty when nothing is."""
    told = list(found.findings)
    if len(set(seqs)) != len(seqs):
        told.append("two events were answered with the same number")
    if sorted(seqs) != found.seqs:
        lost = sorted(set(seqs) - set(found.seqs))
        told.append(f"answered, but not at the aEMT: numbers {lost[:5]} ({len(lost)} in all)")
    return told


def check_ports(boxes: int, place: Path = LOCAL_PORTS) -> None:
    """Local ports: each session comes from one of its own. Raises EnvironmentProblem where the
    system's range is too small."""
    try:
        first, last = (int(word) for word in place.read_text().split())
    except (OSError, ValueError):
        return  # no such file here; a lack shows itself when connecting
    have = last - first + 1
    if have < boxes + PORTS_BESIDE:
        raise EnvironmentProblem(
            f"{boxes} sessions need {boxes + PORTS_BESIDE} local ports, {place} has "
            f"{first} to {last} ({have}). Widen it (sysctl net.ipv4.ip_local_port_range), or use "
            "fewer boxes (--boxes)"
        )


def allow_descriptors(boxes: int) -> None:
    """Open files: one for each session, here and, inherited, in the gateway.

    Raises EnvironmentProblem where the system forbids it.
    """
    wanted = boxes + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise EnvironmentProblem(
            f"{boxes} sessions need {wanted} open files, the system allows {hard}. "
            f"Raise it (ulimit -Hn {wanted}), or use fewer boxes (--boxes)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
