"""What came of every command: by the relays, by both witnesses' records, and by the clock.

Reads the aEMT's data base with the verifier of `clsbench verify`, and the edges that the boards'
relay pins made. A command is lost when no record and no refusal tells of it, executed twice when
its record or its edge stands twice.
"""

import json
import sqlite3
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from clsbench.bench.commands_run import Course, Given
from clsbench.bench.fleet import Fleet
from clsbench.device.records import ENDS, DeviceRecord, open_record
from clsbench.device.verify import verify_items
from clsbench.device.verify_store import database_items
from clsbench.pki.layout import Pki
from clsbench.smgw.core.cms_signers import Verifier
from dicamm import codes

Key = tuple[str, str]  # UUID, event
METER_SILENT = range(codes.METER_TIMEOUT, codes.METER_VALUE + 1)


@dataclass
class Times:
    """Milliseconds of one way, of the calm part and of all commands."""

    calm: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)

    def add(self, ms: float, calm: bool) -> None:
        """One command's."""
        self.all.append(ms)
        if calm:
            self.calm.append(ms)


@dataclass
class Verdict:
    """lost, twice, incomplete: commands by UUID and action; findings: the verifier's."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    done: int = 0
    device_records: int = 0
    gateway_records: int = 0
    times: dict[str, Times] = field(default_factory=lambda: defaultdict(Times))

    @property
    def ok(self) -> bool:
        """True when every command is done once with both witnesses, or refused."""
        return not (self.lost or self.twice or self.incomplete or self.findings)


def judge(fleet: Fleet, course: Course) -> Verdict:
    """The verdict on a course, from the aEMT's data base and the relays' edges."""
    path = fleet.work / "emt" / "emt.sqlite"
    keys = [box.key_file.read_bytes() for box in fleet.boxes]
    verifier = Verifier(Pki.open(fleet.work / "pki").wan_trust.read_bytes(), "SMGW")
    verdict = Verdict()

    def verify_cms(der: bytes) -> tuple[bytes, str]:
        signed = verifier.verify(der)
        return signed.content, signed.signer.name

    checked = verify_items(database_items(str(path)), keys, verify_cms)
    verdict.findings = [f"{each.kind}: {each.text}" for each in checked.found]
    device, gateway = _device(path, dict(zip(_ids(fleet), keys, strict=True))), _gateway(path)
    verdict.device_records, verdict.gateway_records = len(device), len(gateway)
    device_seen = Counter(_kind((r.uuid or "", r.event or "")) for r, _ in device)
    gateway_seen = Counter(_kind(key) for key, _, _ in gateway)
    for one in course.given:
        _judge_one(verdict, one, device_seen, gateway_seen)
    calm = {(one.uuid, one.action) for one in course.given if one.calm}
    relays = _judge_edges(verdict, fleet, device)
    _add_times(verdict.times, device, gateway, _commands(path), relays, calm)
    return verdict


def figures(course: Course, verdict: Verdict) -> str:
    """One line of counts, and one for each way that was timed."""
    kills = ", ".join(f"{count} {name}" for name, count in course.kills.most_common())
    refused = ", ".join(f"{count} {why}" for why, count in verdict.refused.most_common())
    again = sum(one.tries > 1 for one in course.given)
    lines = [
        f"{len(course.given)} commands in {course.seconds:.0f} s: {verdict.done} done, "
        f"{sum(verdict.refused.values())} refused ({refused or 'none'}), {len(verdict.lost)} lost,"
        f" {len(verdict.twice)} executed twice, {len(verdict.incomplete)} without both witnesses; "
        f"{again} given again; kills: {kills or 'none'}; {len(verdict.findings)} findings in "
        f"{verdict.device_records} device and {verdict.gateway_records} gateway records"
    ]
    for name, times in verdict.times.items():
        calm, every = times.calm, times.all
        lines.append(
            f"{name}: undisturbed p50 {part(calm, 50):.0f} ms, p99 {part(calm, 99):.0f} ms "
            f"({len(calm)}); all p50 {part(every, 50):.0f} ms, p99 {part(every, 99):.0f} ms "
            f"({len(every)})"
        )
    return "\n".join(lines)


def part(times: list[float], percent: int) -> float:
    """A percentile, the higher neighbour; 0 of none."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def _ids(fleet: Fleet) -> list[str]:
    return [box.cls_id for box in fleet.boxes]


