"""A script by which a played SML meter misbehaves: which telegrams, and what becomes of them.

Pure: counts telegrams, turns a good one into what goes out. Compact text, steps parted by `;`:

    after=10 count=3 kind=crc; kind=noise bytes=40; kind=silent count=20; repeat
"""

from collections.abc import Callable
from dataclasses import dataclass

from clsbench.errors import BadInput
from clsbench.meters.fault_steps import StepScript, check_kind, read_step, split_script
from clsbench.meters.sml_encode import Value

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
        check_kind(self.kind, KINDS)
        if self.after < 0 or self.count < 1 or self.keep < 0 or not 0 <= self.bytes <= 4096:
            raise BadInput(f"fault {self.kind}: after, count, keep or bytes makes no sense")


class SmlFaults(StepScript[Step]):
    """The steps of one run. `next_step` is asked once for every telegram.

    repeat: begin anew after the last step. applied: kind -> number of telegrams spoiled so far.
    Noise and flipped bits repeat with every run of the same `seed`.
    """

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
    parts, repeat = split_script(text)
    return SmlFaults([_step(part) for part in parts], repeat, seed)


def _step(text: str) -> Step:
    kind, numbers = read_step(text, _KEYS, KINDS)
    return Step(kind, **numbers)
