"""Instants as people write them to a gateway, as UTC milliseconds.

ISO 8601 for the BSI resources and CONEXA (without a zone: UTC), German wall clock for PPC.
"""

from datetime import UTC, date, datetime, timedelta

from clsbench.smgw.core.legal_time import HOUR_MS, offset_ms

EARLIEST, LATEST = datetime(1970, 1, 1), datetime(2200, 1, 1)


def iso_ms(text: str) -> int:
    """ISO 8601 with date and time, or a date alone. Raises ValueError.

    A blank before the zone's offset is a plus that a query has lost.
    """
    if len(text) > 40:
        raise ValueError("too long for a time")
    moment = datetime.fromisoformat(_mended(text))
    if not EARLIEST <= moment.replace(tzinfo=None) <= LATEST:
        raise ValueError("time out of range")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def utc_text(utc_ms: int) -> str:
    """`2026-10-25T01:15:00Z`, cut to seconds."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_text(utc_ms: int) -> str:
    """The wall clock, `2026-10-25 03:15:00`."""
    moment = datetime.fromtimestamp((utc_ms + offset_ms(utc_ms)) // 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def wall_ms(text: str, is_end: bool) -> int:
    """An instant from `YYYY-MM-DD HH:MM:SS` or a date alone. Raises ValueError.

    is_end: a date means its last second, and a time that comes twice its second coming.
    """
    text = text.strip()
    if len(text) == 10:
        day = date.fromisoformat(text)
        wall = datetime(day.year, day.month, day.day)
        wall += timedelta(days=1, seconds=-1) if is_end else timedelta()
    else:
        wall = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    if not EARLIEST <= wall <= LATEST:
        raise ValueError("time out of range")
    as_utc = int(wall.replace(tzinfo=UTC).timestamp()) * 1000
    fitting = [
        as_utc - ahead for ahead in (2 * HOUR_MS, HOUR_MS) if offset_ms(as_utc - ahead) == ahead
    ]
    if not fitting:  # the hour that is left out in March
        return as_utc - HOUR_MS
    return fitting[-1] if is_end else fitting[0]


def _mended(text: str) -> str:
    if len(text) > 19 and text[10:11] == "T" and text[-6:-5] == " ":
        return f"{text[:-6]}+{text[-5:]}"
    return text
