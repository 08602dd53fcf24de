"""What TRuDI demands of a supplier's file, and of it beside a gateway's file.

Source: behaviour of TRuDI (ModelValidation, ContextValidation), retold.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import date

from clsbench.smgw.core.legal_time import days_between
from clsbench.smgw.trudi.document import find, text_of
from clsbench.smgw.trudi.findings import Rule, rule
from clsbench.smgw.trudi.tariff_file import ERROR_E, TariffFile, read_tariff

MAX_STAGES = 20
USE_CASES = (1, 2, 6, 7, 9)
DAY_S = 86_400

_SAME = (
    ("T01", "usagePointId is the same in both files", "usagePointId"),
    ("T02", "invoicingPartyId is the same in both files", "InvoicingParty/invoicingPartyId"),
    ("T03", "kind is the same in both files", "espi:ServiceCategory/espi:kind"),
    ("T04", "smgwId is the same in both files, whatever its case", "SMGW/smgwId"),
    ("T05", "tariffName is the same in both files", "tariffName"),
)


def tariff_rules(supplier: ET.Element, usage_point: ET.Element) -> list[Rule]:
    """Every rule of a supplier's usage point beside the gateway's."""
    tariff = read_tariff(supplier)
    return [
        *(rule(name, says, _same(supplier, usage_point, path)) for name, says, path in _SAME),
        rule("T06", f"at most {MAX_STAGES} stages, and one at least", _stage_count(tariff)),
        rule("T07", "every day of the billing period has its SpecialDayProfile", _days(tariff)),
        rule("T08", "every dayId is that of a DayProfile", _day_ids(tariff)),
        rule("T09", "every tariffNumber is that of a stage", _numbers(tariff)),
        rule("T10", "the billing period has at least one day", _period(tariff)),
        rule("T11", "a DayProfile names every quarter hour", _quarters(tariff)),
        rule("T12", "obisCode of a stage has 12 hexadecimal digits", _codes(tariff)),
        rule("T13", "tariffUseCase is one TRuDI knows", _use_case(tariff)),
        rule("T14", "a TimeTrigger is there", _trigger(supplier)),
    ]


def _same(supplier: ET.Element, usage_point: ET.Element, path: str) -> Iterator[str]:
    theirs, ours = text_of(supplier, path) or "", text_of(usage_point, path) or ""
    if path == "SMGW/smgwId":
        theirs, ours = theirs.lower(), ours.lower()
    if theirs != ours:
        yield f"'{ours}' from the gateway, '{theirs}' from the supplier"


def _stage_count(tariff: TariffFile) -> Iterator[str]:
    own = [stage for stage in tariff.stages if stage.register != ERROR_E]
    if not 1 <= len(own) <= MAX_STAGES:
        yield f"{len(own)} stages"


def _billed(tariff: TariffFile) -> list[date]:
    if tariff.start_ms is None or tariff.duration_s is None or tariff.duration_s > 5000 * DAY_S:
        return []
    return days_between(tariff.start_ms, tariff.start_ms + 1000 * tariff.duration_s)


def _days(tariff: TariffFile) -> Iterator[str]:
    there = {day for day, _ in tariff.special}
    yield from (f"{day}: none" for day in _billed(tariff) if day not in there)


def _day_ids(tariff: TariffFile) -> Iterator[str]:
    for day, day_id in tariff.special:
        if day_id not in tariff.days:
            yield f"{day}: dayId {day_id}"


def _numbers(tariff: TariffFile) -> Iterator[str]:
    known = {stage.number for stage in tariff.stages}
    for day_id, switches in tariff.days.items():
        for number in {number for _, number in switches} - known:
            yield f"day {day_id}: tariffNumber {number}"


def _period(tariff: TariffFile) -> Iterator[str]:
    if tariff.start_ms is None or tariff.duration_s is None:
        yield "billingPeriod without start or duration"
    elif tariff.duration_s < DAY_S - 3600:  # the short day has 23 hours
        yield f"{tariff.duration_s} s"


def _quarters(tariff: TariffFile) -> Iterator[str]:
    for day_id, switches in tariff.days.items():
        missing = set(range(0, 24 * 60, 15)) - {minute for minute, _ in switches}
        if missing:
            first = min(missing)
            yield f"day {day_id}: {len(missing)} missing, first {first // 60:02}:{first % 60:02}"


def _codes(tariff: TariffFile) -> Iterator[str]:
    yield from (
        f"stage {stage.number}: '{stage.obis}'"
        for stage in tariff.stages
        if stage.register is None
    )


def _use_case(tariff: TariffFile) -> Iterator[str]:
    if tariff.use_case not in USE_CASES:
        yield f"tariffUseCase {tariff.use_case}"


def _trigger(supplier: ET.Element) -> Iterator[str]:
    if find(supplier, "AnalysisProfile/TariffChangeTrigger/TimeTrigger") is None:
        yield "AnalysisProfile/TariffChangeTrigger/TimeTrigger is missing"
