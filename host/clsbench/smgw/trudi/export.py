"""The file that TRuDI reads from a gateway (IF_Adapter_TRuDI) for TAF 1, 2, 6 and 7.

Original value lists first, then what the profile derived. A due time without a reading has no
element, since the format has no reading without a value. Readings carry no inner signature:
how it is formed is not public.
Source: AR 2418-6 version 1.4.
"""

import xml.etree.ElementTree as ET
from itertools import groupby

from clsbench.smgw.core import status
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.logs import LEVELS, OUTCOMES, LogEntry
from clsbench.smgw.core.originals import Original
from clsbench.smgw.trudi.contract import Contract, Party
from clsbench.smgw.trudi.names import CERT_SUB, ELECTRICITY, GAS, HEAT, UOM, WATER, hex_obis
from clsbench.smgw.trudi.tree import add, add_interval, file_bytes, root, time_text

_KINDS = {"1": ELECTRICITY, "6": HEAT, "7": GAS, "8": WATER, "9": WATER}


def adapter_file(content: Contract) -> bytes:
    """The file."""
    usage_points = root()
    point = add(usage_points, "UsagePoint")
    add_head(point, content)
    add(point, "tariffName", content.taf.point.tariff_name or content.taf.profile_id)
    for entry in content.logs:
        _log_entry(point, entry)
    rows = sorted(content.originals, key=lambda row: (row.obis, row.at_ms))
    for obis, own in groupby(rows, key=lambda row: row.obis):
        _original_list(point, content, obis, list(own))
    registers = sorted(content.derived, key=lambda row: (hex_obis(row.obis), row.end_ms))
    for obis, own in groupby(registers, key=lambda row: row.obis):
        _register(point, content, obis, [one for one in own if one.raw is not None])
    return file_bytes(usage_points)


def add_head(point: ET.Element, content: Contract, for_supplier: bool = False) -> None:
    """Whose contract it is; in a supplier's file without customer and certificates."""
    taf, party = content.taf, content.party
    category = add(point, "espi:ServiceCategory")
    add(category, "espi:kind", _KINDS.get(content.originals[0].obis[0], ELECTRICITY))
    add(point, "usagePointId", taf.point.point_id or taf.profile_id)
    if not for_supplier:
        add(add(point, "Customer"), "customerId", party.customer_id)
    invoicing = taf.point.invoicing_party_id or taf.emt or "none"
    add(add(point, "InvoicingParty"), "invoicingPartyId", invoicing)
    smgw = add(point, "SMGW")
    if for_supplier:
        add(smgw, "smgwId", party.smgw_id)
        return
    for number in range(1, len(party.certificates) + 1):
        add(smgw, "certId", number)
    add(smgw, "smgwId", party.smgw_id)
    add(smgw, "FirmwareVersion", party.firmware)
    _certificates(point, party)


def tidy(profile_id: str) -> str:
    """A profile's id as a part of a logical name: without dots."""
    return profile_id.replace(".", "-")


def _certificates(point: ET.Element, party: Party) -> None:
    subs = [n for n, (kind, _) in enumerate(party.certificates, 1) if kind == CERT_SUB]
    for number, (kind, der) in enumerate(party.certificates, 1):
        certificate = add(point, "Certificate")
        add(certificate, "certId", number)
        add(certificate, "certType", kind)
        if kind == 1 and subs:
            add(certificate, "parentCertId", subs[0])
        add(certificate, "certContent", der.hex().upper())


def _log_entry(point: ET.Element, entry: LogEntry) -> None:
    element = add(point, "LogEntry")
    add(element, "recordNumber", entry.number)
    event = add(element, "LogEvent")
    add(event, "level", LEVELS.index(entry.level) + 1)
    add(event, "text", f"{entry.event}: {entry.message}")
    add(event, "outcome", OUTCOMES.index(entry.outcome))
    add(event, "subjectIdentity", entry.subject)
    add(event, "timestamp", time_text(entry.t_ms))
    if entry.user:
        add(event, "userIdentity", entry.user)


def _original_list(point: ET.Element, content: Contract, obis: str, rows: list[Original]) -> None:
    scaler = min(row.scaler for row in rows)
    owner = f"{hex_obis(obis)}.{content.meter_id}.sm"
    series = _series(point, content, obis, owner, scaler, rows[0].unit)
    captures = [row.captured_ms or row.at_ms for row in rows]
    start_ms = min(captures[0], rows[0].at_ms) // 1000 * 1000
    end_ms = -(-max(captures[-1], rows[-1].at_ms) // 1000) * 1000
    block = add(series, "IntervalBlock")
    add_interval(block, "interval", start_ms, (end_ms - start_ms) // 1000)
    for row in rows:
        reading = add(block, "IntervalReading")
        add(reading, "espi:value", (row.raw or 0) * 10 ** (row.scaler - scaler))
        add_interval(reading, "timePeriod", row.captured_ms or row.at_ms, 0)
        add(reading, "targetTime", time_text(row.at_ms))
        _status(reading, row.status, row.ptb)


def _register(point: ET.Element, content: Contract, obis: str, rows: list[Derived]) -> None:
    if not rows:
        return
    scaler = min(row.scaler for row in rows)
    owner = f"{hex_obis(obis)}.{tidy(content.taf.profile_id)}.sm"
    series = _series(point, content, obis, owner, scaler, rows[0].unit)
    block = add(series, "IntervalBlock")
    start_ms, end_ms = rows[0].start_ms, rows[-1].end_ms
    add_interval(block, "interval", start_ms, (end_ms - start_ms) // 1000)
    for row in rows:
        reading = add(block, "IntervalReading")
        add(reading, "espi:value", (row.raw or 0) * 10 ** (row.scaler - scaler))
        add_interval(reading, "timePeriod", row.end_ms, 0)
        add(reading, "targetTime", time_text(row.end_ms))
        _status(reading, row.status, row.ptb)


def _series(
    point: ET.Element, content: Contract, obis: str, owner: str, scaler: int, unit: int
) -> ET.Element:
    series = add(point, "MeterReading")
    add(add(series, "Meter"), "meterId", content.meter_id)
    taf = content.taf
    add(series, "meterReadingId", f"{taf.point.point_id or taf.profile_id}.{owner}")
    kind = add(series, "ReadingType")
    add(kind, "espi:powerOfTenMultiplier", 0)
    add(kind, "espi:uom", UOM.get(unit, 0))
    add(kind, "scaler", scaler)
    add(kind, "obisCode", hex_obis(obis))
    add(kind, "qualifiedLogicalName", owner)
    add(kind, "description", f"TAF-{taf.number}")
    if owner.split(".")[1] == content.meter_id and taf.number in (2, 7):
        add(kind, "measurementPeriod", 900)
    return series


def _status(reading: ET.Element, word: int, ptb: int) -> None:
    add(reading, "statusFNN", status.to_hex(word))
    add(reading, "statusPTB", ptb)
