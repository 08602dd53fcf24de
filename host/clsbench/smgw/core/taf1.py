"""TAF1: one register for each billing period, from its two readings alone.

Both readings must stand at the very instants; nothing is put in their place.
Sources: BSI TR-03109-1 (TAF1), TRuDI (register = reading at the end minus reading at the start).
"""

from collections.abc import Iterable

from clsbench.smgw.core.counters import RegisterFell, difference, formed, missing, usable_by_due
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.originals import Original


def register(taf: TafProfile, rows: Iterable[Original], period: tuple[int, int]) -> Derived | None:
    """The register of a period (start, end in ms); None when the list knows no such register.

    rows: of one register of the meter, at least the two ends of the period.
    """
    rows = list(rows)
    if not rows:
        return None
    known, some = usable_by_due(rows), rows[0]
    start, end = known.get(period[0]), known.get(period[1])
    if start is None or end is None:
        return missing(taf, some.obis, period, some.scaler, some.unit)
    try:
        amount = difference(start, end)
    except RegisterFell:
        return missing(taf, some.obis, period, some.scaler, some.unit)
    return formed(taf, some.obis, period, amount, (start, end))
