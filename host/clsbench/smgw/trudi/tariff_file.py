"""The file that a supplier gives to TRuDI (IF_Lieferant_TRuDI): stages and when each one counts.

Written for a TAF2 profile, every day of the span rolled out; read back for the check of such
files. Day profiles name all 96 quarter hours, as TRuDI wants them for TAF7 readings.
Source: AR 2418-6 version 1.4.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from clsbench.errors import BadInput
from clsbench.smgw.core.legal_time import days_between, local
from clsbench.smgw.core.taf2 import stage_obis
from clsbench.smgw.core.time_of_use import ERROR_STAGE
from clsbench.smgw.trudi.contract import Contract
from clsbench.smgw.trudi.document import find, find_all, int_of, ms_of, text_of
from clsbench.smgw.trudi.export import add_head, tidy
from clsbench.smgw.trudi.names import hex_obis
from clsbench.smgw.trudi.tree import add, add_interval, file_bytes, root

ERROR_E = 0x3F


@dataclass(frozen=True, slots=True)
class Stage:
    """A tariff stage: number as the day profiles name it; obis: 12 hexadecimal digits."""

    number: int
    obis: str

    @property
    def register(self) -> int | None:
        """The E of its register; None where the code is none."""
        try:
            return bytes.fromhex(self.obis)[4] if len(self.obis) == 12 else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class TariffFile:
    """A supplier's file. days: day id -> (minute, tariff number) in order; None = not readable."""

    use_case: int | None
    start_ms: int | None
    duration_s: int | None
    stages: tuple[Stage, ...]
    days: dict[str, tuple[tuple[int, int | None], ...]]
    special: tuple[tuple[date | None, str | None], ...]

    def number_at(self, utc_ms: int) -> int | None:
        """The tariff number that counts at an instant."""
        moment = local(utc_ms)
        day_id = dict(self.special).get(moment.date())
        minute = moment.hour * 60 + moment.minute
        past = [number for start, number in self.days.get(day_id or "", ()) if start <= minute]
        return past[-1] if past else None


def tariff_file(content: Contract) -> bytes:
    """The file for a TAF2 profile. Raises BadInput for any other."""
    tariff = content.taf.time_of_use
    if tariff is None:
        raise BadInput(f"profile '{content.taf.profile_id}' has no tariff stages")
    usage_points = root()
    point = add(usage_points, "UsagePoint")
    add_head(point, content, for_supplier=True)
    add(point, "tariffName", content.taf.point.tariff_name or content.taf.profile_id)
    profile = add(point, "AnalysisProfile")
    add(profile, "tariffUseCase", content.taf.number)
    add(profile, "tariffId", tidy(content.taf.profile_id)[:64])
    start_ms, end_ms = content.span
    add_interval(profile, "billingPeriod", start_ms, (end_ms - start_ms) // 1000)
    total = content.originals[0].obis
    names = [(stage.number, stage.description) for stage in tariff.stages]
    for number, description in [*names, (ERROR_STAGE, "error register")]:
        stage = add(profile, "TariffStage")
        add(stage, "tariffNumber", number)
        if description:
            add(stage, "description", description)
        add(stage, "obisCode", hex_obis(stage_obis(total, number)))
    add(profile, "defaultTariffNumber", tariff.stages[0].number)
    trigger = add(add(profile, "TariffChangeTrigger"), "TimeTrigger")
    for day in tariff.days:
        element = add(trigger, "DayProfile")
        add(element, "dayId", day.day_id)
        for minute in range(0, 24 * 60, 15):
            entry = add(element, "DayTimeProfile")
            start = add(entry, "startTime")
            add(start, "hour", minute // 60)
            add(start, "minute", minute % 60)
            add(entry, "tariffNumber", day.stage_at(minute))
    for day in days_between(start_ms, end_ms):
        special = add(trigger, "SpecialDayProfile")
        moment = add(special, "specialDayDate")
        add(moment, "year", day.year)
        add(moment, "month", day.month)
        add(moment, "day_of_month", day.day)
        add(special, "dayId", tariff.day_profile(day).day_id)
    return file_bytes(usage_points)


def read_tariff(usage_point: ET.Element) -> TariffFile:
    """The tariff in a supplier's file."""
    profile = find(usage_point, "AnalysisProfile")
    trigger = find(profile, "TariffChangeTrigger/TimeTrigger")
    return TariffFile(
        use_case=int_of(profile, "tariffUseCase"),
        start_ms=ms_of(profile, "billingPeriod/start"),
        duration_s=int_of(profile, "billingPeriod/duration"),
        stages=tuple(
            Stage(int_of(stage, "tariffNumber") or 0, (text_of(stage, "obisCode") or "").lower())
            for stage in find_all(profile, "TariffStage")
        ),
        days=dict(_days(trigger)),
        special=tuple(
            (_date(find(special, "specialDayDate")), text_of(special, "dayId"))
            for special in find_all(trigger, "SpecialDayProfile")
        ),
    )


def _days(trigger: ET.Element | None) -> Iterator[tuple[str, tuple]]:
    for day in find_all(trigger, "DayProfile"):
        switches = [
            (
                60 * (int_of(entry, "startTime/hour") or 0)
                + (int_of(entry, "startTime/minute") or 0),
                int_of(entry, "tariffNumber"),
            )
            for entry in find_all(day, "DayTimeProfile")
        ]
        for day_id in find_all(day, "dayId"):
            yield (day_id.text or "").strip(), tuple(sorted(switches, key=lambda one: one[0]))


def _date(element: ET.Element | None) -> date | None:
    parts = [int_of(element, name) for name in ("year", "month", "day_of_month")]
    try:
        return date(*(part or 0 for part in parts))
    except ValueError:
        return None
