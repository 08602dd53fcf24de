"""A script by which a played meter misbehaves: which replies, and what becomes of their bytes.

Pure: counts requests, turns a good reply into what goes out and by how much later. Knows no line
and no time. Compact text, steps parted by `;`:

    after=10 count=3 kind=crc; kind=slow ms=400; kind=exception code=6

or a TOML file of the same keys, `[[fault]]` for every step, and `repeat = true` at the top.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from clsbench.errors import BadInput
from clsbench.meters.fault_steps import StepScript, check_kind, count_of, split_script
from clsbench.meters.rtu_responder import EXCEPTION, with_crc

_MAX_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of misbehaviour.

    after: requests answered well before it, counted from the end of the step before. count: how
    many it lasts. ms: delay (slow). code: exception. keep: bytes that still go out (truncated).
    bits: flipped in the reply (bits). before, behind: hex put around the reply (stray).
    """

    kind: str
    after: int = 0
    count: int = 1
    ms: int = 500
    code: int = 6
    keep: int = 3
    bits: int = 1
    before: str = ""
    behind: str = ""

    def __post_init__(self) -> None:
        check_kind(self.kind, KINDS)
        if self.after < 0 or self.count < 1 or not 0 <= self.ms <= _MAX_MS or self.keep < 0:
            raise BadInput(f"fault {self.kind}: after, count, ms or keep makes no sense")
        if not 1 <= self.code <= 255 or not 1 <= self.bits <= 64:
            raise BadInput(f"fault {self.kind}: code 1 to 255 and bits 1 to 64 are wanted")
        if self.kind == "stray" and not self.before + self.behind:
            raise BadInput("fault stray: before=HEX or behind=HEX is wanted")
        for text in (self.before, self.behind):
            _hex(text)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What goes out instead: bytes, and by how many milliseconds later."""

    frame: bytes
    delay_ms: int = 0


class FaultScript(StepScript[Step]):
    """The steps of one run. `next_step` is asked once for every request to the meter.

    repeat: begin anew after the last step. seed: of the flipped bits, which so repeat with every
    run. applied: kind -> number of replies spoiled so far.
    """

    def spoil(self, step: Step, request: bytes, reply: bytes) -> Outcome:
        """What `step` makes of the good reply to `request`."""
        return KINDS[step.kind](self, step, request, reply)

    def _bits(self, step: Step, _request: bytes, reply: bytes) -> Outcome:
        spoiled = bytearray(reply)
        for place in self._random.sample(range(8 * len(reply)), min(step.bits, 8 * len(reply))):
            spoiled[place // 8] ^= 1 << place % 8
        return Outcome(bytes(spoiled))

    def _crc(self, _step: Step, _request: bytes, reply: bytes) -> Outcome:
        return Outcome(reply[:-2] + bytes(byte ^ 0xFF for byte in reply[-2:]))

    def _silence(self, _step: Step, _request: bytes, _reply: bytes) -> Outcome:
        return Outcome(b"")

    def _slow(self, step: Step, _request: bytes, reply: bytes) -> Outcome:
        return Outcome(reply, step.ms)

    def _function(self, _step: Step, _request: bytes, reply: bytes) -> Outcome:
        other = reply[1] ^ 7 if reply[1] in (3, 4) else reply[1] ^ 1  # 3 and 4 change places
        return Outcome(with_crc(reply[:1] + bytes((other,)) + reply[2:-2]))

    def _unit(self, _step: Step, _request: bytes, reply: bytes) -> Outcome:
        return Outcome(with_crc(bytes((reply[0] % 247 + 1,)) + reply[1:-2]))

    def _length(self, _step: Step, _request: bytes, reply: bytes) -> Outcome:
        """A reply with one register too many, whole and with a good CRC."""
        size = bytes(((reply[2] + 2) & 0xFF,))
        return Outcome(with_crc(reply[:2] + size + reply[3:-2] + b"\0\0"))

    def _truncated(self, step: Step, _request: bytes, reply: bytes) -> Outcome:
        return Outcome(reply[: step.keep])

    def _echo(self, _step: Step, request: bytes, reply: bytes) -> Outcome:
        return Outcome(request + reply)

    def _stray(self, step: Step, _request: bytes, reply: bytes) -> Outcome:
        return Outcome(_hex(step.before) + reply + _hex(step.behind))

    def _exception(self, step: Step, request: bytes, _reply: bytes) -> Outcome:
        return Outcome(with_crc(bytes((request[0], request[1] | EXCEPTION, step.code))))


_Spoiler = Callable[[FaultScript, Step, bytes, bytes], Outcome]
KINDS: dict[str, _Spoiler] = {
    name: getattr(FaultScript, f"_{name}")
    for name in (
        *("bits", "crc", "silence", "slow", "function", "unit", "length"),
        *("truncated", "echo", "stray", "exception"),
    )
}


def parse_faults(text: str) -> FaultScript:
    """The script in a TOML file of that name, or in compact text. Raises BadInput with the place.

    Compact: `count=forever` never ends; a last step `repeat` begins anew.
    """
    if text.endswith(".toml"):
        return _from_file(Path(text))
    parts, repeat = split_script(text)
    return FaultScript([_step(_pairs(part), f"fault script '{part}'") for part in parts], repeat)


def _from_file(path: Path) -> FaultScript:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"fault script {path}: {error}") from error
    unknown = data.keys() - {"fault", "repeat", "seed"}
    entries = data.get("fault", [])
    if unknown or not isinstance(entries, list):
        raise BadInput(f"fault script {path}: only [[fault]], repeat and seed are known")
    steps = [_step(entry, f"fault script {path}, step {n}") for n, entry in enumerate(entries, 1)]
    return FaultScript(steps, bool(data.get("repeat", False)), int(data.get("seed", 0)))


def _pairs(text: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"fault script '{text}': '{word}': key=value is wanted")
        pairs[key] = value
    return pairs


_TEXTS = ("kind", "before", "behind")
_KEYS = {entry.name for entry in fields(Step)}


def _step(pairs: dict[str, Any], where: str) -> Step:
    if "kind" not in pairs:
        raise BadInput(f"{where}: kind= is missing. Known kinds: {', '.join(KINDS)}")
    values: dict[str, Any] = {}
    for key, value in pairs.items():
        if key not in _KEYS:
            raise BadInput(f"{where}: '{key}' is unknown; known: {', '.join(sorted(_KEYS))}")
        try:
            values[key] = str(value) if key in _TEXTS else count_of(value)
        except ValueError as error:
            raise BadInput(f"{where}: {key}={value}: a number is wanted") from error
    return Step(**values)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise BadInput(f"fault stray: '{text}' is no hex") from error
