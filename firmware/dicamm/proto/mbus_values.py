"""Values of M-Bus data fields: whole numbers, BCD, reals, texts, dates (EN 13757-3, annex A).

Knows bytes in transmission order (least significant first) and of what type they are, not what
they measure. No float exists here: a real becomes an integer and a power of ten.
"""

_MINUS = 0xF  # as the most significant BCD digit
_MAX_DECIMALS = 38  # of a real; what lies below is rounded away


def integer(buffer, at, size):
    """Type B: a signed whole number of `size` bytes."""
    number = buffer[at + size - 1]
    if number & 0x80:
        number -= 0x100
    for place in range(at + size - 2, at - 1, -1):
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
    number = 0
    sign = 1
    for place in range(at + size - 1, at - 1, -1):
        byte = buffer[place]
        high = byte >> 4
        if high == _MINUS and place == at + size - 1:
            sign = -1
            high = 0
        if high > 9 or byte & 15 > 9:
            return None
        number = 100 * number + 10 * high + (byte & 15)
    return sign * number


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


def text(buffer, at, size):
    """A text of ISO 8859-1, sent last character first."""
    letters = []
    for place in range(at + size - 1, at - 1, -1):
        letters.append(chr(buffer[place]))
    return "".join(letters)


def date(buffer, at, size):
    """Types G (2 bytes), J (3), F (4), I (6) as text; None where the bytes say "not valid".

    "2014-03-13", "11:20:00", "2014-03-13T11:20:00". What recurs keeps its number: day 0 is
    every day, month 15 every month, year 2127 every year. Local time of the meter.
    """
    if size == 2:
        return _day(buffer[at], buffer[at + 1], 2000)
    if size == 3:
        return _time(buffer[at + 2], buffer[at + 1], buffer[at])
    if size == 4:
        if buffer[at] & 0x80:
            return None
        day = _day(buffer[at + 2], buffer[at + 3], _century(buffer, at))
        return day + "T" + _time(buffer[at + 1], buffer[at], 0)
    if buffer[at + 1] & 0x80:
        return None
    day = _day(buffer[at + 3], buffer[at + 4], 2000)
    return day + "T" + _time(buffer[at + 2], buffer[at + 1], buffer[at])


def _century(buffer, at):
    """Type F tells the century; one that tells 1900 for 0 to 80 is an old sender of 2000."""
    year = buffer[at + 2] >> 5 | buffer[at + 3] >> 4 << 3
    century = buffer[at + 1] >> 5 & 3
    if century == 0 and (year <= 80 or year == 127):
        century = 1
    return 1900 + 100 * century


def _day(low, high, century):
    year = low >> 5 | high >> 4 << 3
    return "%04d-%02d-%02d" % (century + year, high & 15, low & 31)


def _time(hour, minute, second):
    return "%02d:%02d:%02d" % (hour & 31, minute & 63, second & 63)
