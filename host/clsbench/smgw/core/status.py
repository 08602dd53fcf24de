"""The combined 64-bit status word of a reading: gateway word, then meter word, bits by number.

A word is an integer in which bit n weighs 2**n; bits 0..31 are the gateway's, 32..63 the
meter's bits 0..31. Only `to_hex` and `from_hex` know how it is written.
Sources: BSI Detailspezifikationen 2.0 chapter 15; FNN/TRuDI notation (bit 0 written first);
PTB-A 50.8 and TRuDI (status 0 to 4 and what of the word leads to which).
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

# PTB status
PTB_OK = 0
PTB_WARNING = 1  # the value is valid
PTB_SUBSTITUTE = 2  # temporary error: invalid, but may serve as a substitute
PTB_UNUSABLE = 3  # temporary error: invalid
PTB_FATAL = 4  # this value and all after it are invalid

# how a word is written
LSB_FIRST = "lsb-first"
MSB_FIRST = "msb-first"

_NAMES = {
    VALUE_NOT_VALIDATED: "value not validated",
    ERROR_FATAL: "gateway error, fatal",
    TIME_NOT_VALID: "time not valid",
    WARNING: "warning",
    NO_VALUE: "no value",
    METER_TAMPER: "meter tampered with",
    METER_ERROR: "meter error",
    VALUE_TRIGGERED: "sent because of a threshold",
    METER_WIRELESS: "wireless meter",
}
_METER_NAMES = {
    METER_MAGNETIC: "magnetic manipulation",
    METER_MECHANICAL: "mechanical manipulation",
    15: "phase rotation wrong",
    METER_FATAL: "meter error, fatal",
}
_IDENTIFICATION = (1 << 0) | (1 << 2)
_METER_SHIFT = 32
_NOT_BILLABLE = (VALUE_NOT_VALIDATED, ERROR_FATAL, TIME_NOT_VALID, NO_VALUE)


def combine(gateway_bits: Iterable[int] = (), meter_word: int = 0, wireless: bool = False) -> int:
    """The 64-bit word: identification bits, `gateway_bits`, and what the meter word implies.

    meter_word: the meter's status, bit n weighing 2**n; 0 when the meter sends none.
    wireless: it is an OMS word, whose bits are its own.
    """
    word = _IDENTIFICATION
    for bit in gateway_bits:
        word |= 1 << bit
    meter = meter_word & 0xFFFFFFFF
    if wireless:
        return word | 1 << METER_WIRELESS | meter << _METER_SHIFT
    if meter >> METER_MAGNETIC & 1 or meter >> METER_MECHANICAL & 1:
        word |= 1 << METER_TAMPER
    if meter >> METER_FATAL & 1:
        word |= 1 << VALUE_NOT_VALIDATED
    return word | (meter | 1 << METER_TYPE_BASE) << _METER_SHIFT


def has(word: int, bit: int) -> bool:
    """True when the gateway bit with this number is set."""
    return bool(word >> bit & 1)


def meter_has(word: int, bit: int) -> bool:
    """True when the bit with this number of a wired base meter is set; False for wireless ones."""
    return not has(word, METER_WIRELESS) and bool(word >> _METER_SHIFT >> bit & 1)


def billable(word: int) -> bool:
    """False when a bit says that the reading must not be billed."""
    return not any(has(word, bit) for bit in _NOT_BILLABLE)


def ptb(word: int) -> int:
    """The PTB status the word leads to, 0 to 4: the gravest bit decides."""
    if has(word, ERROR_FATAL) or meter_has(word, METER_FATAL):
        return PTB_FATAL
    tampered = meter_has(word, METER_MAGNETIC) or meter_has(word, METER_MECHANICAL)
    unusable = (TIME_NOT_VALID, NO_VALUE, METER_TAMPER, METER_ERROR)
    if tampered or any(has(word, bit) for bit in unusable):
        return PTB_UNUSABLE
    if has(word, VALUE_NOT_VALIDATED):
        return PTB_SUBSTITUTE
    return PTB_WARNING if has(word, WARNING) else PTB_OK


def names(word: int) -> list[str]:
    """What is wrong or special about the reading, one name for each such bit, gateway first."""
    told = [name for bit, name in _NAMES.items() if has(word, bit)]
    return told + [name for bit, name in _METER_NAMES.items() if meter_has(word, bit)]


def to_hex(word: int, order: str = LSB_FIRST) -> str:
    """16 hex digits, gateway word first.

    LSB_FIRST (FNN, TRuDI): bit 0 is written first; `A000000020000000` is a clean reading.
    MSB_FIRST: each word as a number; the same reading is `0000000500000004`.
    """
    if order == LSB_FIRST:
        return f"{_mirror(word):016X}"
    return f"{_swap(word):016X}"


def from_hex(text: str) -> int:
    """The word from 16 hex digits of either notation; the identification bits tell which.

    Raises ValueError when the text is no such word or its identification fits neither.
    """
    if len(text) != 16 or not set(text) <= set("0123456789abcdefABCDEF"):
        raise ValueError(f"status '{text}': expected 16 hex digits")
    written = int(text, 16)
    for word in (_mirror(written), _swap(written)):
        if word & _IDENTIFICATION == _IDENTIFICATION:
            return word
    raise ValueError(f"status '{text}': identification bits 0 and 2 fit neither bit order")


def _swap(word: int) -> int:
    return word >> _METER_SHIFT | (word & 0xFFFFFFFF) << _METER_SHIFT


def _mirror(word: int) -> int:
    return int(f"{word:064b}"[::-1], 2)
