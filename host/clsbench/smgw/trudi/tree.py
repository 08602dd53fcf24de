"""Building elements of AR 2418-6 in their order, with times as the format has them."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone

from clsbench.smgw.core.legal_time import offset_ms
from clsbench.smgw.trudi.names import AR, ATOM, ESPI

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'

ET.register_namespace("", AR)
ET.register_namespace("espi", ESPI)
ET.register_namespace("atom", ATOM)


def add(parent: ET.Element, name: str, text: object = None) -> ET.Element:
    """A new last child; `espi:` in front of a name means that namespace."""
    space, _, local = name.rpartition(":")
    child = ET.SubElement(parent, f"{{{ESPI if space else AR}}}{local}")
    if text is not None:
        child.text = str(text)
    return child


def add_interval(parent: ET.Element, name: str, start_ms: int, duration_s: int) -> None:
    """An interval or timePeriod."""
    interval = add(parent, name)
    add(interval, "duration", duration_s)
    add(interval, "start", time_text(start_ms))


def root() -> ET.Element:
    """An empty UsagePoints."""
    return ET.Element(f"{{{AR}}}UsagePoints")


def file_bytes(usage_points: ET.Element) -> bytes:
    """The file, indented, in UTF-8."""
    ET.indent(usage_points)
    return _HEAD + ET.tostring(usage_points, encoding="utf-8") + b"\n"


def time_text(utc_ms: int) -> str:
    """Local time with its offset, milliseconds where there are any."""
    zone = timezone(timedelta(milliseconds=offset_ms(utc_ms)))
    moment = datetime.fromtimestamp(utc_ms // 1000, UTC).astimezone(zone)
    moment = moment.replace(microsecond=utc_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds" if utc_ms % 1000 else "seconds")
