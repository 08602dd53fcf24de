"""Legal time in Germany: local days, months and billing periods as UTC milliseconds.

Central European time with summer time from the last Sunday of March to that of October, each
at 01:00 UTC. Computed, so that no time-zone database is needed.
Source: Directive 2000/84/EC (in force since 2002); § 4 EinhZeitG.
"""

from datetime import UTC, date, datetime, timedelta

HOUR_MS = 3_600_000
QUARTER_MS = 900_000
BILLING_MONTHS = (1, 2, 3, 6, 12)


def offset_ms(utc_ms: int) -> int:
    """What local time is ahead of UTC at an instant: one or two hours."""
    year = datetime.fromtimestamp(utc_ms // 1000, UTC).year
    summer = _change_ms(year, 3) <= utc_ms < _change_ms(year, 10)
    return 2 * HOUR_MS if summer else HOUR_MS


def local(utc_ms: int) -> datetime:
    """The wall clock's date and time at an instant, without a zone, to the second."""
    moment = datetime.fromtimestamp((utc_ms + offset_ms(utc_ms)) // 1000, UTC)
    return moment.replace(tzinfo=None)


def midnight_ms(day: date) -> int:
    """The instant a local day begins."""
    naive = datetime(day.year, day.month, day.day, tzinfo=UTC)
    utc_ms = int(naive.timestamp()) * 1000 - HOUR_MS
    return utc_ms - (offset_ms(utc_ms - HOUR_MS) - HOUR_MS)


def day_of(utc_ms: int) -> date:
    """The local day an instant lies in."""
    return local(utc_ms).date()


def month_ms(year: int, month: int) -> tuple[int, int]:
    """Begin (inclusive) and end (exclusive) of a local month."""
    return midnight_ms(date(year, month, 1)), midnight_ms(add_months(date(year, month, 1), 1))


def add_months(first: date, months: int) -> date:
    """The first of the month `months` later; `first` is the first of a month."""
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def days_between(start_ms: int, end_ms: int) -> list[date]:
    """Every local day that has a part in [start, end), in order."""
    day, days = day_of(start_ms), []
    while midnight_ms(day) < end_ms:
        days.append(day)
        day += timedelta(days=1)
    return days


def next_midnight_ms(after_ms: int) -> int:
    """The first local midnight later than an instant."""
    return midnight_ms(day_of(after_ms) + timedelta(days=1))


def billing_period_ms(at_ms: int, months: int, anchor: date) -> tuple[int, int]:
    """The billing period an instant lies in: `months` long, one of them begins with `anchor`.

    months: one of BILLING_MONTHS. anchor: the first of a month.
    """
    day = day_of(at_ms)
    since = (day.year - anchor.year) * 12 + day.month - anchor.month
    first = add_months(anchor, since // months * months)
    return midnight_ms(first), midnight_ms(add_months(first, months))


def _change_ms(year: int, month: int) -> int:
    last = datetime(year, month, 31, 1, tzinfo=UTC)  # March and October have 31 days
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return int(sunday.timestamp()) * 1000
