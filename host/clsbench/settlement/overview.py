"""A settled metering point for a report: sections, groups of every quarter hour, and beside them
what sharing by time would have booked. Plain data for JSON; knows no drawing.
"""

from typing import Any

from clsbench.settlement.by_time import misbooked, shares_by_time
from clsbench.settlement.findings import CODES
from clsbench.settlement.sections import Book, Settled
from clsbench.settlement.timeline import REST, UNKNOWN
from clsbench.settlement.times import QUARTER_MS


def overview(settled: Settled) -> dict[str, Any]:
    """unit_scaler, transactions, directions, findings; energies in 10^unit_scaler Wh.

    A section's uuid is null for the rest and where nobody knows; then doubtful is true.
    """
    return {
        "unit_scaler": settled.point.unit_scaler,
        "rest": settled.point.groups.rest,
        "delta": settled.point.groups.delta,
        "transactions": [
            {
                "uuid": one.uuid,
                "group": settled.point.groups.of(one.uuid),
                "state": settled.state(one),
                "energy": {book.direction: settled.energy(one, book) for book in settled.books},
            }
            for one in settled.transactions
        ],
        "directions": [_direction(settled, book) for book in settled.books],
        "findings": [
            {"code": finding.code, "text": CODES[finding.code][1], "uuid": finding.uuid}
            for finding in settled.findings
        ],
    }


def _direction(settled: Settled, book: Book) -> dict[str, Any]:
    wrong = misbooked(settled, book)
    shares = shares_by_time(settled, book)
    slots = []
    for slot, sections, by_time in zip(book.slots, book.sections, shares, strict=True):
        groups: dict[str, int] = {}
        for (group, _uuid), energy in by_time.items():
            groups[group] = groups.get(group, 0) + energy
        told = [
            {
                "from_ms": section.from_ms,
                "to_ms": section.to_ms,
                "from": section.from_value,
                "to": section.to_value,
                "uuid": None if section.state in (REST, UNKNOWN) else section.state,
                "doubtful": section.state == UNKNOWN,
            }
            for section in sections
        ]
        slots.append(
            {
                "from_ms": slot.start_ms,
                "to_ms": slot.start_ms + QUARTER_MS,
                "state": slot.state,
                "quality": slot.quality,
                "total": slot.total,
                "groups": slot.groups(),
                "by_time": groups,
                "sections": told,
            }
        )
    return {
        "direction": book.direction,
        "slots": slots,
        "elsewhere_by_time": wrong.wrong,
        "of_transactions": wrong.of_transactions,
    }
