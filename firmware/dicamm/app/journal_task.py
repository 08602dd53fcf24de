"""Keeps the journal ready: erases ahead while the bus is quiet, and puts waiting marks on flash.

An erase stops the CPU for 45 ms and more; on an RP2040 no interrupt is served meanwhile, and a
reply under way would be lost. So it happens while the bus is idle, between two requests.
"""

import asyncio

ROUND_MS = 200
PATIENCE_MS = 2000  # so long an idle bus is waited for; then the next request is held back
LONGEST_HOLD_MS = 5000
SETTLE_AFTER_US = (
    30000000  # a start that lasted; a device that starts over and over writes nothing
)
FLUSH_AFTER_MS = 1200000  # board time; longer than a quarter hour, whose record carries the marks


class JournalKeeper:
    """journal: store.journal.Journal; bus: app.bus.Bus; clock: real and board time."""

    def __init__(self, journal, bus, clock):
        self._journal = journal
        self._bus = bus
        self._clock = clock
        self._newest = journal.newest
        self._flush_ms = 0
        self.erases = 0

    async def run(self, alive):
        """Never ends; `alive()` is called once a round."""
        self._newest = self._journal.newest
        self._flush_ms = self._clock.mono_ms() + FLUSH_AFTER_MS
        while True:
            alive()
            await self._round()
            await asyncio.sleep_ms(ROUND_MS)

    async def _round(self):
        journal = self._journal
        if journal.erase_due():
            await self._erase()
        if self._clock.real_us() > SETTLE_AFTER_US:
            journal.settle()
        now_ms = self._clock.mono_ms()
        if journal.newest != self._newest:
            self._newest = journal.newest
            self._flush_ms = now_ms + FLUSH_AFTER_MS
        elif now_ms > self._flush_ms:
            journal.flush()
            self._flush_ms = now_ms + FLUSH_AFTER_MS

    async def _erase(self):
        """Erases at once when the bus is found idle: nothing else runs between look and erase."""
        waited_ms = 0
        try:
            while not self._bus.idle:
                if waited_ms > PATIENCE_MS + LONGEST_HOLD_MS:
                    return  # a late reply is owed all the time; tried again next round
                self._bus.hold = waited_ms > PATIENCE_MS
                await asyncio.sleep_ms(2)
                waited_ms += 2
            self.erases += self._journal.erase_ahead()
        finally:
            self._bus.hold = False
