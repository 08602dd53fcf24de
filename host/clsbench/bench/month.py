"""Weeks of a device in minutes: TAF7 and twenty switchings a day through the real firmware.

Board, meters and a host on the console that gives time once a day, switches, fetches records
into a data base and acknowledges them, so that the ring wraps. Judges from that data base.
"""

import asyncio
import time
import uuid as uuidlib
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.bench.chain import Chain, ChainOptions
from clsbench.bench.leaps import PERIOD_MS, LeapClock
from clsbench.bench.plant import MID_START_WH, W_MS_PER_DWH
from clsbench.demo.evidence import device_dwh, quarter_hours, told_missing
from clsbench.device.link import LinkClient
from clsbench.device.provision import record_key
from clsbench.device.receive import receive
from clsbench.device.records import DeviceRecord, open_record
from clsbench.device.verify import verify_items
from clsbench.device.verify_store import database_items
from clsbench.errors import EnvironmentProblem, PeerSilent
from clsbench.pki.layout import Pki

PERIODS_A_DAY = 96
SWITCHINGS_A_DAY = 20
PERIOD_US = 170_000  # real time of a quarter hour
SLOW_US = 110_000  # of its slow part, 25 s of the bench
FETCH_EVERY = 16  # quarter hours
SETTLED_DAYS = 2
WRAPS_AFTER = 10 * PERIODS_A_DAY
TIME_BOUND_MS = 5_000  # a command takes some ms on the console; 1 ms is 230 ms in the slow part
HEAP_SAMPLES = 8
METER_STEP_DWH = 100  # the SDM630 counts 0.01 kWh


@dataclass
class Leg:
    """One stretch of quarter hours and what it left. heap: least allocated at the end of each
    day; due: TAF7 due times with a reading; missing: those that a record says have none."""

    name: str
    expected: int
    due: int = 0
    missing: int = 0
    transactions: int = 0
    refused: int = 0
    records: int = 0
    capacity: int = 0
    seconds: float = 0.0
    heap: list[int] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def floors(self) -> tuple[int, int]:
        """The least heap in use over the first and over the second half of the days, once the
        device's log and its memory of answered commands are full."""
        settled = self.heap[SETTLED_DAYS:] or self.heap
        half = len(settled) // 2
        return min(settled[:half] or settled), min(settled[half:])

    @property
    def ok(self) -> bool:
        """True when every quarter hour is accounted for and nothing is wrong."""
        return not self.findings


async def run_leg(work: Path, name: str, first_ms: int, periods: int) -> Leg:
    """Runs so many quarter hours, the first a little behind `first_ms`, UTC, a quarter hour."""
    clock = LeapClock(first_ms - PERIOD_MS, PERIOD_US, SLOW_US)
    options = ChainOptions(
        heap="256k",
        paced=False,
        device={"baud": 115200, "poll_ms": 40},
        env={"HIL_LEAPS": clock.leaps()},
    )
    chain = Chain(work, work / "events.jsonl", options, clock)
    leg = Leg(name, periods)
    begun = time.monotonic()
    link = None
    try:
        names = chain.names
        Pki.init(work / "pki", names.smgw, names.gwa, [names.emt], [names.cls])
        key = record_key(chain.key_file)
        chain.plant.start()
        chain.board.start()
        chain.flash()
        link = await LinkClient.open(chain.board.path)
        await link.hello(tries=10)
        await _Host(chain, clock, link, work / "records.sqlite", key, leg).run()
        leg.seconds = time.monotonic() - begun
        _judge(leg, work / "records.sqlite", key, _true_dwh(chain))
    finally:
        if link is not None:
            await link.close()
        await chain.close()
    return leg


