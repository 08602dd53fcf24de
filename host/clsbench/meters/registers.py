"""What a simulated meter has in its registers for a given instant, and the bytes on the bus.

Turns a feeder's reading (energy, power) into the quantities an electricity meter shows, by
OBIS code, cut to a register's resolution, and into register bytes. Knows no bus. Exact up
to the last step: quantities are fractions, and a float comes to be only while encoding a
register whose type is a float.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from clsbench.errors import BadInput
from clsbench.meters.catalogue import UNITS, WORDS, Register
from clsbench.meters.load import W_MS_PER_WH, Reading

NOMINAL_MV = 230_000
_OFFSET_MV = (400, -300, 100)  # a grid is never quite symmetrical
_DROP_MOHM = 150  # the house connection: volts lost per ampere

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
_STRUCTS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q"}
_FLOATS = {"f32": ">f", "f64": ">d"}


@dataclass(frozen=True, slots=True)
class MeterValues:
    """Everything a meter can tell of one instant.

    start_wh: what the import register showed when the plant's time began. phases: how many
    carry load (3, or 1 for a single-phase meter). The load is symmetrical and purely active:
    each phase carries its share, power factor 1, no export.
    """

    reading: Reading
    start_wh: int = 0
    phases: int = 3

    def import_wh_raw(self, scaler: int) -> int:
        """Active energy, import, in units of 10**scaler Wh, cut off as a counter does."""
        return _cut(self.import_wh(), scaler)

    def import_wh(self, phase: int | None = None) -> Fraction:
        """Active energy, import, exact; of one phase (0 to 2) or of all."""
        w_ms = self.start_wh * W_MS_PER_WH + self.reading.energy_w_ms
        return Fraction(self._share(w_ms, phase), W_MS_PER_WH)

    def power_w(self, phase: int | None = None) -> int:
        """Active power; the phases add up to the whole."""
        return self._share(self.reading.power_w, phase)

    def current_ma(self, phase: int) -> int:
        """Current of a phase: its power over its voltage."""
        return self.power_w(phase) * 1_000_000 // self.voltage_mv(phase)

    def voltage_mv(self, phase: int) -> int:
        """Voltage of a phase against neutral; it falls a little with the load."""
        drop_mv = _DROP_MOHM * self.power_w(phase) * 1000 // NOMINAL_MV
        return NOMINAL_MV + _OFFSET_MV[phase] - drop_mv

    def frequency_mhz(self) -> int:
        """Grid frequency in millihertz: wanders by up to 20 mHz, the same in every run."""
        return 50_000 + self.reading.t_ms // 1000 * 7 % 41 - 20

    def quantity(self, obis: str) -> Fraction:
        """The value of an OBIS code (`1-0:1.8.0`, with or without `*255`) in V, A, W, Wh, Hz.

        Raises BadInput for a code this meter does not know.
        """
        try:
            c, d = (int(part) for part in obis.split("*")[0].split(":")[1].split(".")[:2])
        except (IndexError, ValueError) as error:
            raise BadInput(f"simulated meter: '{obis}' is no OBIS code") from error
        value = self._of_phase(c, d) if 20 < c < 80 else self._of_all(c, d)
        if value is None:
            raise BadInput(f"simulated meter has no quantity for OBIS {obis}")
        return Fraction(value)

    def _share(self, total: int, phase: int | None) -> int:
        """A phase's share, so that the shares are monotone in the total and add up to it."""
        if phase is None:
            return total
        return (total + phase) // self.phases if phase < self.phases else 0

    def _of_all(self, c: int, d: int) -> Fraction | int | None:
        if d == 8:
            return {1: self.import_wh(), 15: self.import_wh(), 16: self.import_wh()}.get(
                c, 0 if c in range(2, 9) else None
            )
        if d != 7:
            return None
        power_w = self.power_w()
        frequency_hz = Fraction(self.frequency_mhz(), 1000)
        shown = {1: power_w, 9: power_w, 15: power_w, 16: power_w, 13: 1, 14: frequency_hz}
        return shown.get(c, 0 if c in range(2, 9) else None)

    def _of_phase(self, c: int, d: int) -> Fraction | int | None:
        phase, kind = c // 20 - 1, c % 20
        if d == 8:
            return {1: self.import_wh(phase), 15: self.import_wh(phase)}.get(
                kind, 0 if kind in range(2, 9) else None
            )
        if d != 7:
            return None
        power_w = self.power_w(phase)
        shown = {
            **dict.fromkeys((1, 9, 15, 16), power_w),
            11: Fraction(self.current_ma(phase), 1000),
            12: Fraction(self.voltage_mv(phase), 1000),
            13: 1,
        }
        return shown.get(kind, 0 if kind in range(2, 9) else None)


