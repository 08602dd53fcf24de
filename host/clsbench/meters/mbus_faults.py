"""How a played M-Bus meter misbehaves, and a script that tells when.

Pure: counts requests. Compact text, steps parted by `;`:

    after=10 count=3 kind=checksum; kind=slow ms=400; kind=error code=8; kind=noise bytes=4; repeat
"""

from dataclasses import dataclass

from clsbench.errors import BadInput
from clsbench.meters.fault_steps import StepScript, check_kind, read_step, split_script

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
        check_kind(self.kind, KINDS)
        fits = 0 <= self.ms <= _MAX_MS and 0 <= self.code <= 255 and 0 < self.bytes <= _MAX_BYTES
        if self.after < 0 or self.count < 1 or not fits:
            raise BadInput(f"fault {self.kind}: after, count, ms, code or bytes makes no sense")


class MbusFaultScript(StepScript[Step]):
    """The steps of one run. `next_faults` is asked once for every request to the meter.

    repeat: begin anew after the last step. applied: kind -> number of answers spoilt so far.
    Noise repeats with every run of the same `seed`.
    """

    def next_faults(self) -> MbusFaults:
        """What meets this request."""
        step = self.next_step()
        return MbusFaults() if step is None else self._faults(step)

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
    parts, repeat = split_script(text)
    return MbusFaultScript([_step(part) for part in parts], repeat, seed)


def _step(text: str) -> Step:
    kind, numbers = read_step(text, _KEYS, KINDS)
    return Step(kind, **numbers)
