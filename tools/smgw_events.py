"""TAF16 under load: events by HAN calls to a gateway process that is killed again and again.

    python tools/smgw_events.py [--events N] [--kills N] [--sessions N] [--seed N] [--out DIR]

A tenth of the events goes one after the other to an undisturbed gateway and is timed: from the
HAN call to the answer, which comes when the signed record is on the disk, less the time between
the announcement and the first byte of the meter's next telegram. The others come from several
sessions at once while the gateway is killed at random instants; a call that fails is made again.
Ends with one line; exit code 1 when a record is lost, doubled, wrongly signed or out of sequence.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.meters.pty_meter import PtyMeter
from clsbench.net.tls import han_client
from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.core import cms
from clsbench.smgw.schema import FILE_NAME, open_read_only

METER = "1EMH0098765432"
PROFILE = "taf16-rod"
TELEGRAM_S = 0.05
RETRY_S = 0.05
CALL_S = 20.0
GIVE_UP_S = 120.0  # without one event recorded

CONFIG = """
[smgw]
id = "{smgw}"
state_dir = "state"
[pki]
dir = "{pki}"
[han]
port = 0
[gwa]
name = "{gwa}"
port = 1
[[emt]]
name = "{emt}"
channel_port = 1
delivery_port = 1
cls_ids = ["{cls}"]
[[cls]]
cls_id = "{cls}"
[[lmn]]
port = "{port}"
meter_id = "{meter}"
[[taf]]
id = "{profile}"
number = 16
meter_id = "{meter}"
final_consumer = "consumer-1"
emt = "{emt}"
event_sources = ["{cls}"]
"""


@dataclass
class Course:
    """What was sent and answered. seqs: by UUID; calls: UUID -> ms from call to answer."""

    sent: list[str] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    again: int = 0
    kills: int = 0
    seconds: float = 0.0


@dataclass
class Verdict:
    """What the gateway's database says. times: ms from call to record, without the meter's."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    stored: int = 0

    @property
    def ok(self) -> bool:
        """Nothing lost, nothing doubled, every number and signature right."""
        return not (self.lost or self.duplicated or self.findings)


