"""What TRuDI demands of a file from a gateway beyond the schema: model and context rules.

Each rule is a function from the usage point to findings; the table at the end is the list.
Source: behaviour of TRuDI (ModelValidation, ContextValidation), retold.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from itertools import pairwise

from cryptography import x509

from clsbench.pki.names import UNREADABLE
from clsbench.smgw.core import status
from clsbench.smgw.trudi.document import Series, find, find_all, int_of, series_of, text_of
from clsbench.smgw.trudi.findings import Rule, rule
from clsbench.smgw.trudi.names import KINDS, LEVELS, MULTIPLIERS, OUTCOMES, PTB, UOMS

MAX_DAYS = 1096
DAY_MS = 86_400_000
_OBIS = re.compile(r"[0-9A-Fa-f]{12}")

Check = Callable[[ET.Element, list[Series]], Iterator[str]]


def adapter_rules(usage_point: ET.Element, taf: int | None) -> list[Rule]:
    """Every rule for a file from a gateway. taf: which of the tariffs' own rules count."""
    series = series_of(usage_point)
    return [
        rule(name, says, check(usage_point, series))
        for name, says, check, tafs in _RULES
        if tafs is None or taf in tafs
    ]


def common_rules(usage_point: ET.Element) -> list[Rule]:
    """The rules that a tariff file of a supplier has to keep too."""
    return [
        rule(name, says, check(usage_point, []))
        for name, says, check, _ in _RULES
        if name in ("M01", "M02", "M03", "M04", "M07", "M08")
    ]


def _there(path: str) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        if find(usage_point, path) is None:
            yield f"{path} is missing"

    return check


def _said(path: str) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        if text_of(usage_point, path) is None:
            yield f"{path} is missing or blank"

    return check


