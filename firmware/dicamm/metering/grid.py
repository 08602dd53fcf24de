"""The quarter-hour grid of TAF7: which due time is next, which are missing for good, whatever the
clock does.

Pure. Works on UTC, so a change of daylight saving time is no event here.
"""

PERIOD_MS = 900000
LATEST_MS = 27000  # 3 % of the period: a reading begun later is not the reading of that instant
BACK_MS = 86400000  # a clock set back by more than that was wrong before: the grid starts anew


class QuarterHourGrid:
    """Each due time is either read or missing, once, also when the clock is set back.

    last_due_ms: the newest due time that is done (read, or recorded as missing), or None on a
    new device.
    """

    def __init__(self, last_due_ms=None):
        self._last_due_ms = last_due_ms

    def missing(self, utc_ms):
        """(first, last) of the due times that nobody read in time and nobody will, or None."""
        first_ms = self._follow(utc_ms) + PERIOD_MS
        newest_ms = (utc_ms - LATEST_MS - 1) // PERIOD_MS * PERIOD_MS
        return (first_ms, newest_ms) if newest_ms >= first_ms else None

    def due(self, utc_ms):
        """The due time to be read now, or None."""
        last_ms = self._follow(utc_ms)
        late_ms = utc_ms % PERIOD_MS
        due_ms = utc_ms - late_ms
        return due_ms if due_ms > last_ms and late_ms <= LATEST_MS else None

    def done(self, due_ms):
        """Marks every due time up to this one as read or recorded as missing."""
        self._last_due_ms = due_ms

    def wait_ms(self, utc_ms):
        """Milliseconds until the next due time."""
        return PERIOD_MS - utc_ms % PERIOD_MS

    def _follow(self, utc_ms):
        last_ms = self._last_due_ms
        if last_ms is None or utc_ms < last_ms - BACK_MS:
            # the first whole quarter hour after the start is the first one due
            self._last_due_ms = last_ms = utc_ms - utc_ms % PERIOD_MS
        return last_ms


def in_time(due_ms, captured_ms):
    """Whether a reading taken then is the one of that due time."""
    return 0 <= captured_ms - due_ms <= LATEST_MS