class Rig:
    """A gateway process, its meter, and what a control box sends to it."""

    def __init__(self, work: Path, seed: int):
        self.chance = random.Random(seed)
        self.course = Course()
        self._recorded = asyncio.Event()
        self._meter = PtyMeter(METER, BenchClock())
        self._pki = Pki.init(work / "pki")
        config = work / "smgw.toml"
        names = {"smgw": DEFAULT_SMGW, "gwa": DEFAULT_GWA, "emt": DEFAULT_EMT, "cls": DEFAULT_CLS}
        config.write_text(
            CONFIG.format(
                **names, pki=work / "pki", port=self._meter.port, meter=METER, profile=PROFILE
            )
        )
        self.database = work / "state" / FILE_NAME
        self._gateway = RoleProcess("smgw", config, work / "smgw.log")
        self._pushing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Gateway, then meter."""
        await self._gateway.start()
        self._pushing = asyncio.create_task(self._push())

    async def close(self) -> None:
        """Ends both."""
        await self._gateway.stop()
        if self._pushing is not None:
            self._pushing.cancel()
        self._meter.close()

    async def calm(self, number: int) -> None:
        """Events one after the other, timed."""
        async with self._session() as session:
            for _ in range(number):
                await self._event(session, timed=True)

    async def storm(self, number: int, kills: int, sessions: int) -> None:
        """Events from several sessions while the gateway is killed at random instants."""
        left = iter(range(number))
        begun = len(self.course.seqs)
        marks = sorted(self.chance.sample(range(number * 3 // 4), kills))
        senders = [asyncio.create_task(self._send(left)) for _ in range(sessions)]
        for mark in marks:
            while len(self.course.seqs) < begun + mark:
                self._recorded.clear()
                await self._recorded.wait()
            await asyncio.sleep(self.chance.random() * 0.05)
            await self._gateway.kill()
            self.course.kills += 1
            await self._gateway.start()
        await asyncio.gather(*senders)

    async def _push(self) -> None:
        while True:
            self._meter.push()
            await asyncio.sleep(TELEGRAM_S)

    async def _send(self, left) -> None:
        async with self._session() as session:
            for _ in left:
                await self._event(session, timed=False)

    async def _event(self, session: aiohttp.ClientSession, timed: bool) -> None:
        key = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        self.course.sent.append(key)
        body = {"uuid": key, "cls_id": DEFAULT_CLS, "event": "begin", "text": "load"}
        body |= {"event_ms": time.time_ns() // 1_000_000, "device_seq": len(self.course.sent)}
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            begun = time.perf_counter()
            answer = await self._call(session, body)
            if answer is not None:
                self.course.seqs[key] = answer["seq"]
                self._recorded.set()
                if timed:
                    self.course.calls[key] = (time.perf_counter() - begun) * 1000
                return
            self.course.again += 1
            await asyncio.sleep(RETRY_S)
        raise BadInput(f"event {key} was not recorded in {GIVE_UP_S:g} s")

    async def _call(self, session: aiohttp.ClientSession, body: dict) -> dict | None:
        """The answer, None where there is none or the gateway could not record."""
        url = f"https://127.0.0.1:{self._gateway.ports['han']}/smgw/cls/v1/fas/event"
        try:
            async with session.post(url, json=body) as answer:
                if answer.status == 200:
                    return await answer.json()
                if answer.status != 503:
                    raise BadInput(f"gateway answers {answer.status}: {await answer.text()}")
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            pass
        return None

    def _session(self) -> aiohttp.ClientSession:
        context = han_client(self._pki.cls(DEFAULT_CLS), self._pki.han_trust)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=1),
            timeout=aiohttp.ClientTimeout(total=CALL_S),
        )


async def run_events(work: Path, seed: int, events: int, kills: int, sessions: int):
    """(Course, Verdict) of a run in `work`."""
    rig = Rig(work, seed)
    begun = time.monotonic()
    try:
        await rig.start()
        timed = max(1, events // 10)
        await rig.calm(timed)
        await rig.storm(events - timed, kills, sessions)
    finally:
        await rig.close()
    rig.course.seconds = time.monotonic() - begun
    trust = (work / "pki" / "wan-trust.pem").read_bytes()
    return rig.course, judge(rig.course, rig.database, trust)


def judge(course: Course, database: Path, trust: bytes) -> Verdict:
    """Compares what was answered with what is stored."""
    verdict, found = Verdict(), {}
    connection = open_read_only(database)
    rows = connection.execute(
        "SELECT r.seq, r.uuid, r.captured_ms, r.cms, e.announced_ms FROM gateway_records r"
        " JOIN events e USING (uuid, event) WHERE profile_id = ? ORDER BY seq",
        (PROFILE,),
    ).fetchall()
    connection.close()
    verdict.stored = len(rows)
    for place, (seq, key, captured_ms, sealed, announced_ms) in enumerate(rows, 1):
        if key in found:
            verdict.duplicated.append(key)
        found[key] = seq
        if seq != place:
            verdict.findings.append(f"record {place} of the sequence has number {seq}")
        if course.seqs.get(key) != seq:
            verdict.findings.append(f"{key}: answered {course.seqs.get(key)}, stored {seq}")
        said = json.loads(cms.verify(sealed, trust, "SMGW").content)
        if (said["seq"], said["uuid"]) != (seq, key):
            verdict.findings.append(f"record {seq}: signed content is another's")
        if key in course.calls:
            verdict.times.append(course.calls[key] - max(0, captured_ms - announced_ms))
    verdict.lost = [key for key in course.sent if key not in found]
    return verdict


def figures(course: Course, verdict: Verdict) -> str:
    """One line."""
    return (
        f"{len(course.sent)} events in {course.seconds:.0f} s, gateway killed {course.kills} "
        f"times, {course.again} calls made again: {len(verdict.lost)} lost, "
        f"{len(verdict.duplicated)} duplicated, {len(verdict.findings)} findings, "
        f"{verdict.stored} signed records in sequence; HAN call to stored record without the "
        f"meter's time: p50 {part(verdict.times, 50):.1f} ms, p99 {part(verdict.times, 99):.1f} ms"
        f" ({len(verdict.times)} calls)"
    )


def part(times: list[float], percent: int) -> float:
    """A percentile, the higher neighbour."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="TAF16 under load, the gateway being killed.")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep state and logs there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smgw-events-") as folder:
        work = given.out or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        run = run_events(work, given.seed, given.events, given.kills, given.sessions)
        course, verdict = asyncio.run(run)
    for text in (verdict.lost + verdict.duplicated + verdict.findings)[:20]:
        print(f"smgw_events: {text}", file=sys.stderr)
    print(f"smgw_events: seed {given.seed}: {figures(course, verdict)}")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
