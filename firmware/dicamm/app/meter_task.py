"""Reads the MID meter: on the poll, and at once for an event. Decides whether it is healthy."""

import asyncio

from dicamm import codes
from dicamm.app.bus import BusRequest
from dicamm.app.log import nobody
from dicamm.metering.meter import MeterProfile
from dicamm.metering.reading import taken
from dicamm.proto import obis

FAULT_AFTER = 2  # failed cycles until the meter counts as dead
FAULT_AFTER_MS = 3000  # real time without an answer to anything asked, which does so too
RETRY_MS = 500  # longest pause after a failed poll


class Meter:
    """settings: store.settings; bus: app.bus.Bus; legal_time: metering.legal_time.

    Takes the meter's profile out of the settings: planned with, it is not needed again.
    `healthy` turns false after FAULT_AFTER failed reads, or when FAULT_AFTER_MS have passed
    since the first of them began, and true with the next good one; `on_change(healthy)` is then
    called. Never gives an old value with a new time.
    """

    def __init__(self, settings, bus, clock, legal_time, log):
        profile = MeterProfile(settings.meter_profile)
        self._profile = profile
        settings.meter_profile = None
        self._plans = {}
        used = []
        short = min(profile.max_registers, bus.poll_registers)
        for name, texts, limit in (
            ("record", settings.record_obis, profile.max_registers),
            ("poll", settings.poll_obis, short),
        ):
            wanted = [obis.parse(text) for text in texts]
            self._plans[name] = (wanted, profile.plan(wanted, limit))
            used += wanted
        profile.keep(used)
        self._unit = settings.meter_unit
        self._poll_ms = settings.poll_ms
        self._bus = bus
        self._clock = clock
        self._time = legal_time
        self._log = log
        self._request = {"record": BusRequest(), "poll": BusRequest()}
        self._busy = {"record": asyncio.Lock(), "poll": asyncio.Lock()}
        self.healthy = False
        self.on_change = nobody
        self.error = codes.METER_TIMEOUT
        self.good_reads = 0
        self.failed_reads = 0
        self._failed_in_row = 0
        self._asked_us = None  # when the first read began that was not answered yet
        self.last_poll = None

    @property
    def known(self):
        """True once a read has succeeded or failed since the start."""
        return self.good_reads + self.failed_reads > 0

    async def read_event(self):
        """(Reading, 0) for the values of a record, taken now, before any poll; or (None, code)."""
        return await self._read("record", True)

    async def run(self, alive):
        """Polls for ever; `alive()` is called once a round."""
        watch = asyncio.create_task(self._watch())
        try:
            while True:
                alive()
                reading, error = await self._read("poll", False)
                if not error:
                    self.last_poll = reading
                await asyncio.sleep_ms(min(self._poll_ms, RETRY_MS) if error else self._poll_ms)
        finally:
            watch.cancel()

    async def _watch(self):
        """Turns the meter unhealthy in time, however long the bus still tries."""
        while True:
            await asyncio.sleep_ms(100)
            begun = self._asked_us
            if begun is not None and self._clock.real_us() - begun > FAULT_AFTER_MS * 1000:
                self._set_healthy(False)

    async def _read(self, name, urgent):
        async with self._busy[name]:
            if self._asked_us is None:
                self._asked_us = self._clock.real_us()
            values, error, captured_ms = await self._collect(name, urgent)
        self._judge(error)
        if error:
            return None, error
        return taken(values, self._time, captured_ms), 0

    async def _collect(self, name, urgent):
        wanted, plan = self._plans[name]
        request = self._request[name]
        request.unit = self._unit
        values = []
        captured_ms = 0
        for function, address, count in plan:
            request.function, request.address, request.count = function, address, count
            error = await self._bus.read(request, urgent)
            if error:
                return None, error, 0
            if not values:  # of several replies the first: no value is older than it is said
                captured_ms = self._clock.ms_at(request.captured_us)
            payload = memoryview(request.payload)[: request.length]
            for value in self._profile.decode(function, address, payload):
                if value[0] in wanted:
                    values.append(value)
        if len(values) != len(wanted):
            return None, codes.METER_VALUE, 0
        return values, 0, captured_ms

    def _judge(self, error):
        if error:
            self.failed_reads += 1
            self._failed_in_row += 1
            if self.error != error or self._failed_in_row <= FAULT_AFTER:
                self._log.write(error, self._failed_in_row)
            self.error = error
            if self._failed_in_row >= FAULT_AFTER:
                self._set_healthy(False)
        else:
            self.good_reads += 1
            self._failed_in_row = 0
            self._asked_us = None
            self.error = 0
            self._set_healthy(True)

    def _set_healthy(self, healthy):
        if healthy != self.healthy:
            self.healthy = healthy
            self._log.write(codes.METER_BACK if healthy else codes.METER_LOST)
            self.on_change(healthy)
