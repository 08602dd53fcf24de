"""Claims against a measured series (R15): mode `claims`."""

from collections.abc import Mapping
from typing import Any

from clsbench.errors import BadInput
from clsbench.settlement import fields
from clsbench.settlement.findings import Finding, in_order
from clsbench.settlement.largest import share_out
from clsbench.settlement.model import DIRECTIONS, Groups, Policy
from clsbench.settlement.slots import Part, Slot
from clsbench.settlement.times import QUARTER_MS, parse_ms

Key = tuple[int, str]


def settle_claims(
    body: Mapping[str, Any], groups: Groups, policy: Policy
) -> tuple[list[Slot], list[Finding]]:
    """Each measured quarter hour shared among those who claim of it. Raises BadInput."""
    findings: list[Finding] = []
    measured = _measured(body, findings)
    claims: dict[Key, dict[str, int]] = {}
    for place, entry in fields.rows(body, "claims", ""):
        of = claims.setdefault(_key(entry, place), {})
        group = fields.text(entry.get("group"), f"{place}.group")
        of[group] = of.get(group, 0) + fields.whole(entry.get("raw"), f"{place}.raw", 0)
    slots = []
    for key in sorted(measured.keys() | claims.keys()):
        total = measured.get(key)
        claimed = claims.get(key, {})
        if total is None:
            findings.append(Finding("missing_boundary", key[0], direction=key[1]))
            slots.append(Slot(*key))
        else:
            slots.append(_share(key, total, claimed, groups, policy, findings))
    return slots, in_order(findings)


def _share(
    key: Key,
    total: int,
    claimed: dict[str, int],
    groups: Groups,
    policy: Policy,
    findings: list[Finding],
) -> Slot:
    asked = sum(claimed.values())
    state = "settled"
    if asked > total:
        findings.append(Finding("over_claim", key[0], direction=key[1], reading=asked))
        if policy.over_claim == "refuse":
            state, claimed = "faulty", {}
        else:
            claimed = share_out(claimed, asked, total, total)
    shares = dict(claimed)
    shares[groups.delta] = shares.get(groups.delta, 0) + total - sum(claimed.values())
    parts = tuple(Part(group, None, energy) for group, energy in shares.items() if energy)
    return Slot(*key, state, "measured", total, parts)


def _measured(body: Mapping[str, Any], findings: list[Finding]) -> dict[Key, int | None]:
    measured: dict[Key, int | None] = {}
    for place, entry in fields.rows(body, "measured", ""):
        key = _key(entry, place)
        raw = entry.get("raw")
        total = None if raw is None else fields.whole(raw, f"{place}.raw", 0)
        if key in measured and measured[key] != total:
            found = Finding("conflicting_readings", key[0], direction=key[1], place=place)
            findings.append(found)
            total = None
        measured[key] = total
    return measured


def _key(entry: Mapping[str, Any], place: str) -> Key:
    start_ms = parse_ms(entry.get("start"), f"{place}.start")
    if start_ms % QUARTER_MS:
        raise BadInput(f"{place}.start: {entry['start']!r} is no quarter hour")
    return start_ms, fields.one_of(entry.get("direction"), f"{place}.direction", DIRECTIONS)