class RegisterBank:
    """The address space of a meter: which reads it grants, and the bytes they give.

    registers: the map. max_registers: most registers of one read. max_gap: up to so many
    addresses between two registers may be read along and answer 0. word_order: "big" or
    "little", of the 16-bit words of one value.
    """

    def __init__(
        self,
        registers: Iterable[Register],
        max_registers: int = 125,
        max_gap: int = 0,
        word_order: str = "big",
    ):
        self._registers = sorted(registers, key=lambda register: register.address)
        self._max_registers = max_registers
        self._max_gap = max_gap
        self._word_order = word_order
        self._readable = {function: self._spans(function) for function in (3, 4)}

    def read(self, function: int, address: int, count: int, values: MeterValues) -> bytes | int:
        """The register bytes of a read, or the exception code that refuses it.

        Codes: 1 function, 2 address, 3 number of registers (Modbus Application Protocol
        V1.1b3, section 7).
        """
        spans = self._readable.get(function)
        if not spans:
            return ILLEGAL_FUNCTION
        if not 1 <= count <= self._max_registers:
            return ILLEGAL_VALUE
        end = address + count
        if not any(first <= address and end <= last for first, last in spans):
            return ILLEGAL_ADDRESS
        image = bytearray(2 * count)
        for register in self._registers:
            inside = register.address < end and address < _end(register)
            if register.function != function or not inside:
                continue
            for at, word in enumerate(self._words(register, values), register.address - address):
                if 0 <= at < count:
                    image[2 * at : 2 * at + 2] = word
        return bytes(image)

    def _words(self, register: Register, values: MeterValues) -> list[bytes]:
        data = encode_register(register, values, self._word_order)
        return [data[at : at + 2] for at in range(0, len(data), 2)]

    def _spans(self, function: int) -> list[tuple[int, int]]:
        """Readable addresses of a function as (first, behind the last), ascending."""
        spans: list[tuple[int, int]] = []
        for register in self._registers:
            if register.function != function:
                continue
            if spans and register.address - spans[-1][1] <= self._max_gap:
                spans[-1] = (spans[-1][0], max(_end(register), spans[-1][1]))
            else:
                spans.append((register.address, _end(register)))
        return spans


def register_raw(register: Register, values: MeterValues) -> int:
    """The integer a register stands for: raw * 10**resolution in the register's unit.

    A register that counts odd steps (`factor`) stands for the nearest integer to its count.
    """
    value = values.quantity(register.obis)
    if register.factor is None:
        return _cut(value, register.resolution + UNITS[register.unit][1])
    above, below = register.factor
    shown = Fraction(_count(register, value) * above, below) / Fraction(10) ** register.resolution
    return int(shown + Fraction(1, 2)) if shown >= 0 else -int(Fraction(1, 2) - shown)


def encode_register(register: Register, values: MeterValues, word_order: str = "big") -> bytes:
    """The register's bytes as they travel: 2 per 16-bit word, words in `word_order`.

    The register's own order goes first. A float register holds the value cut to multiples of
    10**resolution. Raises BadInput for a quantity unknown here and for a value that does not fit.
    """
    if register.factor is None:
        data = encode_raw(register.type, register_raw(register, values), register.resolution)
    else:
        data = encode_raw(register.type, _count(register, values.quantity(register.obis)))
    if (register.word_order or word_order) == "little":
        return b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))
    return data


def encode_raw(kind: str, raw: int, resolution: int = 0) -> bytes:
    """`raw` as a register of a catalogue type (`f32`, `u16`, ...), most significant word first.

    A float holds the nearest representable value to raw * 10**resolution.
    """
    try:
        if kind in _FLOATS:
            return struct.pack(_FLOATS[kind], float(raw * Fraction(10) ** resolution))
        if kind in _STRUCTS:
            return struct.pack(_STRUCTS[kind], raw)
        return _encode_digits(kind, raw)
    except (struct.error, OverflowError, ValueError) as error:
        raise BadInput(f"value {raw} does not fit a register of type {kind}") from error


def _encode_digits(kind: str, raw: int) -> bytes:
    """BCD and sign-and-magnitude. Raises ValueError or OverflowError for what does not fit."""
    width = WORDS[kind] * 16
    if kind.startswith("bcd"):
        if not 0 <= raw < 10 ** (width // 4):
            raise OverflowError
        return bytes.fromhex(f"{raw:0{width // 4}d}")
    if abs(raw) >> (width - 1):
        raise OverflowError
    return (abs(raw) | (raw < 0) << (width - 1)).to_bytes(width // 8, "big")


def _count(register: Register, value: Fraction) -> int:
    """The whole steps a register with a factor shows of `value` (in the DLMS unit)."""
    above, below = register.factor or (1, 1)
    return int(value / Fraction(10) ** UNITS[register.unit][1] * below / above)


def _end(register: Register) -> int:
    """The address behind the register's last word."""
    return register.address + register.words


def _cut(value: Fraction, exponent: int) -> int:
    """`value` in units of 10**exponent, cut towards zero."""
    return int(value / Fraction(10) ** exponent)
