"""TAF7: a reading every quarter hour on the UTC grid, beside the transactions.

Every quarter hour ends up in exactly one record: with its reading, or in one that says from which
to which quarter hour there is none, and why.
"""

import asyncio

from dicamm import codes
from dicamm.app.log import nobody
from dicamm.metering.grid import PERIOD_MS, in_time
from dicamm.metering.reading import taken
from dicamm.store.journal import JournalFull

_LONGEST_NAP_MS = 200  # real time; the clock may be set while we sleep


class QuarterHours:
    """grid: metering.grid.QuarterHourGrid. `missed`: quarter hours without reading."""

    def __init__(self, grid, meter, recorder, legal_time, clock, log):
        self._grid = grid
        self._meter = meter
        self._recorder = recorder
        self._time = legal_time
        self._clock = clock
        self._log = log
        self._error = 0  # why the due reading was not to be had
        self._full = False
        self._begun = False  # a quarter hour was recorded since the start
        self.missed = 0
        self.on_record = nobody

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        while True:
            alive()
            await asyncio.sleep_ms(await self._round())

    async def _round(self):
        """Does what is due; returns how long to sleep then."""
        mono_ms = self._clock.mono_ms()
        utc_ms = self._time.utc_ms(mono_ms)
        if utc_ms is None:
            return _LONGEST_NAP_MS
        missing = self._grid.missing(utc_ms)
        if missing is not None:
            first_ms, last_ms = missing
            # no attempt failed: the device was off, or its clock jumped over them
            cause = self._error or (codes.TIME_STEPPED if self._begun else codes.BOOTED)
            nothing = taken([], self._time, mono_ms)
            first = first_ms if first_ms != last_ms else None
            if self._store(nothing, last_ms, first, cause):
                count = (last_ms - first_ms) // PERIOD_MS + 1
                self.missed += count
                self._log.write(codes.QUARTER_HOUR_MISSED, count)
            return 1 if not self._full else _LONGEST_NAP_MS
        due_ms = self._grid.due(utc_ms)
        if due_ms is None:
            nap_ms = self._grid.wait_ms(utc_ms) // self._clock.speed
            return max(1, min(nap_ms, _LONGEST_NAP_MS))
        reading, self._error = await self._meter.read_event()
        if self._error:
            return 5  # tried again until the due time is too long ago
        if in_time(due_ms, reading.captured_ms):
            self._store(reading, due_ms)
        return 1 if not self._full else _LONGEST_NAP_MS

    def _store(self, *fields):
        try:
            self._recorder.taf7(*fields)
        except JournalFull:
            if not self._full:
                self._log.write(codes.JOURNAL_FULL)
            self._full = True
            self._error = codes.JOURNAL_FULL
            return False
        self._full = False
        self._begun = True
        self._error = 0
        self._grid.done(fields[1])
        self.on_record()
        return True
