"""How a played M-Bus meter misbehaves, and a script that tells when.

Pure: counts requests. Compact text, steps parted by `;`:

    after=10 count=3 kind=checksum; kind=slow ms=400; kind=error code=8; kind=noise bytes=4; repeat
"""

import difflib
import random
from dataclasses import dataclass

from clsbench.errors import BadInput

FOREVER = 1 << 60
KINDS = ("silent", "checksum", "deaf", "slow", "error", "noise")
_KEYS = ("kind", "after", "count", "ms", "code", "bytes")
_MAX_MS = 60_000
_MAX_BYTES = 252


@dataclass(slots=True)
class MbusFaults:
    """How a meter misbehaves. silent: no answer; checksum_errors: answers are spoilt; deaf:
    acknowledges, but gives no data; slow_ms: real time by which an answer is late;
    application_error: code answered instead of data; noise: bytes before each answer;
    answers: number of answers this lasts, None: until cleared."""

    silent: bool = False
    checksum_errors: bool = False
    deaf: bool = False
    slow_ms: int = 0
    application_error: int | None = None
    noise: bytes = b""
    answers: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of misbehaviour.

    after: requests answered well before it, counted from the end of the step before. count: how
    many it lasts. ms: delay (slow). code: application error (error). bytes: of noise.
    """

    kind: str
    after: int = 0
    count: int = 1
    ms: int = 500
    code: int = 8
    bytes: int = 4

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = difflib.get_close_matches(self.kind, KINDS, n=1)
            hint = f" Nearest: {near[0]}." if near else ""
            raise BadInput(f"fault kind '{self.kind}' is unknown.{hint} All: {', '.join(KINDS)}")
        fits = 0 <= self.ms <= _MAX_MS and 0 <= self.code <= 255 and 0 < self.bytes <= _MAX_BYTES
        if self.after < 0 or self.count < 1 or not fits:
            raise BadInput(f"fault {self.kind}: after, count, ms, code or bytes makes no sense")


class MbusFaultScript:
    """The steps of one run. `next_faults` is asked once for every request to the meter.

    repeat: begin anew after the last step. applied: kind -> number of answers spoilt so far.
    Noise repeats with every run of the same `seed`.
    """

    def __init__(self, steps: list[Step] | None = None, repeat: bool = False, seed: int = 0):
        self.applied: dict[str, int] = {}
        self._steps = list(steps or [])
        self._repeat = repeat
        self._random = random.Random(seed)
        self._at = self._waited = self._done = 0

    def next_faults(self) -> MbusFaults:
        """What meets this request."""
        if self._at >= len(self._steps):
            return MbusFaults()
        step = self._steps[self._at]
        if self._waited < step.after:
            self._waited += 1
            return MbusFaults()
        self._done += 1
        if self._done >= step.count:
            self._at, self._waited, self._done = self._at + 1, 0, 0
            if self._repeat:
                self._at %= len(self._steps)
        self.applied[step.kind] = self.applied.get(step.kind, 0) + 1
        return self._faults(step)

    def _faults(self, step: Step) -> MbusFaults:
        return MbusFaults(
            silent=step.kind == "silent",
            checksum_errors=step.kind == "checksum",
            deaf=step.kind == "deaf",
            slow_ms=step.ms if step.kind == "slow" else 0,
            application_error=step.code if step.kind == "error" else None,
            noise=self._random.randbytes(step.bytes) if step.kind == "noise" else b"",
        )


def parse_mbus_faults(text: str, seed: int = 0) -> MbusFaultScript:
    """The script that `text` spells. `count=forever` never ends; a last step `repeat` begins anew.

    Raises BadInput with the place.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    repeat = bool(parts) and parts[-1] == "repeat"
    return MbusFaultScript([_step(part) for part in parts[: -1 if repeat else None]], repeat, seed)


def _step(text: str) -> Step:
    found: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in _KEYS:
            raise BadInput(
                f"fault script '{text}': '{word}': one of {', '.join(_KEYS)}= is wanted"
            )
        found[key] = value
    kind = found.pop("kind", None)
    if kind is None:
        raise BadInput(f"fault script '{text}': kind= is missing. Kinds: {', '.join(KINDS)}")
    try:
        numbers = {key: FOREVER if word == "forever" else int(word) for key, word in found.items()}
    except ValueError as error:
        raise BadInput(f"fault script '{text}': a number is wanted: {error}") from error
    return Step(kind, **numbers)
