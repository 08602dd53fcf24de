"""Original readings: what a meter's telegram said, and when its first byte came.

Knows decoded telegrams and meter profiles; knows no port and no clock. A reading's time is
the arrival of its own telegram, never another instant.
Source: BSI Detailspezifikationen 2.0 (time of reception); DIN 43863-5 (meter id).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from clsbench.errors import BadInput
from clsbench.meters.device_id import device_id
from clsbench.smgw.core.profiles import ANY_METER, MeterProfile

IMPORT_TOTAL = "1-0:1.8.0*255"
MAX_RAW = 1 << 63  # a register beyond is left out: no store and no format has room for it


class ReadingRefused(Exception):
    """A whole telegram that is no reading for this profile; the text is the reason."""


class Entry(Protocol):
    """A register of a decoded telegram: value = raw * 10**scaler in the DLMS unit."""

    obis: bytes
    raw: Any
    scaler: int | None
    unit: int | None
    status: int | None


class Telegram(Protocol):
    """A decoded telegram. refused: how many of its messages were damaged."""

    @property
    def server_id(self) -> bytes | None: ...
    @property
    def entries(self) -> list[Any]: ...
    @property
    def refused(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Value:
    """One register: raw * 10**scaler in the DLMS unit. No float ever stands for it."""

    obis: str
    raw: int
    scaler: int
    unit: int

    def as_json(self) -> dict[str, Any]:
        """The form values have in records and events."""
        return {"obis": self.obis, "raw": self.raw, "scaler": self.scaler, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class OriginalReading:
    """One telegram. captured_ms: UTC at its first byte. meter_word: status, bit n = 2**n."""

    meter_id: str
    captured_ms: int
    values: tuple[Value, ...]
    meter_word: int = 0
    telegram: bytes = b""


def from_telegram(
    frame: Telegram, captured_ms: int, profile: MeterProfile, telegram: bytes = b""
) -> OriginalReading:
    """The reading in `frame`.

    Raises ReadingRefused: not whole, without meter id, another meter, a register missing.
    """
    if frame.refused or frame.server_id is None:
        raise ReadingRefused(
            "telegram not whole" if frame.refused else "telegram without meter id"
        )
    meter_id = device_id(bytes(frame.server_id))
    if profile.meter_id not in (ANY_METER, meter_id):
        raise ReadingRefused(f"meter {meter_id} answers where {profile.meter_id} is configured")
    found: dict[str, Value] = {}
    for value in _numeric(frame.entries):
        found.setdefault(value.obis, value)
    missing = [obis for obis in profile.obis if obis not in found]
    if missing:
        raise ReadingRefused(f"meter {meter_id}: register {missing[0]} missing in its telegram")
    if not found:
        raise ReadingRefused(f"meter {meter_id}: telegram without a numeric register")
    wanted = profile.obis or tuple(found)
    values = tuple(found[obis] for obis in wanted)
    return OriginalReading(meter_id, captured_ms, values, _meter_word(frame.entries), telegram)


def obis_text(obis: bytes) -> str:
    """`1-0:1.8.0*255` for the six bytes 01 00 01 08 00 FF."""
    a, b, c, d, e, f = obis
    return f"{a}-{b}:{c}.{d}.{e}*{f}"


def full_obis(text: str) -> str:
    """`1-0:1.8.0` with its sixth group (255 when not given). Raises BadInput."""
    try:
        medium, rest = text.split("-", 1)
        channel, rest = rest.split(":", 1)
        rest, _, last = rest.partition("*")
        groups = [medium, channel, *rest.split("."), last or "255"]
        return obis_text(bytes(int(group) for group in groups))
    except ValueError as error:
        raise BadInput(f"OBIS '{text}': expected A-B:C.D.E or A-B:C.D.E*F, each 0..255") from error


def _numeric(entries: Iterable[Entry]) -> Iterable[Value]:
    for entry in entries:
        number = isinstance(entry.raw, int) and not isinstance(entry.raw, bool)
        if (
            number
            and -MAX_RAW <= entry.raw < MAX_RAW
            and entry.unit is not None
            and len(entry.obis) == 6
        ):
            yield Value(obis_text(bytes(entry.obis)), entry.raw, entry.scaler or 0, entry.unit)


def _meter_word(entries: Iterable[Entry]) -> int:
    words = [
        (obis_text(bytes(entry.obis)), entry.status)
        for entry in entries
        if isinstance(entry.status, int) and len(entry.obis) == 6
    ]
    by_obis = dict(words)
    return by_obis.get(IMPORT_TOTAL, words[0][1] if words else 0) & 0xFFFFFFFF