class _Host:
    """What the bench does on the console, quarter hour by quarter hour."""

    def __init__(
        self, chain: Chain, clock: LeapClock, link: LinkClient, db: Path, key: bytes, leg: Leg
    ):
        self._chain = chain
        self._clock = clock
        self._link = link
        self._db = db
        self._key = key
        self._leg = leg
        self._open: bytes | None = None

    async def run(self) -> None:
        await self._healthy()
        first = self._clock.period() + 2
        last = first + self._leg.expected
        day = min(PERIODS_A_DAY, self._leg.expected // 2)
        next_begin, next_fetch, next_day = 2.0, FETCH_EVERY, day - 1
        await self._give_time(first - 1)
        number = first
        while number <= last:
            await self._clock.sleep_to_period(number, SLOW_US / PERIOD_US)
            at = number - first
            if self._open is not None:
                await self._end()
            elif at >= next_begin:
                await self._begin()
                next_begin += PERIODS_A_DAY / SWITCHINGS_A_DAY
            if at >= next_fetch:
                await self._fetch()
                next_fetch += FETCH_EVERY
            if at >= next_day:
                self._leg.heap.append(await self._heap())
                await self._give_time(self._clock.period() + 1)
                next_day += day
            number = max(number + 1, self._clock.period())
        if self._open is not None:
            await self._end()
        await self._fetch()

    async def _healthy(self) -> None:
        deadline = time.monotonic() + 20
        while not (await self._link.status())["meter"]["healthy"]:
            if time.monotonic() > deadline:
                raise PeerSilent("the DICAMM's meter did not get healthy within 20 s")
            await asyncio.sleep(0.1)

    async def _give_time(self, number: int) -> None:
        """In the slow part, where a millisecond on the way counts least."""
        await self._clock.sleep_to_period(number, 0.02)
        await self._link.set_time(self._clock.now_ms(), TIME_BOUND_MS)

    async def _begin(self) -> None:
        uuid = uuidlib.uuid4().bytes
        code, _seq, _text = await self._link.command("begin", uuid, "month")
        if code:
            self._leg.refused += 1
        else:
            self._open = uuid

    async def _end(self) -> None:
        assert self._open is not None
        code, _seq, text = await self._link.command("end", self._open, "month")
        if code:
            raise EnvironmentProblem(f"the end of a transaction was refused: {code} {text}")
        self._open = None
        self._leg.transactions += 1

    async def _fetch(self) -> None:
        key, cls_id = self._key, self._chain.names.cls
        result = await receive(self._link, self._db, cls_id, key, tell=True)
        self._leg.findings += result.refused

    async def _heap(self) -> int:
        samples = [await self._link.status() for _ in range(HEAP_SAMPLES)]
        last = samples[-1]
        self._leg.capacity = last["journal"]["capacity"]
        restarts = sum(last["restarts"].values())
        if restarts or last["journal"]["dropped"]:
            dropped = last["journal"]["dropped"]
            self._leg.findings.append(f"{restarts} restarts of tasks, {dropped} records dropped")
        return min(sample["heap"]["allocated"] for sample in samples)


def _true_dwh(chain: Chain) -> int:
    """The MID meter's register as the plant has it, in 0.1 Wh, cut off as the meter does."""
    reading = chain.plant.plant.reading("mid", chain.clock.now_ms())
    exact = MID_START_WH * 10 + reading.energy_w_ms // W_MS_PER_DWH
    return exact // METER_STEP_DWH * METER_STEP_DWH


def _judge(leg: Leg, db: Path, key: bytes, true_dwh: int) -> None:
    """Seals, chain, course by the verifier; quarter hours and sums by their own arithmetic."""
    groups = database_items(str(db))
    leg.findings += verify_items(groups, [key], _no_cms).findings
    records = [open_record(item.data, key) for group in groups for item in group]
    leg.records = len(records)
    if leg.expected >= WRAPS_AFTER and leg.records <= leg.capacity:
        leg.findings.append(f"{leg.records} records do not fill the ring of {leg.capacity}")
    _count_quarter_hours(leg, records)
    read = [record for record in records if record.values]
    slots = quarter_hours(read)
    total = device_dwh(slots_end(read)) - device_dwh(slots_begin(read))
    parts = sum(sum(slot.parts_dwh.values()) for slot in slots)
    if parts != total:
        leg.findings.append(f"quarter hours add up to {parts}, the register moved by {total}")
    last_dwh = device_dwh(read[-1])
    if last_dwh != true_dwh:
        leg.findings.append(f"last register {last_dwh}, the plant's is {true_dwh} (0.1 Wh)")


def slots_begin(records: list[DeviceRecord]) -> DeviceRecord:
    """The first TAF7 reading."""
    return next(record for record in records if record.taf == 7)


def slots_end(records: list[DeviceRecord]) -> DeviceRecord:
    """The last TAF7 reading."""
    return next(record for record in reversed(records) if record.taf == 7)


def _count_quarter_hours(leg: Leg, records: list[DeviceRecord]) -> None:
    due = {r.event_ms for r in records if r.taf == 7 and r.values and r.event_ms is not None}
    missing = told_missing(records)
    grid = sorted(due | missing)
    first_ms = grid[0]
    wanted = set(range(first_ms, first_ms + leg.expected * PERIOD_MS, PERIOD_MS))
    leg.due, leg.missing = len(due & wanted), len((missing - due) & wanted)
    lost = sorted(wanted - due - missing)
    if lost:
        leg.findings.append(f"{len(lost)} quarter hours in no record, the first at {lost[0]}")
    unsure = sum(r.time_state != "synchronised" for r in records if r.taf == 7 and r.values)
    if unsure:
        leg.findings.append(f"{unsure} readings with time not synchronised")


def _no_cms(_der: bytes) -> tuple[bytes, str]:
    raise PeerSilent("no gateway record is expected here")


def figures(legs: list[Leg]) -> str:
    """One line: quarter hours, switchings, records, ring, heap."""
    total = sum(leg.expected for leg in legs)
    heap = ", ".join("{} then {}".format(*leg.floors()) for leg in legs)
    return (
        f"{total / PERIODS_A_DAY:g} days ({' + '.join(leg.name for leg in legs)}) in "
        f"{sum(leg.seconds for leg in legs):.0f} s: {total} quarter hours, "
        f"{sum(leg.due for leg in legs)} read, {sum(leg.missing for leg in legs)} recorded as "
        f"missing; {sum(leg.transactions for leg in legs)} transactions, "
        f"{sum(leg.refused for leg in legs)} refused; {sum(leg.records for leg in legs)} records "
        f"verified, rings of {legs[0].capacity} slots wrapped "
        f"{', '.join(f'{leg.records / leg.capacity:.1f}' for leg in legs)} times; least "
        f"heap of first and second half: {heap}; "
        f"{sum(len(leg.findings) for leg in legs)} findings (seals, links, course, sums)"
    )
