"""Numbers, times and foreign text as people read them. Knows nothing of events.

Energies stay integers with a power of ten until they are text; a float is made only for the
place of a mark in a drawing.
"""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_SCALER = 12
MAX_MS = 4_102_444_800_000  # 2100-01-01: later than any time a meter can mean
_UNSHOWABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible formats, half characters


def decimal_text(raw: int, exponent: int) -> str:
    """raw * 10**exponent in digits, exact; the resolution stays visible (`1.50`)."""
    sign = "-" if raw < 0 else ""
    digits = str(abs(raw))
    if exponent >= 0:
        return sign + (digits + "0" * exponent if raw else "0")
    digits = digits.rjust(1 - exponent, "0")
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


@dataclass(frozen=True)
class Energy:
    """raw * 10**scaler Wh, exact."""

    raw: int
    scaler: int

    def __add__(self, other: "Energy") -> "Energy":
        scaler = min(self.scaler, other.scaler)
        return Energy(self.at(scaler) + other.at(scaler), scaler)

    def __sub__(self, other: "Energy") -> "Energy":
        return self + Energy(-other.raw, other.scaler)

    def at(self, scaler: int) -> int:
        """The number in units of 10**scaler Wh; scaler must not be above the energy's own."""
        return self.raw * 10 ** (self.scaler - scaler)

    def kwh(self) -> str:
        """Like `1234.56 kWh`."""
        return f"{decimal_text(self.raw, self.scaler - 3)} kWh"

    def wh(self) -> str:
        """Like `1234560 Wh`."""
        return f"{decimal_text(self.raw, self.scaler)} Wh"

    def drawn_wh(self) -> float:
        """For the place of a mark in a drawing only."""
        return float(self.raw) * 10.0**self.scaler


def same_energy(one: Energy, other: Energy) -> bool:
    """True when both are the same energy, whatever their resolution."""
    return (one - other).raw == 0


def moment(t_ms: int) -> datetime:
    """Unix milliseconds as UTC; times no clock of a bench can show are held to the nearest."""
    return datetime.fromtimestamp(min(max(t_ms, 0), MAX_MS) // 1000, UTC)


def clock_text(t_ms: int, digits: str = "s") -> str:
    """`08:15` (digits "m"), `08:15:02` ("s") or `08:15:02.250` ("ms"), UTC."""
    when = moment(t_ms)
    if digits == "m":
        return f"{when:%H:%M}"
    if digits == "s":
        return f"{when:%H:%M:%S}"
    return f"{when:%H:%M:%S}.{t_ms % 1000:03d}"


def date_text(t_ms: int) -> str:
    """`2026-05-04`, UTC."""
    return f"{moment(t_ms):%Y-%m-%d}"


def duration_text(ms: int) -> str:
    """`1 h 05 min`, `20 min 58 s`, `12.5 s` or `250 ms`."""
    seconds = ms // 1000
    if ms < 1000:
        return f"{ms} ms"
    if seconds < 60:
        return f"{decimal_text(ms // 100, -1)} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def clean(text: str) -> str:
    """Foreign text without what steers a terminal or turns a line around."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in _UNSHOWABLE else c for c in text)


def shortened(text: str, length: int) -> str:
    """At most `length` characters, the last one `…` where something was cut off."""
    return text if len(text) <= length else text[: length - 1] + "…"
