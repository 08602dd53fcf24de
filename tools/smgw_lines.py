"""Many meters on one gateway: a telegram a second each, TAF7 and TAF14 of every meter running.

    python tools/smgw_lines.py [--meters N] [--seconds N] [--out DIR]

Every meter has a serial line (pty) of its own. The gateway's clock is set so that a quarter hour
falls into the run. Ends with one line; exit code 1 when a telegram is not stored, a
due time has no reading, or 1 % of the receive stamps are more than 500 ms late.
Source: BSI Detailspezifikationen 2.0 (receive stamp within 500 ms of the first byte).
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.bench.roles import RoleProcess
from clsbench.clock import BenchClock
from clsbench.errors import EnvironmentProblem
from clsbench.eventlog import read_events
from clsbench.meters.pty_meter import PtyMeter
from clsbench.pki.layout import DEFAULT_EMT, DEFAULT_GWA, DEFAULT_SMGW, Pki
from clsbench.smgw.schema import FILE_NAME, open_read_only

STAMP_MS = 500
QUARTER_MS = 900_000
OPEN_S = 30.0
SETTLE_LOOKS = 20
LEAD_S = 30.0
ATTEMPTS = 4
AFTER_S = 1.0  # run at least so long after the quarter hour

HEAD = """
[smgw]
id = "{smgw}"
state_dir = "state"
event_log = "events"
clock = "{clock}"
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
"""
LINE = """
[[lmn]]
port = "{port}"
meter_id = "{meter}"
[[taf]]
id = "taf7-{meter}"
number = 7
meter_id = "{meter}"
final_consumer = "consumer-{meter}"
emt = "{emt}"
[[taf]]
id = "taf14-{meter}"
number = 14
meter_id = "{meter}"
final_consumer = "consumer-{meter}"
emt = "{emt}"
"""


@dataclass
class Outcome:
    """lost: telegrams sent and not stored. late_ms: of each receive stamp. due: (TAF, due time,
    meter) that has no reading; series: records with a reading."""

    sent: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    late_ms: list[int] = field(default_factory=list)
    due: list[str] = field(default_factory=list)
    series: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything sent is stored once, and every due time has its reading."""
        return self.sent > 0 and self.series > 0 and not (self.lost or self.doubled or self.due)

    @property
    def ok(self) -> bool:
        """Whether the run shows what it is for."""
        return self.complete and self.late(99) <= STAMP_MS

    def late(self, percent: int) -> int:
        """A percentile of the receive stamps' delays, ms."""
        ordered = sorted(self.late_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0

    def figures(self) -> str:
        """One line."""
        return (
            f"{self.sent} telegrams in {self.seconds:.0f} s: {len(self.lost)} lost, "
            f"{len(self.doubled)} doubled; receive stamp p50 {self.late(50)} ms, "
            f"p99 {self.late(99)} ms, max {self.late(100)} ms; {self.series} records of TAF7 and "
            f"TAF14, {len(self.due)} due times without reading"
        )


async def run_lines(
    work: Path, number: int, seconds: float, lead_s: float, interval_s: float = 1.0
) -> Outcome:
    """A gateway with `number` meters, for `seconds` and until the quarter hour is over.

    lead_s: from the start of the gateway to the quarter hour. Its lines must be open by then: on
    a machine that took longer all begins anew, in another folder of `work`, with twice the lead.
    """
    pki = Pki.init(work / "pki")
    for attempt in range(ATTEMPTS):
        folder = work / f"run-{attempt + 1}"
        folder.mkdir()
        bench = _Bench(folder, pki, number, lead_s * 2**attempt)
        try:
            await bench.gateway.start()
            await _open(folder / "events", number)
            if bench.clock.now_ms() < bench.quarter_ms:
                return await bench.run(seconds, interval_s)
        finally:
            await bench.close()
    raise EnvironmentProblem(f"gateway with {number} meters starts too slowly for a quarter hour")


class _Bench:
    """The gateway's process and its meters; the quarter hour comes `lead_s` from now."""

    def __init__(self, folder: Path, pki: Pki, number: int, lead_s: float):
        self.quarter_ms = time.time_ns() // 1_000_000 // QUARTER_MS * QUARTER_MS
        self.clock = BenchClock(utc_ms=self.quarter_ms - round(lead_s * 1000))
        self.meters = [PtyMeter(f"1EMH{n:010d}", self.clock) for n in range(1, number + 1)]
        self._folder = folder
        names = {"smgw": DEFAULT_SMGW, "gwa": DEFAULT_GWA, "emt": DEFAULT_EMT}
        text = HEAD.format(**names, clock=self.clock.spec(), pki=pki.directory)
        text += "".join(LINE.format(**names, port=m.port, meter=m.meter_id) for m in self.meters)
        (folder / "smgw.toml").write_text(text)
        self.gateway = RoleProcess("smgw", folder / "smgw.toml", folder / "smgw.log")

    async def run(self, seconds: float, interval_s: float) -> Outcome:
        """Telegrams for so long; what became of them."""
        begun = time.monotonic()
        left_s = (self.quarter_ms - self.clock.now_ms()) / 1000
        seconds = max(seconds, left_s + AFTER_S + interval_s)  # every meter is heard after it
        phases = [n / len(self.meters) for n in range(len(self.meters))]
        await asyncio.gather(
            *(
                _push(meter, seconds, interval_s, phase)
                for meter, phase in zip(self.meters, phases, strict=True)
            )
        )
        took = time.monotonic() - begun
        database = self._folder / "state" / FILE_NAME
        for _ in range(SETTLE_LOOKS):
            if judge(database, self.meters).complete:
                break
            await asyncio.sleep(0.5)
        await self.gateway.stop()
        outcome = judge(database, self.meters)
        outcome.seconds = took
        return outcome

    async def close(self) -> None:
        """Ends the process and takes the lines away."""
        await self.gateway.stop()
        for meter in self.meters:
            meter.close()


async def _open(events: Path, number: int) -> None:
    limit = time.monotonic() + OPEN_S
    while time.monotonic() < limit:
        if sum(event["name"] == "lmn.open" for event in read_events(events)) >= number:
            return
        await asyncio.sleep(0.2)
    raise EnvironmentProblem(f"gateway did not open {number} lines in {OPEN_S:g} s")


async def _push(meter: PtyMeter, seconds: float, interval_s: float, phase: float) -> None:
    begun = time.monotonic()
    for turn in range(int(seconds / interval_s)):
        await asyncio.sleep(max(0, begun + (turn + phase) * interval_s - time.monotonic()))
        meter.push()


def judge(database: Path, meters: list[PtyMeter]) -> Outcome:
    """Compares what was sent with what is stored."""
    outcome = Outcome()
    connection = open_read_only(database)
    for meter in meters:
        left = dict(meter.sent_ms)
        outcome.sent += len(left) + meter.unread
        outcome.lost += [f"{meter.meter_id}: not taken by the line"] * meter.unread
        rows = connection.execute(
            "SELECT captured_ms, reading FROM original_readings WHERE meter = ?",
            (meter.meter_id,),
        )
        for captured_ms, reading in rows:
            raw = json.loads(reading)[0]["raw"]
            sent_ms = left.pop(raw, None)
            if sent_ms is None:
                outcome.doubled.append(f"{meter.meter_id}: {raw}")
            else:
                outcome.late_ms.append(captured_ms - sent_ms)
        outcome.lost += [f"{meter.meter_id}: {raw}" for raw in left]
        _judge_series(connection, meter, outcome)
    connection.close()
    return outcome


def _judge_series(connection, meter: PtyMeter, outcome: Outcome) -> None:
    moments = sorted(meter.sent_ms.values())
    for taf, period_ms in ((7, QUARTER_MS), (14, 60_000)):
        rows = connection.execute(
            "SELECT due_ms, captured_ms FROM gateway_records WHERE profile_id = ?",
            (f"taf{taf}-{meter.meter_id}",),
        )
        found = {due_ms for due_ms, captured_ms in rows if captured_ms is not None}
        first = -(-moments[0] // period_ms) * period_ms if moments else 0
        for due_ms in range(first, moments[-1] if moments else 0, period_ms):
            if due_ms in found:
                outcome.series += 1
            else:
                outcome.due.append(f"TAF{taf} {due_ms} {meter.meter_id}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Many meters on one gateway.")
    parser.add_argument("--meters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, help="keep state and logs there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smgw-lines-") as folder:
        work = given.out or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(run_lines(work, given.meters, given.seconds, LEAD_S))
    for text in (outcome.lost + outcome.doubled + outcome.due)[:20]:
        print(f"smgw_lines: {text}", file=sys.stderr)
    print(f"smgw_lines: {given.meters} meters, {outcome.figures()}")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
