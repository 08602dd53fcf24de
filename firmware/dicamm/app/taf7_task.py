"""TAF7: a reading every quarter hour on the UTC grid, beside the transactions."""

import asyncio

from dicamm import codes
from dicamm.app.log import nobody
from dicamm.store.journal import JournalFull

_LONGEST_NAP_MS = 200  # real time; the clock may be set while we sleep


class QuarterHours:
    """grid: metering.grid.QuarterHourGrid."""

    def __init__(self, grid, meter, recorder, legal_time, clock, log):
        self._grid = grid
        self._meter = meter
        self._recorder = recorder
        self._time = legal_time
        self._clock = clock
        self._log = log
        self.missed = 0
        self.on_record = nobody

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        while True:
            alive()
            utc_ms = self._time.utc_ms(self._clock.mono_ms())
            if utc_ms is None:
                await asyncio.sleep_ms(_LONGEST_NAP_MS)
                continue
            due_ms = self._grid.due(utc_ms)
            if due_ms is None:
                nap_ms = self._grid.wait_ms(utc_ms) // self._clock.speed
                await asyncio.sleep_ms(max(1, min(nap_ms, _LONGEST_NAP_MS)))
            else:
                await self._take(due_ms)

    async def _take(self, due_ms):
        reading, error = await self._meter.read_event()
        if error:
            await asyncio.sleep_ms(5)  # tried again until the due time is too long ago
            return
        try:
            seq = self._recorder.taf7(reading, due_ms)
        except JournalFull:
            self._log.write(codes.JOURNAL_FULL)
            seq = 0
        missed = self._grid.done(due_ms)
        if missed:
            self.missed += missed
            self._log.write(codes.QUARTER_HOUR_MISSED, missed)
        if seq:
            self.on_record()