def _judge_one(verdict: Verdict, one: Given, device: Counter[Key], gateway: Counter[Key]) -> None:
    key = (one.uuid, one.action)
    name = f"{one.cls_id} {one.action} {one.uuid}"
    here, there = device[key], gateway[key]
    if here > 1 or there > 1:
        verdict.twice.append(name)
    elif here and there:
        verdict.done += 1
    elif here or there:
        verdict.incomplete.append(f"{name}: {here} device, {there} gateway records")
    elif one.refusal or one.code:
        verdict.refused[one.refusal or f"code {one.code}"] += 1
    else:
        verdict.lost.append(name)


def _judge_edges(
    verdict: Verdict, fleet: Fleet, device: list[tuple[DeviceRecord, int]]
) -> dict[Key, float]:
    """Each begin closed its relay once and each end opened it once, in the records' order.

    A begin whose meter was silent closed it and opened it again. Returns when, in Unix ms.
    """
    wall_ms = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6
    found: dict[Key, float] = {}
    for box in fleet.boxes:
        wanted = [
            edge for record, _ in device if record.cls_id == box.cls_id for edge in _edges(record)
        ]
        made = [closed for _, closed in box.edges]
        if [closed for _, closed in wanted] != made:
            verdict.twice.append(
                f"{box.cls_id}: relay changed {len(made)} times, by the records {len(wanted)}"
            )
            continue
        for (key, _), (mono_ns, _) in zip(wanted, box.edges, strict=True):
            found[key] = mono_ns / 1e6 + wall_ms
    return found


def _edges(record: DeviceRecord) -> list[tuple[Key, bool]]:
    """The changes of the relay that a record tells of: (what for, closed)."""
    key = (record.uuid or "", record.event or "")
    if record.event == "begin":
        return [(key, True)]
    if record.event in ENDS:
        return [(key, False)]
    silent = record.event == "refused" and record.cause in METER_SILENT
    return [(key, True), (key, False)] if silent else []


def _kind(key: Key) -> Key:
    """UUID and event; however a transaction ended, it is its end."""
    return (key[0], "end") if key[1] in ENDS else key


def _add_times(
    times: dict[str, Times],
    device: list[tuple[DeviceRecord, int]],
    gateway: list[tuple[Key, int | None, int]],
    commands: dict[Key, tuple[float, float | None]],
    relays: dict[Key, float],
    calm: set[Key],
) -> None:
    """All by this machine's clock: that of a box is only as good as the bound it states."""
    for key, (given_ms, answered_ms) in commands.items():
        if key in relays:
            times["command to relay"].add(relays[key] - given_ms, key in calm)
        if answered_ms is not None:
            times["command to device record on flash"].add(answered_ms - given_ms, key in calm)
    for key, captured_ms, received_ms in gateway:
        if key in commands and captured_ms is not None:
            taken = captured_ms - commands[key][0]
            times["command to gateway record"].add(taken, key in calm)
            times["gateway record to aEMT"].add(received_ms - captured_ms, key in calm)
    for record, received_ms in device:
        key = (record.uuid or "", record.event or "")
        if key in relays:
            times["relay to device record at aEMT"].add(received_ms - relays[key], key in calm)


def _rows(path: Path, query: str) -> list[tuple]:
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def _device(path: Path, keys: dict[str, bytes]) -> list[tuple[DeviceRecord, int]]:
    rows = _rows(
        path, "SELECT cls_id, sealed, received_ms FROM device_records ORDER BY cls_id, seq"
    )
    return [(open_record(bytes(sealed), keys[cls]), at_ms) for cls, sealed, at_ms in rows]


def _gateway(path: Path) -> list[tuple[Key, int | None, int]]:
    found = []
    for content, received_ms in _rows(path, "SELECT content, received_ms FROM gateway_records"):
        said = json.loads(content)
        if said.get("uuid"):
            found.append(((said["uuid"], said["event"]), said["captured_ms"], received_ms))
    return found


def _commands(path: Path) -> dict[Key, tuple[float, float | None]]:
    """When each command was given and answered, Unix ms."""
    rows = _rows(path, "SELECT uuid, action, t_command_ns, t_answer_ns FROM commands")
    return {
        (uuid, action): (given_ns / 1e6, None if answered_ns is None else answered_ns / 1e6)
        for uuid, action, given_ns, answered_ns in rows
    }
