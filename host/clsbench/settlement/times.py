"""Instants as UTC Unix milliseconds, the quarter-hour grid, and the days of Europe/Berlin.

Integers only: no clock, no time zone files. Local days follow the European summer time in
force since 1996 (Directive 2000/84/EC): last Sunday of March to last Sunday of October, 01:00 UTC.
"""

import re

from clsbench.errors import BadInput

QUARTER_MS = 900_000
DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:([Zz])|([+-])(\d\d):?(\d\d))"
)
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_ms(text: object, place: str) -> int:
    """Milliseconds of an ISO 8601 instant with `Z` or an offset; finer digits are cut.

    Raises BadInput naming the place, also for a time that does not say its offset.
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInput(
            f"{place}: {text!r} is no instant. Write it as 2026-05-04T08:00:00Z or with an offset"
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        raise BadInput(f"{place}: {text!r} names a day that does not exist")
    if hour > 23 or minute > 59 or second > 60:
        raise BadInput(f"{place}: {text!r} names a time that does not exist")
    milli = int(((found[7] or "") + "000")[:3])
    offset = 0
    if found[9]:
        offset = (int(found[10]) * 60 + int(found[11])) * (60_000 if found[9] == "+" else -60_000)
    clock = (hour * 60 + minute) * 60_000 + second * 1000 + milli
    return days_of(year, month, day) * DAY_MS + clock - offset


def format_ms(at_ms: int) -> str:
    """`2026-05-04T08:00:00Z`, with milliseconds only where they are not zero."""
    days, rest = divmod(at_ms, DAY_MS)
    year, month, day = date_of(days)
    seconds, milli = divmod(rest, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{year:04}-{month:02}-{day:02}T{text}{f'.{milli:03}' if milli else ''}Z"


def local_date(at_ms: int) -> str:
    """The calendar day in Europe/Berlin that an instant falls on."""
    year, month, day = date_of((at_ms + berlin_offset_ms(at_ms)) // DAY_MS)
    return f"{year:04}-{month:02}-{day:02}"


def berlin_offset_ms(at_ms: int) -> int:
    """Local time minus UTC: two hours in summer time, else one."""
    year = date_of(at_ms // DAY_MS)[0]
    summer = _last_sunday(year, 3) * DAY_MS + _HOUR_MS
    winter = _last_sunday(year, 10) * DAY_MS + _HOUR_MS
    return 2 * _HOUR_MS if summer <= at_ms < winter else _HOUR_MS


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (proleptic Gregorian; Hinnant, days_from_civil)."""
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month, day of a number of days since 1970-01-01 (Hinnant, civil_from_days)."""
    era, of_era = divmod(days + 719_468, 146_097)
    years = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return years + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def _last_sunday(year: int, month: int) -> int:
    last = days_of(year, month, 31)
    return last - (last + 4) % 7


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not leap else _MONTH_DAYS[month - 1]
