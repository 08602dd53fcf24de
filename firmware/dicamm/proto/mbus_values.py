"""Numbers in M-Bus data fields: integers, BCD, reals (EN 13757-3, annex A).

Knows bytes in transmission order (least significant first) and of what type they are, not what
they measure. No float exists here: a real becomes an integer and a power of ten.
"""

_MINUS = 0xF  # as the most significant BCD digit
_MAX_DECIMALS = 38  # of a real; what lies below is rounded away


def integer(buffer, at, size):
    """Type B: a signed whole number of `size` bytes."""
    place = at + size - 1
    number = buffer[place]
    if number > 0x7F:
        number -= 0x100
    while place > at:
        place -= 1
        number = number << 8 | buffer[place]
    return number


def is_undefined(buffer, at, size):
    """Whether a type B number is the one that means "no value": the most negative."""
    last = at + size - 1
    while at < last and not buffer[at]:
        at += 1
    return at == last and buffer[at] == 0x80


def bcd(buffer, at, size):
    """Type A: a decimal number, or None where a digit is none.

    Fh in the first place is a minus sign; any other digit above 9 is what a display shows
    in its place (an error), never a number. `size` 0 is 0.
    """
    place = at + size
    number = 0
    minus = size and buffer[place - 1] >> 4 == _MINUS
    while place > at:
        place -= 1
        byte = buffer[place]
        if minus and place == at + size - 1:
            byte &= 15
        if byte > 0x9F or byte & 15 > 9:
            return None
        number = 100 * number + byte - 6 * (byte >> 4)
    return -number if minus else number


def real(buffer, at):
    """Type H: an IEEE 754 single as (raw, scaler), value = raw * 10**scaler; None: not finite.

    Exact, but for what is smaller than 10**-38.
    """
    high = buffer[at + 3]
    exponent = (high & 0x7F) << 1 | buffer[at + 2] >> 7
    mantissa = (buffer[at + 2] & 0x7F) << 16 | buffer[at + 1] << 8 | buffer[at]
    if exponent == 0xFF:
        return None
    if exponent:
        mantissa |= 0x800000
        exponent -= 150
    else:
        exponent = -149
    if not mantissa:
        return 0, 0
    while exponent < 0 and not mantissa & 1:
        mantissa >>= 1
        exponent += 1
    if high & 0x80:
        mantissa = -mantissa
    if exponent >= 0:
        return mantissa << exponent, 0
    if exponent >= -_MAX_DECIMALS:
        return mantissa * 5**-exponent, exponent
    return scaled(mantissa * 5**-exponent, exponent, -_MAX_DECIMALS), -_MAX_DECIMALS


def scaled(raw, scaler, wanted):
    """raw * 10**scaler as the nearest multiple of 10**wanted, in those; ties from zero."""
    if scaler >= wanted:
        return raw * 10 ** (scaler - wanted)
    step = 10 ** (wanted - scaler)
    nearest = (2 * abs(raw) + step) // (2 * step)
    return -nearest if raw < 0 else nearest
