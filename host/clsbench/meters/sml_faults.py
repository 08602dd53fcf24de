"""A script by which a played SML meter misbehaves: which telegrams, and what becomes of them.

Pure: counts telegrams, turns a good one into what goes out. Compact text, steps parted by `;`:

    after=10 count=3 kind=crc; kind=noise bytes=40; kind=silent count=20; repeat
"""

import difflib
import random
from collections.abc import Callable
from dataclasses import dataclass

from clsbench.errors import BadInput
from clsbench.meters.sml_encode import Value

FOREVER = 1 << 60
WH = 30  # DLMS unit code
POWER = b"\x01\x00\x10\x07\x00\xff"


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of misbehaviour.

    after: telegrams sent well before it, counted from the end of the step before. count: how many
    it lasts. keep: bytes that still go out (truncated). bytes: number of them (noise).
    """

    kind: str
    after: int = 0
    count: int = 1
    keep: int = 60
    bytes: int = 32

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, n=1)
            hint = f" Nearest: {near[0]}." if near else ""
            raise BadInput(f"fault kind '{self.kind}' is unknown.{hint} All: {', '.join(KINDS)}")
        if self.after < 0 or self.count < 1 or self.keep < 0 or not 0 <= self.bytes <= 4096:
            raise BadInput(f"fault {self.kind}: after, count, keep or bytes makes no sense")


class SmlFaults:
    """The steps of one run. `next_step` is asked once for every telegram.

    repeat: begin anew after the last step. applied: kind -> number of telegrams spoiled so far.
    Noise and flipped bits repeat with every run of the same `seed`.
    """

    def __init__(self, steps: list[Step] | None = None, repeat: bool = False, seed: int = 0):
        self.applied: dict[str, int] = {}
        self._steps = list(steps or [])
        self._repeat = repeat
        self._random = random.Random(seed)
        self._at = self._waited = self._done = 0

    def next_step(self) -> Step | None:
        """The misbehaviour that meets this telegram, or None."""
        if self._at >= len(self._steps):
            return None
        step = self._steps[self._at]
        if self._waited < step.after:
            self._waited += 1
            return None
        self._done += 1
        if self._done >= step.count:
            self._at, self._waited, self._done = self._at + 1, 0, 0
            if self._repeat:
                self._at %= len(self._steps)
        self.applied[step.kind] = self.applied.get(step.kind, 0) + 1
        return step

    def values(self, step: Step | None, values: list[Value]) -> list[Value]:
        """The values that go into the telegram: without PIN whole kWh, and no power."""
        if step is None or step.kind != "pin":
            return values
        return [_coarse(value) for value in values if value[0] != POWER]

    def spoil(self, step: Step | None, telegram: bytes) -> bytes:
        """What goes out instead of a good telegram."""
        return telegram if step is None else KINDS[step.kind](self, step, telegram)

    def _silent(self, _step: Step, _telegram: bytes) -> bytes:
        return b""

    def _crc(self, _step: Step, telegram: bytes) -> bytes:
        return telegram[:-1] + bytes((telegram[-1] ^ 1,))

    def _bits(self, _step: Step, telegram: bytes) -> bytes:
        """One bit of the data flipped, the checksum left alone."""
        spoiled = bytearray(telegram)
        place = self._random.randrange(8 * 8, 8 * (len(telegram) - 8))
        spoiled[place // 8] ^= 1 << place % 8
        return bytes(spoiled)

    def _truncated(self, step: Step, telegram: bytes) -> bytes:
        return telegram[: step.keep]

    def _noise(self, step: Step, telegram: bytes) -> bytes:
        return self._random.randbytes(step.bytes) + telegram

    def _pin(self, _step: Step, telegram: bytes) -> bytes:
        return telegram  # it is in the values


def _coarse(value: Value) -> Value:
    obis, raw, scaler, unit, status = value
    if unit != WH or not isinstance(raw, int) or isinstance(raw, bool):
        return value
    return (
        obis,
        raw * 10 ** max(scaler or 0, 0) // 10 ** (3 - min(scaler or 0, 0)),
        3,
        unit,
        status,
    )


KINDS: dict[str, Callable[[SmlFaults, Step, bytes], bytes]] = {
    name: getattr(SmlFaults, f"_{name}")
    for name in ("silent", "crc", "bits", "truncated", "noise", "pin")
}
_KEYS = ("kind", "after", "count", "keep", "bytes")


def parse_sml_faults(text: str, seed: int = 0) -> SmlFaults:
    """The script that `text` spells. `count=forever` never ends; a last step `repeat` begins anew.

    Raises BadInput with the place.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    repeat = bool(parts) and parts[-1] == "repeat"
    return SmlFaults([_step(part) for part in parts[: -1 if repeat else None]], repeat, seed)


def _step(text: str) -> Step:
    found: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in _KEYS:
            raise BadInput(
                f"fault script '{text}': '{word}': one of {', '.join(_KEYS)}= is wanted"
            )
        found[key] = value
    if "kind" not in found:
        raise BadInput(f"fault script '{text}': kind= is missing. Kinds: {', '.join(KINDS)}")
    try:
        numbers = {
            key: FOREVER if value == "forever" else int(value)
            for key, value in found.items()
            if key != "kind"
        }
    except ValueError as error:
        raise BadInput(f"fault script '{text}': a number is wanted: {error}") from error
    return Step(found["kind"], **numbers)
