"""Counts TAF1, TAF2 and TAF6 anew from a file's own original value list.

Shares no code with the engines that formed the registers: only readings of the file, the
supplier's table of days, and the rules by which TRuDI counts.
Sources: behaviour of TRuDI (alignment of capture times with 1 % tolerance, usable status,
TAF1 as end minus start, TAF2 with the error register).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from clsbench.smgw.core.legal_time import QUARTER_MS
from clsbench.smgw.core.status import ptb
from clsbench.smgw.trudi.document import Reading, Series
from clsbench.smgw.trudi.findings import Rule, rule
from clsbench.smgw.trudi.rules import fnn_word
from clsbench.smgw.trudi.tariff_file import ERROR_E, TariffFile

BAD = (3, 4)


@dataclass(frozen=True, slots=True)
class _List:
    """An original value list: usable values by instant, as whole numbers at one scaler."""

    obis: str
    scaler: int
    values: dict[int, int]


def recompute_rules(
    series: list[Series], taf: int | None, tariff: TariffFile | None
) -> list[Rule]:
    """What the file's derived registers must be."""
    lists = {one.obis: _values(one) for one in series if one.original and one.obis}
    derived = [one for one in series if not one.original and one.obis]
    found: list[Rule] = []
    if taf == 1:
        says = "TAF1: a register is its original list's end minus its start"
        found.append(rule("R1", says, _taf1(lists, derived)))
    if taf == 2:
        says = "TAF2: stages and error register add up to the total"
        found.append(rule("R2", says, _sums(derived)))
        says = "TAF2: every register is what the original list and the tariff give"
        if tariff is None:
            found.append(Rule("R3", says, why_not="needs the supplier's file: --tariff FILE"))
        else:
            found.append(rule("R3", says, _taf2(lists, derived, tariff)))
    if taf == 6:
        says = "TAF6: a register is that of the original list at the end of its day"
        found.append(rule("R4", says, _taf6(lists, derived)))
    return found


def aligned_ms(captured_ms: int, period_s: int) -> int:
    """The due time a capture time stands for, if it lies within 1 % of the period, else itself."""
    period_ms = period_s * 1000
    due_ms = (captured_ms + period_ms // 2) // period_ms * period_ms
    return due_ms if abs(captured_ms - due_ms) <= period_ms // 100 else captured_ms


def _values(one: Series) -> _List:
    values = {}
    for reading in one.readings:
        if reading.value is not None and _usable(reading) and reading.captured_ms is not None:
            target_ms = reading.target_ms
            at_ms = aligned_ms(reading.captured_ms, 900) if target_ms is None else target_ms
            values[at_ms] = reading.value
    return _List(one.obis or "", one.scaler, dict(sorted(values.items())))


def _usable(reading: Reading) -> bool:
    if reading.status_ptb is not None:
        return reading.status_ptb not in BAD
    word = fnn_word(reading.status_fnn or "")
    return word is not None and ptb(word) not in BAD


def _taf1(lists: dict[str, _List], derived: list[Series]) -> Iterator[str]:
    for one in derived:
        own = lists.get(one.obis or "")
        if own is None:
            yield f"{one.name}: no original value list for {one.obis}"
            continue
        for block in one.blocks:
            start, end = own.values.get(block.start_ms or 0), own.values.get(block.end_ms or 0)
            for reading in block.readings:
                if start is None or end is None:
                    yield f"{one.name}: original list lacks a usable reading at an end"
                elif not _equal(reading.value, one.scaler, end - start, own.scaler):
                    yield f"{one.name}: {reading.value}, original list gives {end - start}"


def _sums(derived: list[Series]) -> Iterator[str]:
    totals = [one for one in derived if _stage(one) == 0]
    if not totals:
        yield "no total register"
    for total in totals:
        stages = [one for one in derived if _stage(one) != 0 and _same_quantity(one, total)]
        if not any(_stage(one) == ERROR_E for one in stages):
            yield f"{total.name}: no error register (63)"
        scaler = min(one.scaler for one in [total, *stages])
        summed = sum(_last(one) * 10 ** (one.scaler - scaler) for one in stages)
        whole = _last(total) * 10 ** (total.scaler - scaler)
        if summed != whole:
            yield f"{total.name}: {whole}, stages add up to {summed}"


def _taf2(lists: dict[str, _List], derived: list[Series], tariff: TariffFile) -> Iterator[str]:
    for one in derived:
        obis = f"{(one.obis or '')[:8]}00{(one.obis or '')[10:]}"
        own = lists.get(obis)
        if own is None:
            yield f"{one.name}: no original value list for {obis}"
            continue
        for block in one.blocks:
            inside = {
                at_ms: value
                for at_ms, value in own.values.items()
                if (block.start_ms or 0) <= at_ms <= (block.end_ms or 0)
            }
            counted = _count(inside, tariff)
            stage = _stage(one)
            expected = sum(counted.values()) if stage == 0 else counted.get(stage, 0)
            for reading in block.readings:
                if not _equal(reading.value, one.scaler, expected, own.scaler):
                    yield f"{one.name}: {reading.value}, original list gives {expected}"


def _count(values: dict[int, int], tariff: TariffFile) -> dict[int, int]:
    """Amount by register (E): from one usable reading to the next, by the stage in between."""
    register = {stage.number: stage.register for stage in tariff.stages}
    counted: dict[int, int] = {}
    before_ms = None
    for at_ms in values:
        if before_ms is not None:
            numbers = {tariff.number_at(ms) for ms in range(before_ms, at_ms, QUARTER_MS)}
            only = register.get(numbers.pop() or 0) if len(numbers) == 1 else None
            into = ERROR_E if only is None else only
            counted[into] = counted.get(into, 0) + values[at_ms] - values[before_ms]
        before_ms = at_ms
    return counted


def _taf6(lists: dict[str, _List], derived: list[Series]) -> Iterator[str]:
    for one in derived:
        own = lists.get(one.obis or "")
        for reading in one.readings:
            expected = None if own is None else own.values.get(reading.at_ms or 0)
            scaler = one.scaler if own is None else own.scaler
            if expected is None or not _equal(reading.value, one.scaler, expected, scaler):
                yield f"{one.name}: {reading.value}, original list gives {expected}"


def _stage(one: Series) -> int:
    return int((one.obis or "00" * 6)[8:10], 16)


def _same_quantity(one: Series, total: Series) -> bool:
    own, whole = one.obis or "", total.obis or ""
    return own[:8] == whole[:8] and own[10:] == whole[10:]


def _last(one: Series) -> int:
    values = [reading.value for reading in one.readings if reading.value is not None]
    return values[-1] if values else 0


def _equal(value: int | None, scaler: int, expected: int, expected_scaler: int) -> bool:
    if value is None:
        return False
    finest = min(scaler, expected_scaler)
    return value * 10 ** (scaler - finest) == expected * 10 ** (expected_scaler - finest)
