"""Whole numbers in M-Bus data fields: integers and BCD (EN 13757-3, annex A).

Knows bytes in transmission order (least significant first) and of what type they are, not what
they measure. Reals: `mbus_reals`.
"""


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
    minus = size and buffer[place - 1] > 0xEF
    if minus:
        place -= 1
        number = buffer[place] & 15
        if number > 9:
            return None
    while place > at:
        place -= 1
        byte = buffer[place]
        if byte > 0x99 or byte & 15 > 9:
            return None
        number = 100 * number + byte - 6 * (byte >> 4)
    return -number if minus else number
