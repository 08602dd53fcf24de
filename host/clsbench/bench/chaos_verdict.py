"""What came of every commanded transaction, by the records that the aEMT holds in the end.

Waits until the chain is quiet, then judges from the aEMT's data base with the same verifier as
`clsbench verify`. A transaction is explained when it has exactly one begin and one end, or none
of either and a refusal that somebody gave.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clsbench.bench.chaos import ChaosChain, Commanded, Course
from clsbench.device.findings import SLOT_ORDER, TIME, Finding
from clsbench.device.link import LinkClient
from clsbench.device.records import ENDS, DeviceRecord, open_record
from clsbench.device.verify import verify_items
from clsbench.device.verify_store import database_items
from clsbench.errors import ClsbenchError, PeerSilent
from clsbench.smgw.core import cms
from dicamm import code_texts

QUIET_WITHIN_S = 90.0


@dataclass
class Verdict:
    """outcomes: how many transactions came to what end; lost, duplicated, unexplained: UUIDs;
    findings: of the verifier, those left out that a clock stepped back explains."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    records: int = 0
    gateway_records: int = 0

    @property
    def ok(self) -> bool:
        """True when nothing is left to be explained."""
        return not (self.lost or self.duplicated or self.unexplained or self.findings)


async def settle(chain: ChaosChain) -> dict[str, Any]:
    """Waits until nothing is open, owed or on its way; returns the device's last status.

    Raises PeerSilent with what is still missing.
    """
    link = await LinkClient.open(chain.board.path)
    deadline = time.monotonic() + QUIET_WITHIN_S
    missing: object = "no answer on the console"
    try:
        while time.monotonic() < deadline:
            try:
                status = await link.status()
                missing = await _missing(chain, link, status)
            except ClsbenchError as error:
                missing = error
            else:
                if not missing:
                    return status
            await asyncio.sleep(0.2)
    finally:
        await link.close()
    raise PeerSilent(f"the chain is not quiet after {QUIET_WITHIN_S:g} s: {missing}")


async def _missing(chain: ChaosChain, link: LinkClient, status: dict[str, Any]) -> str:
    """What is still owed, or "". An open transaction is ended, as an operator would."""
    if status["open_uuid"] is not None:
        await chain.operator.switch(chain.names.cls, "end", uuid=status["open_uuid"])
        return f"transaction {status['open_uuid']} is open"
    journal = status["journal"]
    if journal["unacknowledged"]:
        return f"{journal['unacknowledged']} records unacknowledged of {journal['newest']}"
    held = await chain.operator.device_records()
    if len(held) < journal["newest"]:
        return f"aEMT holds {len(held)} device records of {journal['newest']}"
    return ""


def judge(chain: ChaosChain, course: Course, key: bytes) -> Verdict:
    """The verdict on a course, from the aEMT's data base."""
    verdict = Verdict()
    groups = database_items(str(chain.work / "emt" / "emt.sqlite"))
    trust = chain.pki.wan_trust.read_bytes()

    def verify_cms(der: bytes) -> tuple[bytes, str]:
        signed = cms.verify(der, trust, role="SMGW")
        return signed.content, signed.signer.name

    checked = verify_items(groups, [key], verify_cms)
    verdict.findings = [
        _told(each)
        for each in checked.found
        if not (course.back_steps and _of_gateway_clock(each))
    ]
    device = [open_record(i.data, key) for group in groups for i in group if i.kind == "device"]
    verdict.records = len(device)
    verdict.gateway_records = sum(i.kind == "gateway" for group in groups for i in group)
    counted = Counter(
        (record.uuid, "end" if record.event in ENDS else record.event) for record in device
    )
    for one in course.commanded:
        _judge_one(verdict, one, counted, device)
    return verdict


def _judge_one(
    verdict: Verdict, one: Commanded, counted: Counter[Any], device: list[DeviceRecord]
) -> None:
    begins, ends = counted[one.uuid, "begin"], counted[one.uuid, "end"]
    if begins > 1 or ends > 1:
        verdict.duplicated.append(one.uuid)
    elif begins == ends == 1:
        verdict.outcomes[_end_of(one.uuid, device)] += 1
    elif begins or ends or one.begin == 0 or one.end == 0:
        verdict.lost.append(one.uuid)
    elif one.begin:
        verdict.outcomes[f"refused: {code_texts.entry(one.begin)[0]}"] += 1
    elif one.refusal or one.end:
        verdict.outcomes["refused on the way"] += 1
    else:
        verdict.unexplained.append(one.uuid)


def _end_of(uuid: str, device: list[DeviceRecord]) -> str:
    event = next(r.event for r in device if r.uuid == uuid and r.event in ENDS)
    return "complete" if event == "end" else f"ended by {event}"


def _of_gateway_clock(finding: Finding) -> bool:
    """A gateway record does not say that its clock was set back; a device record does."""
    return finding.kind in (TIME, SLOT_ORDER) and "profile" in (finding.owner or "")


def _told(finding: Finding) -> str:
    return f"{finding.kind}: {finding.text}"


def figures(course: Course, verdict: Verdict) -> str:
    """One line: transactions, lost, duplicated, unexplained, kills, faults by kind."""
    parts = [
        f"{len(course.commanded)} transactions in {course.seconds:.0f} s "
        f"({_counts(verdict.outcomes)})",
        f"{len(verdict.lost)} lost, {len(verdict.duplicated)} duplicated, "
        f"{len(verdict.unexplained)} unexplained, {len(verdict.findings)} findings in "
        f"{verdict.records} device and {verdict.gateway_records} gateway records",
        f"kills: {_counts(course.kills)}",
        f"faults: {_counts(course.faults)}",
    ]
    return "; ".join(parts)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common()) or "none"
