"""Registers that count, and exact differences between two of their readings.

Whole numbers only; readings of unlike scalers are brought to the finer one.
"""

from collections.abc import Iterable

from clsbench.smgw.core import status
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.originals import Original

Amount = tuple[int, int]  # raw, scaler

_ENERGY = range(30, 33)  # Wh, VAh, varh
_VOLUME = range(13, 17)  # cubic metres, also corrected
_MASS_AND_HEAT = (20, 25)


class RegisterFell(Exception):
    """A register that counts ran backwards: meter changed, overflowed or tampered with."""


def counts(obis: str, unit: int) -> bool:
    """True for a total register of a counter (not of a stage, not a power)."""
    *_, quantity, stage = obis.split("*")[0].split(".")
    if unit in _ENERGY:
        return quantity == "8" and stage == "0"
    return stage == "0" and (unit in _VOLUME or unit in _MASS_AND_HEAT)


def difference(start: Original, end: Original) -> Amount:
    """What flowed between two usable readings of one register. Raises RegisterFell."""
    scaler = min(start.scaler, end.scaler)
    raw = at_scaler(end, scaler) - at_scaler(start, scaler)
    if raw < 0:
        raise RegisterFell(f"{end.obis} of {end.meter_id} fell by {-raw} at {end.at_ms}")
    return raw, scaler


def at_scaler(row: Original, scaler: int) -> int:
    """A usable row's value in units of a scaler that is as fine as its own or finer."""
    if row.raw is None:
        raise ValueError(f"{row.obis} of {row.meter_id} has no value at {row.at_ms}")
    return row.raw * 10 ** (row.scaler - scaler)


def usable_by_due(rows: Iterable[Original]) -> dict[int, Original]:
    """The usable rows of one register by due time, oldest first."""
    found = {row.due_ms: row for row in rows if row.due_ms is not None and row.usable}
    return dict(sorted(found.items()))


def formed(
    taf: TafProfile,
    obis: str,
    period: tuple[int, int],
    amount: Amount,
    made_of: Iterable[Original],
    substitute: bool = False,
) -> Derived:
    """A register formed from readings; its status is the worst of theirs."""
    rows = list(made_of)
    word = status.combine([status.VALUE_NOT_VALIDATED] if substitute else [])
    for row in rows:
        word |= row.status
    return Derived(
        profile_id=taf.profile_id,
        obis=obis,
        start_ms=period[0],
        end_ms=period[1],
        raw=amount[0],
        scaler=amount[1],
        unit=rows[0].unit,
        status=word,
        ptb=max([status.ptb(word), *(row.ptb for row in rows)]),
    )


def missing(
    taf: TafProfile, obis: str, period: tuple[int, int], scaler: int, unit: int
) -> Derived:
    """A register that could not be formed."""
    word = status.combine([status.NO_VALUE])
    start_ms, end_ms = period
    return Derived(
        taf.profile_id, obis, start_ms, end_ms, None, scaler, unit, word, status.ptb(word)
    )
