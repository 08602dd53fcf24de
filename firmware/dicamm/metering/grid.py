"""The quarter-hour grid of TAF7: which due time is next, whatever the clock does.

Pure. Works on UTC, so a change of daylight saving time is no event here.
"""

PERIOD_MS = 900000
LATEST_MS = 27000  # 3 % of the period: a reading begun later is not the reading of that instant


class QuarterHourGrid:
    """Each due time fires at most once, also when the clock is set back.

    last_due_ms: due time of the newest TAF7 record known, or None on a new device.
    """

    def __init__(self, last_due_ms=None):
        self._last_due_ms = last_due_ms

    def due(self, utc_ms):
        """The due time to be read now, or None. A due time that passed more than LATEST_MS ago is
        missing for good: it is counted by the next `done`, never invented."""
        late_ms = utc_ms % PERIOD_MS
        due_ms = utc_ms - late_ms
        if self._last_due_ms is None:
            # the first whole quarter hour after the start is the first one due
            self._last_due_ms = due_ms
            return None
        return due_ms if due_ms > self._last_due_ms and late_ms <= LATEST_MS else None

    def done(self, due_ms):
        """Marks a due time as read (or as missing for good). Returns how many due times before
        it were missed."""
        missed = 0
        if self._last_due_ms is not None:
            missed = max(0, (due_ms - self._last_due_ms) // PERIOD_MS - 1)
        self._last_due_ms = due_ms
        return missed

    def wait_ms(self, utc_ms):
        """Milliseconds until the next due time."""
        return PERIOD_MS - utc_ms % PERIOD_MS
