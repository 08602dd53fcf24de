"""Texts and dates in M-Bus data fields (EN 13757-3, annex A).

Knows bytes in transmission order and of what type they are, not what they measure.
"""


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
