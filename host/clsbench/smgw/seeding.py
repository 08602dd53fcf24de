"""A simulated month in a gateway's state: readings every quarter hour, registers, log entries.

The same seed gives the same month. Energy follows a household and a small photovoltaic plant;
capture times stray a second or two around the due times, as in the field. Written in the
store's own forms, so that whoever reads the gateway cannot tell it from a month that ran.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from clsbench.meters.load import BaseLoad
from clsbench.smgw.archive import Archive
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.legal_time import QUARTER_MS, local
from clsbench.smgw.core.logs import INFO, SUCCESS, SYSTEM_LOG, consumer_log
from clsbench.smgw.core.originals import Original, slot_originals
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.core.periods import PERIODIC, ended, evaluate
from clsbench.smgw.core.profiles import Profiles
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.store import Store

IMPORT, EXPORT, POWER = "1-0:1.8.0*255", "1-0:2.8.0*255", "1-0:16.7.0*255"
WH, W = 30, 27
SCALER = -1  # tenths of a watt-hour, as the field has it
BASE_WORD = 0x1C0104  # a base meter under load, all three phases there
SUN_W = 4000
FIRST_RAW = 12_345_678


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was written for one meter."""

    meter: str
    readings: int
    gaps: int
    registers: int


def seed_month(
    profiles: Profiles, store: Store, archive: Archive, span: tuple[int, int], gaps: int, seed: int
) -> list[Seeded]:
    """Writes a month (start, end in ms) of readings for every meter, and what tariffs make of it.

    gaps: due times left without a reading, for each meter.
    """
    done = []
    for meter in profiles.meters:
        chance = random.Random(f"{seed} {meter.meter_id} {span}")
        rows = list(_month(meter, span, gaps, chance, _first(meter, archive, span[0])))
        archive.add_originals(rows)
        own = [taf for taf in profiles.tafs if taf.meter_id == meter.meter_id]
        registers = sum(_evaluate(taf, archive, span) for taf in own if taf.number in PERIODIC)
        lost = sum(row.raw is None for row in rows if row.obis == rows[0].obis)
        done.append(Seeded(meter.meter_id, len(rows), lost, registers))
        for log in {SYSTEM_LOG, *(consumer_log(taf.final_consumer) for taf in own)}:
            store.add_log(log, *_entry(span[1], meter.meter_id, len(rows)))
    return done


def _month(
    meter: MeterProfile,
    span: tuple[int, int],
    gaps: int,
    chance: random.Random,
    first: tuple[int, int],
) -> Iterator[Original]:
    dues = range(span[0], span[1] + 1, QUARTER_MS)
    lost = set(chance.sample(dues[1:-1], min(gaps, len(dues) - 2)))
    used = made = 0  # milliwatt-hours since the start
    last: list[Original] = []
    for due_ms in dues:
        load_w, sun_w = _powers(due_ms, chance)
        registers = first[0] + used // 100, first[1] + made // 100
        values = _values(meter, *registers, load_w - sun_w)
        captured_ms = due_ms + chance.randint(-900, 1900)
        reading = OriginalReading(meter.meter_id, captured_ms, values, BASE_WORD)
        slot = Slot(due_ms, None if due_ms in lost else reading)
        last = slot_originals(meter.meter_id, slot, TimeState(), last)
        yield from last
        net_mwh = (load_w - sun_w) * 250
        used, made = used + max(net_mwh, 0), made + max(-net_mwh, 0)


def _powers(due_ms: int, chance: random.Random) -> tuple[int, int]:
    moment = local(due_ms)
    load_w = BaseLoad.HOURLY_W[moment.hour] * chance.randint(60, 140) // 100
    from_noon = abs(moment.hour * 4 + moment.minute // 15 - 52)  # quarter hours
    sun_w = max(0, SUN_W * (24 - from_noon) // 24) * chance.randint(20, 100) // 100
    return load_w, sun_w


def _first(meter: MeterProfile, archive: Archive, start_ms: int) -> tuple[int, int]:
    """Where import and export begin: where an earlier month left them."""
    earlier = archive.originals(meter.meter_id, None, None, start_ms + 1, QUARTER_MS)
    last = {row.obis: row.raw for row in earlier if row.raw is not None and row.scaler == SCALER}
    return last.get(IMPORT, FIRST_RAW), last.get(EXPORT, FIRST_RAW // 10)


def _values(meter: MeterProfile, used: int, made: int, power_w: int) -> tuple[Value, ...]:
    all_values = (
        Value(IMPORT, used, SCALER, WH),
        Value(EXPORT, made, SCALER, WH),
        Value(POWER, power_w, 0, W),
    )
    return tuple(value for value in all_values if not meter.obis or value.obis in meter.obis)


def _evaluate(taf: TafProfile, archive: Archive, span: tuple[int, int]) -> int:
    formed = 0
    for period in ended(taf, span[0], span[1]):
        rows = archive.originals(taf.meter_id, None, period[0], period[1] + 1, QUARTER_MS)
        registers = evaluate(taf, rows, period)
        archive.put_derived(registers)
        formed += len(registers)
    return formed


def _entry(at_ms: int, meter: str, rows: int) -> tuple[int, str, str, str, str, str]:
    return at_ms, INFO, "meter.seeded", SUCCESS, meter, f"{rows} simulated readings"
