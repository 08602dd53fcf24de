"""TAF6: registers at the ends of days, kept for six weeks, fetched when they are needed.

A value is the register itself, not a difference. Knows the original list only.
Sources: BSI TR-03109-1 (TAF6: move-out, change of supplier).
"""

from collections.abc import Iterable

from clsbench.smgw.core.counters import formed, missing, usable_by_due
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.originals import Original

KEEP_DAYS = 42


def register(taf: TafProfile, rows: Iterable[Original], day: tuple[int, int]) -> Derived | None:
    """The register at the end of a day (start, end in ms); None when the list knows none."""
    rows = list(rows)
    if not rows:
        return None
    row = usable_by_due(rows).get(day[1])
    if row is None or row.raw is None:
        return missing(taf, rows[0].obis, day, rows[0].scaler, rows[0].unit)
    return formed(taf, row.obis, day, (row.raw, row.scaler), (row,))
