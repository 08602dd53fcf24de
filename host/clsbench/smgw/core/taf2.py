"""TAF2: a register for each tariff stage, an error register (63), and the total.

Counted from the original list in steps between usable readings: a step within one stage
belongs to it, a step across a change of stage belongs to the error register, since nobody can
say how it is shared. So the stages always add up to the total exactly, whatever is missing.
Sources: BSI TR-03109-1 (TAF2), TRuDI (where the reading of a change is missing, the last
usable one before it closes the stage, and what follows goes to register 63).
"""

from collections.abc import Iterable
from itertools import pairwise

from clsbench.smgw.core.counters import (
    RegisterFell,
    at_scaler,
    difference,
    formed,
    missing,
    usable_by_due,
)
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.time_of_use import ERROR_STAGE, TimeOfUse


def registers(taf: TafProfile, rows: Iterable[Original], period: tuple[int, int]) -> list[Derived]:
    """Total, each stage, error register of a period (start, end in ms), in this order.

    rows: of one register of the meter, the due times from start to end. Where the reading at
    an end of the period is missing, the registers count from the first or to the last usable
    one and are marked as substitutes. Without two usable readings, or when the register fell,
    they have no value. Empty when the list knows no such register or the profile no tariff.
    """
    rows = [row for row in rows if period[0] <= row.at_ms <= period[1]]
    if not rows or taf.time_of_use is None:
        return []
    known, some = usable_by_due(rows), rows[0]
    names = [some.obis, *(stage_obis(some.obis, stage) for stage in _stages(taf.time_of_use))]
    try:
        counted = count(taf.time_of_use, known)
    except RegisterFell:
        counted = None
    if counted is None:
        return [missing(taf, name, period, some.scaler, some.unit) for name in names]
    scaler, by_stage = counted
    used = list(known.values())
    cut = (used[0].due_ms, used[-1].due_ms) != period
    total = at_scaler(used[-1], scaler) - at_scaler(used[0], scaler)
    amounts = [total, *(by_stage[stage] for stage in _stages(taf.time_of_use))]
    return [
        formed(taf, name, period, (amount, scaler), used, cut)
        for name, amount in zip(names, amounts, strict=True)
    ]


def count(tariff: TimeOfUse, known: dict[int, Original]) -> tuple[int, dict[int, int]] | None:
    """(scaler, amount by stage) of usable rows by due time; None with fewer than two.

    Raises RegisterFell.
    """
    if len(known) < 2:
        return None
    scaler = min(row.scaler for row in known.values())
    by_stage = dict.fromkeys(_stages(tariff), 0)
    for (start_ms, start), (end_ms, end) in pairwise(known.items()):
        difference(start, end)
        stage = tariff.constant_stage(start_ms, end_ms)
        step = at_scaler(end, scaler) - at_scaler(start, scaler)
        by_stage[ERROR_STAGE if stage is None else stage] += step
    return scaler, by_stage


def stage_obis(total: str, stage: int) -> str:
    """`1-0:1.8.2*255` for stage 2 of `1-0:1.8.0*255`."""
    head, last = total.split("*")
    return f"{head.rsplit('.', 1)[0]}.{stage}*{last}"


def _stages(tariff: TimeOfUse) -> list[int]:
    return [*sorted(stage.number for stage in tariff.stages), ERROR_STAGE]
