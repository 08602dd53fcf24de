"""A TRuDI file read: its tree, and plain values of what the rules speak of.

Reads whatever is well-formed XML without a DOCTYPE; a value that is missing or no value of its
type is None. Judges nothing.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.parsers import expat

from clsbench.errors import BadInput
from clsbench.smgw.trudi.names import AR, ESPI

MAX_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """An IntervalReading. captured_ms, target_ms: UTC."""

    element: ET.Element
    value: int | None
    captured_ms: int | None
    duration_s: int | None
    target_ms: int | None
    status_fnn: str | None
    status_ptb: int | None

    @property
    def at_ms(self) -> int | None:
        """The instant it stands for."""
        return self.captured_ms if self.target_ms is None else self.target_ms


@dataclass(frozen=True, slots=True)
class Block:
    """An IntervalBlock."""

    start_ms: int | None
    duration_s: int | None
    readings: tuple[Reading, ...]

    @property
    def end_ms(self) -> int | None:
        """Where it ends, when that can be told."""
        if self.start_ms is None or self.duration_s is None:
            return None
        return self.start_ms + 1000 * self.duration_s


@dataclass(frozen=True, slots=True)
class Series:
    """A MeterReading: one register. name: its qualified logical name."""

    element: ET.Element
    place: int
    meter_id: str | None
    reading_id: str | None
    obis: str | None
    name: str | None
    multiplier: int | None
    uom: int | None
    scaler: int
    description: str | None
    blocks: tuple[Block, ...]

    @property
    def original(self) -> bool:
        """True for an original value list: the name's middle part is the meter."""
        parts = (self.name or "").split(".")
        return len(parts) == 3 and bool(self.meter_id) and parts[1] == self.meter_id

    @property
    def readings(self) -> Iterator[Reading]:
        """The readings of all blocks."""
        for block in self.blocks:
            yield from block.readings


def read_xml(data: bytes, name: str) -> ET.Element:
    """The root of a file. Raises BadInput: too large, not XML, or with a DOCTYPE."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"{name}: larger than {MAX_BYTES} bytes")

    def refuse(*_: object) -> None:
        raise BadInput(f"{name}: has a DOCTYPE, which no TRuDI file needs")

    scanner = expat.ParserCreate()
    scanner.StartDoctypeDeclHandler = refuse
    try:
        scanner.Parse(data, True)
        return ET.fromstring(data)
    except (expat.ExpatError, ET.ParseError, LookupError, ValueError) as error:
        raise BadInput(f"{name}: is not XML: {error}") from error


def short(tag: str) -> str:
    """`UsagePoint` for an element of AR 2418-6, `espi:value` for one of ESPI, else as it is."""
    if tag.startswith(f"{{{AR}}}"):
        return tag[len(AR) + 2 :]
    if tag.startswith(f"{{{ESPI}}}"):
        return f"espi:{tag[len(ESPI) + 2 :]}"
    return tag


def find(element: ET.Element | None, path: str) -> ET.Element | None:
    """The first element at a path of short names, or None."""
    for name in path.split("/"):
        if element is None:
            return None
        element = next((child for child in element if short(child.tag) == name), None)
    return element


def find_all(element: ET.Element | None, name: str) -> list[ET.Element]:
    """The children with a short name."""
    return [] if element is None else [child for child in element if short(child.tag) == name]


def text_of(element: ET.Element | None, path: str) -> str | None:
    """The text at a path; None when there is none or it is blank."""
    found = find(element, path)
    text = (found.text or "").strip() if found is not None else ""
    return text or None


def int_of(element: ET.Element | None, path: str) -> int | None:
    """The whole number at a path."""
    text = text_of(element, path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def ms_of(element: ET.Element | None, path: str) -> int | None:
    """The instant at a path; a time without a zone is none."""
    text = text_of(element, path)
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000


def series_of(usage_point: ET.Element) -> list[Series]:
    """The registers of a usage point."""
    return [
        _series(place, element)
        for place, element in enumerate(find_all(usage_point, "MeterReading"), 1)
    ]


def _series(place: int, element: ET.Element) -> Series:
    return Series(
        element=element,
        place=place,
        meter_id=text_of(element, "Meter/meterId"),
        reading_id=text_of(element, "meterReadingId"),
        obis=text_of(element, "ReadingType/obisCode"),
        name=text_of(element, "ReadingType/qualifiedLogicalName"),
        multiplier=int_of(element, "ReadingType/espi:powerOfTenMultiplier"),
        uom=int_of(element, "ReadingType/espi:uom"),
        scaler=int_of(element, "ReadingType/scaler") or 0,
        description=text_of(element, "ReadingType/description"),
        blocks=tuple(_block(block) for block in find_all(element, "IntervalBlock")),
    )


def _block(element: ET.Element) -> Block:
    return Block(
        start_ms=ms_of(element, "interval/start"),
        duration_s=int_of(element, "interval/duration"),
        readings=tuple(_reading(one) for one in find_all(element, "IntervalReading")),
    )


def _reading(element: ET.Element) -> Reading:
    return Reading(
        element=element,
        value=int_of(element, "espi:value"),
        captured_ms=ms_of(element, "timePeriod/start"),
        duration_s=int_of(element, "timePeriod/duration"),
        target_ms=ms_of(element, "targetTime"),
        status_fnn=text_of(element, "statusFNN"),
        status_ptb=int_of(element, "statusPTB"),
    )
