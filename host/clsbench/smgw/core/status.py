"""The combined 64-bit status word of a reading: gateway word, then meter word, bits by number.

A word is an integer in which bit n weighs 2**n; bits 0..31 are the gateway's, 32..63 the
meter's bits 0..31. Only `to_hex` and `from_hex` know how it is written.
Source: BSI Detailspezifikationen 2.0 chapter 15; FNN/TRuDI notation (bit 0 written first).
"""

from collections.abc import Iterable

# gateway bits
VALUE_NOT_VALIDATED = 1
ERROR_FATAL = 8
TIME_NOT_VALID = 9
WARNING = 12
NO_VALUE = 13
METER_TAMPER = 14
METER_ERROR = 15
VALUE_TRIGGERED = 16
METER_WIRELESS = 17

# meter bits of a wired base meter
METER_TYPE_BASE = 2
METER_MAGNETIC = 9
METER_MECHANICAL = 10
METER_FATAL = 17

_IDENTIFICATION = (1 << 0) | (1 << 2)
_METER_SHIFT = 32
_NOT_BILLABLE = (VALUE_NOT_VALIDATED, ERROR_FATAL, TIME_NOT_VALID, NO_VALUE)


def combine(gateway_bits: Iterable[int] = (), meter_word: int = 0) -> int:
    """The 64-bit word: identification bits, `gateway_bits`, and what the meter word implies.

    meter_word: the base meter's status, bit n weighing 2**n; 0 when the meter sends none.
    """
    word = _IDENTIFICATION
    for bit in gateway_bits:
        word |= 1 << bit
    if meter_word >> METER_MAGNETIC & 1 or meter_word >> METER_MECHANICAL & 1:
        word |= 1 << METER_TAMPER
    if meter_word >> METER_FATAL & 1:
        word |= 1 << VALUE_NOT_VALIDATED
    meter = (meter_word & 0xFFFFFFFF) | 1 << METER_TYPE_BASE
    return word | meter << _METER_SHIFT


def has(word: int, bit: int) -> bool:
    """True when the gateway bit with this number is set."""
    return bool(word >> bit & 1)


def billable(word: int) -> bool:
    """False when a bit says that the reading must not be billed."""
    return not any(has(word, bit) for bit in _NOT_BILLABLE)


def to_hex(word: int) -> str:
    """16 hex digits, least significant bit first: `A000000020000000` is a clean reading."""
    return f"{_mirror(word):016X}"


def from_hex(text: str) -> int:
    """The word from 16 hex digits of either notation; the identification bits tell which.

    Raises ValueError when the text is no such word or its identification fits neither.
    """
    if len(text) != 16:
        raise ValueError(f"status '{text}': expected 16 hex digits")
    written = int(text, 16)
    mirrored = _mirror(written)
    if mirrored & _IDENTIFICATION == _IDENTIFICATION:
        return mirrored
    halves = written >> 32 | (written & 0xFFFFFFFF) << 32
    if halves & _IDENTIFICATION == _IDENTIFICATION:
        return halves
    raise ValueError(f"status '{text}': identification bits 0 and 2 fit neither bit order")


def _mirror(word: int) -> int:
    return int(f"{word:064b}"[::-1], 2)
