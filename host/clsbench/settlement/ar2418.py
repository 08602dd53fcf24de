"""Meter reading series out of an AR 2418-6 XML (TRuDI): import of original value lists.

Reads MeterReading elements of active energy 1.8.0 and 2.8.0: value, AR timePeriod (capture time),
targetTime (due time), statusPTB or statusFNN. Other registers are passed over. A document type
declaration is refused, so that no entity is ever expanded.
Source: VDE-AR-N 2418-6 schema v1.4 (names), TRuDI (status rules).
"""

from typing import Any
from xml.etree import ElementTree

from clsbench.errors import BadInput
from clsbench.settlement.document import direction_of
from clsbench.settlement.times import parse_ms
from clsbench.smgw.core import status

AR = "{http://vde.de/AR_2418-6.xsd}"
ESPI = "{http://naesb.org/espi}"
WATT_HOURS = "72"  # espi:uom


def read_xml(text: str, name: str) -> dict[str, Any]:
    """series[] of an input document. name: for messages. Raises BadInput."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInput(f"{name}: declares a document type, which no AR 2418-6 file has")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise BadInput(f"{name}: is no XML: {error}") from error
    series = []
    for index, element in enumerate(root.iter(f"{AR}MeterReading")):
        place = f"{name}, MeterReading {index + 1}"
        if (found := _series(element, place)) is not None:
            series.append(found)
    if not series:
        raise BadInput(f"{name}: holds no MeterReading of active energy (0100010800ff, ...)")
    return {"series": series, "events": []}


def _series(element: ElementTree.Element, place: str) -> dict[str, Any] | None:
    kind = element.find(f"{AR}ReadingType")
    obis = _text(kind, f"{AR}obisCode")
    if kind is None or obis is None or direction_of(obis.lower()) is None:
        return None
    if _text(kind, f"{ESPI}uom") != WATT_HOURS:
        raise BadInput(f"{place}: its unit is not Wh (espi:uom 72)")
    scaler = _whole(_text(kind, f"{AR}scaler") or "0", place)
    scaler += _whole(_text(kind, f"{ESPI}powerOfTenMultiplier") or "0", place)
    readings = [_reading(each, place) for each in element.iter(f"{AR}IntervalReading")]
    return {
        "meter_id": _text(element, f"{AR}Meter/{AR}meterId"),
        "obis": "1-0:1.8.0" if direction_of(obis.lower()) == "import" else "1-0:2.8.0",
        "scaler": scaler,
        "unit": "Wh",
        "readings": readings,
    }


def _reading(element: ElementTree.Element, place: str) -> dict[str, Any]:
    value = _text(element, f"{ESPI}value") or _text(element, f"{AR}value")
    if value is None:
        raise BadInput(f"{place}: an IntervalReading has no value")
    entry: dict[str, Any] = {"raw": _whole(value, place), "ptb": _ptb(element, place)}
    for name, path in (("t", f"{AR}targetTime"), ("captured", f"{AR}timePeriod/{AR}start")):
        text = _text(element, path)
        if text is None and name == "captured":
            text = _text(element, f"{AR}timePeriod/{ESPI}start")
        if text is not None:
            parse_ms(text, f"{place}, {name}")
            entry[name] = text
    if "t" not in entry and "captured" not in entry:
        raise BadInput(f"{place}: an IntervalReading has neither targetTime nor timePeriod")
    return entry


def _ptb(element: ElementTree.Element, place: str) -> int:
    code = _text(element, f"{AR}statusPTB")
    if code is not None:
        return _whole(code, place)
    word = _text(element, f"{AR}statusFNN")
    if word is None:
        return 0
    try:
        return status.ptb(status.from_hex(word))
    except ValueError as error:
        raise BadInput(f"{place}: {error}") from error


def _text(element: ElementTree.Element | None, path: str) -> str | None:
    found = None if element is None else element.find(path)
    return None if found is None or found.text is None else found.text.strip() or None


def _whole(text: str, place: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise BadInput(f"{place}: {text!r} is no whole number")
    return int(text)