def _kind(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    kind = int_of(usage_point, "espi:ServiceCategory/espi:kind")
    if kind not in KINDS:
        yield f"kind {kind} is none of TRuDI's"


def _smgw_certs(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    if not find_all(find(usage_point, "SMGW"), "certId"):
        yield "SMGW has no certId"


def _cert_types(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for place, cert in enumerate(find_all(usage_point, "Certificate"), 1):
        if int_of(cert, "certType") not in (1, 2, 3):
            yield f"certificate {place}: certType {text_of(cert, 'certType')}"


def _cert_numbers(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    named = [id_.text for id_ in find_all(find(usage_point, "SMGW"), "certId")]
    there = [text_of(cert, "certId") for cert in find_all(usage_point, "Certificate")]
    if len(named) != len(there):
        yield f"SMGW names {len(named)} certificates, {len(there)} are there"
    for id_ in named:
        if id_ not in there:
            yield f"certificate {id_} is named by the SMGW, but not there"


def _cert_content(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for cert in find_all(usage_point, "Certificate"):
        try:
            x509.load_der_x509_certificate(bytes.fromhex(text_of(cert, "certContent") or ""))
        except UNREADABLE as error:
            yield f"certificate {text_of(cert, 'certId')}: {error}"


def _each(says: str, good: Callable[[Series], bool]) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        yield from (f"{_called(one)}: {says}" for one in series if not good(one))

    return check


def _intervals(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for one in series:
        for place, block in enumerate(one.blocks, 1):
            if block.start_ms is None or block.duration_s is None:
                yield f"{_called(one)}, block {place}: interval without start or duration"


def _blocks_filled(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for one in series:
        for place, block in enumerate(one.blocks, 1):
            if not block.readings:
                yield f"{_called(one)}, block {place}: no IntervalReading"


def _each_reading(says: str, good: Callable) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        for one in series:
            for place, reading in enumerate(one.readings, 1):
                if not good(reading):
                    yield f"{_called(one)}, reading {place}: {says}"

    return check


def _status_good(reading) -> bool:
    if reading.status_fnn is None and reading.status_ptb is None:
        return False
    if reading.status_fnn is not None and reading.status_ptb is None:
        return fnn_word(reading.status_fnn) is not None
    return reading.status_ptb in PTB


def fnn_word(text: str) -> int | None:
    """The status word, or None when the text is none."""
    try:
        return status.from_hex(text)
    except ValueError:
        return None


def _log(path: str, allowed: range, needed: bool) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        for place, entry in enumerate(find_all(usage_point, "LogEntry"), 1):
            for event in find_all(entry, "LogEvent"):
                value = int_of(event, path)
                absent = find(event, path) is None and not needed
                if value not in allowed and not absent:
                    yield f"log entry {place}: {path} {text_of(event, path)}"

    return check


def _joined(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for one in series:
        spans = sorted((b.start_ms, b.end_ms) for b in one.blocks if b.start_ms and b.end_ms)
        for (_, end), (start, _) in pairwise(spans):
            if start != end:
                told = "gap between" if start > end else "overlap of"
                yield f"{_called(one)}: {told} two blocks"


def _span(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    blocks = [b for one in series for b in one.blocks if b.start_ms and b.end_ms]
    if blocks:
        first, last = min(b.start_ms or 0 for b in blocks), max(b.end_ms or 0 for b in blocks)
        if last - first > MAX_DAYS * DAY_MS:
            yield f"{(last - first) // DAY_MS} days"


def _at_least(count: int) -> Check:
    def check(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
        if len(series) < count:
            yield f"{len(series)} MeterReading"

    return check


def _same_duration(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    spans = {
        sum(block.duration_s or 0 for block in one.blocks) for one in series if not one.original
    }
    if len(spans) > 1:
        yield f"derived registers of {', '.join(f'{span} s' for span in sorted(spans))}"


def _captured_inside(usage_point: ET.Element, series: list[Series]) -> Iterator[str]:
    for one in series:
        for block in one.blocks:
            if block.start_ms is None or block.end_ms is None:
                continue
            for reading in block.readings:
                at_ms = reading.captured_ms
                if at_ms is not None and not block.start_ms <= at_ms <= block.end_ms:
                    captured = text_of(reading.element, "timePeriod/start")
                    yield f"{_called(one)}: {captured} is outside its block"


def _called(one: Series) -> str:
    return one.name or f"MeterReading {one.place}"


_RULES: tuple[tuple[str, str, Check, tuple[int, ...] | None], ...] = (
    ("M01", "usagePointId is there", _said("usagePointId"), None),
    ("M02", "tariffName is there", _said("tariffName"), None),
    ("M03", "InvoicingParty is there", _there("InvoicingParty"), None),
    ("M04", "SMGW is there", _there("SMGW"), None),
    ("M05", "smgwId is there", _said("SMGW/smgwId"), None),
    ("M06", "SMGW names at least one certificate", _smgw_certs, None),
    ("M07", "ServiceCategory is there", _there("espi:ServiceCategory"), None),
    ("M08", "kind is one of TRuDI's", _kind, None),
    ("M09", "Customer is there", _there("Customer"), None),
    ("M10", "at least one Certificate is there", _there("Certificate"), None),
    ("M11", "certType is 1, 2 or 3", _cert_types, None),
    ("M12", "meterReadingId is there", _each("no meterReadingId", lambda s: bool(s.reading_id)),
     None),
    ("M13", "Meter is there",
     _each("no Meter", lambda s: find(s.element, "Meter") is not None), None),
    ("M14", "ReadingType is there",
     _each("no ReadingType", lambda s: find(s.element, "ReadingType") is not None), None),
    ("M15", "obisCode has 12 hexadecimal digits",
     _each("obisCode", lambda s: bool(_OBIS.fullmatch(s.obis or ""))), None),
    ("M16", "qualifiedLogicalName is there",
     _each("no qualifiedLogicalName", lambda s: bool(s.name)), None),
    ("M17", "powerOfTenMultiplier is one of TRuDI's",
     _each("powerOfTenMultiplier", lambda s: s.multiplier in MULTIPLIERS), None),
    ("M18", "uom is one of TRuDI's", _each("uom", lambda s: s.uom in UOMS), None),
    ("M19", "an IntervalBlock has start and duration", _intervals, None),
    ("M20", "an IntervalBlock has a reading", _blocks_filled, None),
    ("M21", "a reading has a timePeriod with start and duration",
     _each_reading("timePeriod", lambda r: r.captured_ms is not None and r.duration_s is not None),
     None),
    ("M22", "a reading has a value", _each_reading("no value", lambda r: r.value is not None),
     None),
    ("M23", "a reading has a status, FNN or PTB", _each_reading("status", _status_good), None),
    ("M24", "level of a log event is 1 to 5", _log("level", LEVELS, True), None),
    ("M25", "outcome of a log event is 0 to 2", _log("outcome", OUTCOMES, False), None),
    ("C01", "certificates named and certificates there are the same", _cert_numbers, None),
    ("C02", "every certificate is one of X.509", _cert_content, None),
    ("C03", "blocks of a register join without gap and overlap", _joined, None),
    ("C04", f"the file spans at most {MAX_DAYS} days", _span, None),
    ("C05", "TAF1 has at least 2 MeterReadings", _at_least(2), (1,)),
    ("C06", "TAF2 has at least 5 MeterReadings", _at_least(5), (2,)),
    ("C07", "TAF2: derived registers last equally long", _same_duration, (2,)),
    ("C08", "TAF7: every MeterReading is an original value list",
     _each("no original value list", lambda s: s.original), (7,)),
    ("C09", "TAF7: capture times lie in their block", _captured_inside, (7,)),
)  # fmt: skip
