"""The result document: slots, transactions, totals, days, findings, and the policies in force."""

from collections.abc import Mapping
from typing import Any

from clsbench.settlement.findings import Finding
from clsbench.settlement.market import drift, market_kwh
from clsbench.settlement.model import DIRECTIONS, Policy
from clsbench.settlement.sections import Settled
from clsbench.settlement.slots import Slot
from clsbench.settlement.times import format_ms, local_date


def point_document(settled: Settled) -> dict[str, Any]:
    """The result of mode `sections`."""
    point = settled.point
    slots = [slot for book in settled.books for slot in book.slots]
    document = slots_document(slots, point.unit_scaler, point.policy, point.directions)
    document["policy"] = {
        "substitute": point.policy.substitute,
        "substitute_max_ms": point.policy.substitute_max_ms,
        "market_decimals": point.policy.market_decimals,
    }
    document["transactions"] = [
        {
            "uuid": one.uuid,
            "group": point.groups.of(one.uuid),
            "state": settled.state(one),
            "energy": {book.direction: settled.energy(one, book) for book in settled.books},
        }
        for one in settled.transactions
    ]
    document["findings"] = findings_document(settled.findings)
    return document


def slots_document(
    slots: list[Slot], unit_scaler: int, policy: Policy, directions: tuple[str, ...]
) -> dict[str, Any]:
    """What every mode with quarter hours has in common, findings and transactions empty."""
    decimals = policy.market_decimals
    return {
        "schema": 1,
        "unit_scaler": unit_scaler,
        "policy": {},
        "slots": [
            _slot(slot, market_kwh(slot, unit_scaler, decimals))
            for slot in sorted(slots, key=lambda each: (each.start_ms, each.direction))
        ],
        "transactions": [],
        "totals": {name: _totals(slots, name) for name in directions},
        "days": days_document(slots, directions),
        "market_drift_kwh": drift(slots, unit_scaler, decimals),
        "findings": [],
    }


def findings_document(findings: list[Finding]) -> list[dict[str, Any]]:
    """Every doubt, in order of its instant."""
    return [finding.document() for finding in findings]


def days_document(slots: list[Slot], directions: tuple[str, ...]) -> list[dict[str, Any]]:
    """Local days of Europe/Berlin: how many quarter hours, how many missing, and the energy."""
    days: dict[str, dict[str, list[Slot]]] = {}
    for slot in slots:
        day = days.setdefault(local_date(slot.start_ms), {})
        day.setdefault(slot.direction, []).append(slot)
    return [
        {"date": date, **{name: _day(day[name]) for name in directions if name in day}}
        for date, day in sorted(days.items())
    ]


def used_directions(slots: list[Slot]) -> tuple[str, ...]:
    """The directions that occur, import first."""
    found = {slot.direction for slot in slots}
    return tuple(name for name in DIRECTIONS if name in found)


def _day(slots: list[Slot]) -> dict[str, Any]:
    return {
        "slots": len(slots),
        "missing": sum(slot.total is None for slot in slots),
        "total": sum(slot.total or 0 for slot in slots),
        "groups": _sum(slots),
    }


def _totals(slots: list[Slot], direction: str) -> Mapping[str, int]:
    return _sum([slot for slot in slots if slot.direction == direction])


def _sum(slots: list[Slot]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for slot in slots:
        for group, energy in slot.groups().items():
            sums[group] = sums.get(group, 0) + energy
    return dict(sorted(sums.items()))


def _slot(slot: Slot, market: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "start": format_ms(slot.start_ms),
        "direction": slot.direction,
        "state": slot.state,
        "quality": slot.quality,
        "total": slot.total,
        "parts": [
            {"group": part.group, "uuid": part.uuid, "energy": part.energy}
            for part in sorted(slot.parts, key=lambda part: (part.group, part.uuid or ""))
        ],
        "market_kwh": market,
    }
