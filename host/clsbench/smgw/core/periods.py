"""Periods of the tariffs that have them, and what is due at their ends.

TAF1 and TAF2: billing periods; TAF6: local days. A profile that comes into force within a
period begins there. Knows instants, profiles and the original list.
Sources: BSI TR-03109-1, TRuDI (periods of 1, 2, 3, 6, 12 months from the first of a month).
"""

from collections.abc import Iterable, Iterator

from clsbench.smgw.core import taf1, taf2, taf6
from clsbench.smgw.core.counters import counts
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import BILLED, TafProfile
from clsbench.smgw.core.legal_time import (
    QUARTER_MS,
    billing_period_ms,
    day_of,
    midnight_ms,
    next_midnight_ms,
)
from clsbench.smgw.core.originals import Original

PERIODIC = (*BILLED, 6)

Period = tuple[int, int]


def period_at(taf: TafProfile, at_ms: int) -> Period:
    """The period of a profile that an instant lies in, cut to the profile's validity."""
    if taf.number in BILLED:
        start_ms, end_ms = billing_period_ms(at_ms, taf.billing_months, taf.billing_from)
    else:
        start_ms, end_ms = midnight_ms(day_of(at_ms)), next_midnight_ms(at_ms)
    from_ms = -(-taf.validity.from_ms // QUARTER_MS) * QUARTER_MS
    to_ms = end_ms if taf.validity.to_ms is None else taf.validity.to_ms
    to_ms = to_ms // QUARTER_MS * QUARTER_MS
    return max(start_ms, from_ms), min(end_ms, to_ms)


def ended(taf: TafProfile, after_ms: int, until_ms: int) -> Iterator[Period]:
    """The periods whose end lies in (after, until], oldest first."""
    at_ms = max(after_ms, taf.validity.from_ms)
    while at_ms < until_ms:
        start_ms, end_ms = period_at(taf, at_ms)
        if not max(start_ms, at_ms) < end_ms <= until_ms:
            return  # not over yet, or the profile has ended
        yield start_ms, end_ms
        at_ms = end_ms


def evaluate(taf: TafProfile, rows: Iterable[Original], period: Period) -> list[Derived]:
    """The profile's registers of a period, from the meter's original list.

    rows: all registers, due times from the period's start to its end, both included.
    """
    by_register: dict[str, list[Original]] = {}
    for row in rows:
        if _wanted(taf, row):
            by_register.setdefault(row.obis, []).append(row)
    found: list[Derived] = []
    for own in by_register.values():
        if taf.number == 2:
            found += taf2.registers(taf, own, period)
        else:
            one = (taf1 if taf.number == 1 else taf6).register(taf, own, period)
            found += [one] if one is not None else []
    return found


def _wanted(taf: TafProfile, row: Original) -> bool:
    return row.obis in taf.obis if taf.obis else counts(row.obis, row.unit)
