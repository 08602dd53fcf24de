"""A month of readings every quarter hour, with whatever is missing, for tests of tariffs."""

from datetime import date

from smgw_core_kit import METER, QUARTER

from clsbench.smgw.core import status
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.legal_time import month_ms
from clsbench.smgw.core.originals import Original, originals, slot_originals
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.time_of_use import DayProfile, Stage, TimeOfUse

IMPORT = "1-0:1.8.0*255"
WEEKDAY = DayProfile(1, ((0, 2), (6 * 60, 1), (22 * 60, 2)))
SUNDAY = DayProfile(2, ((0, 2),))
TARIFF = TimeOfUse(
    stages=(Stage(1, "HT"), Stage(2, "NT")),
    days=(WEEKDAY, SUNDAY),
    week=(1, 1, 1, 1, 1, 1, 2),
    special=((date(2026, 10, 3), 2),),
)
TAF1 = TafProfile("taf1", 1, METER, "consumer1", "flexmarkt")
TAF2 = TafProfile("taf2", 2, METER, "consumer1", "flexmarkt", time_of_use=TARIFF)
TAF6 = TafProfile("taf6", 6, METER, "consumer1", "flexmarkt")


def row(due_ms: int, raw: int, scaler: int = -1, bits: tuple[int, ...] = ()) -> Original:
    """A row of the import register at a due time."""
    reading = OriginalReading(METER, due_ms, (Value(IMPORT, raw, scaler, 30),), 0x1C0100)
    return originals(METER, reading, TimeState(), due_ms, bits)[0]


def gap(due_ms: int) -> Original:
    """A due time without a reading."""
    return slot_originals(METER, Slot(due_ms, None), TimeState(), [row(0, 0)])[0]


def unusable(due_ms: int, raw: int) -> Original:
    """A row whose time was not valid."""
    return row(due_ms, raw, bits=(status.TIME_NOT_VALID,))


def month(year: int, number: int, steps, first_raw: int = 1000) -> list[Original]:
    """A row for every quarter hour of a local month; steps(n): what the n-th adds."""
    start, end = month_ms(year, number)
    rows, raw = [], first_raw
    for place, due_ms in enumerate(range(start, end + 1, QUARTER)):
        rows.append(row(due_ms, raw))
        raw += steps(place)
    return rows
