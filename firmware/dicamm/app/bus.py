"""Owner of the RS-485 bus: the one task that talks on it.

Requests wait in two queues; an event's reading overtakes the polls. Enforces the silence
between frames that Modbus over serial line demands (V1.02, section 2.5.1.1: 3.5 characters).
"""

import asyncio
import time

from dicamm import codes
from dicamm.proto import modbus

# After a missing reply the line must be quiet so long: Modbus RTU numbers no request, and a reply
# that comes late would be taken for that of the next one.
LATE_US = 1000000
_REPLIED = (codes.OK, codes.METER_CRC, codes.METER_EXCEPTION)
_STEP_MS = 1


class BusRequest:
    """One read. After `done` is set: `error` 0 and `payload` holds the registers, or a code of
    `dicamm.codes`. captured_us: the bus's real time when the reply was whole."""

    def __init__(self):
        self.unit = 0
        self.function = 0
        self.address = 0
        self.count = 0
        self.error = 0
        self.payload = bytearray(250)
        self.length = 0
        self.captured_us = 0
        self.done = asyncio.Event()


class Bus:
    """port: drivers.rs485.Rs485; clock: for real microseconds; timeout_ms: silence after which
    a reply is given up; tries: attempts per request."""

    def __init__(self, port, clock, timeout_ms, tries):
        self._port = port
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._tries = tries
        self._client = modbus.RtuClient()
        self._buffer = bytearray(64)
        self._silence_us = modbus.silence_us(port.baud)
        self._quiet_since_us = clock.real_us()
        self._reply_owed = False
        self._events = []
        self._polls = []
        self._work = asyncio.Event()

    @property
    def discarded(self):
        """What the client threw away: reason -> number."""
        return self._client.discarded

    async def read(self, request, urgent):
        """Runs one BusRequest and returns its error code, 0 when `payload` is good."""
        request.done.clear()
        (self._events if urgent else self._polls).append(request)
        self._work.set()
        await request.done.wait()
        return request.error

    async def run(self):
        """The owner task. Never ends."""
        while True:
            while not self._events and not self._polls:
                self._work.clear()
                await self._work.wait()
            request = (self._events or self._polls).pop(0)
            await self._serve(request)
            request.done.set()

    async def _serve(self, request):
        # only the repeat of a request may use the late reply to its first try
        await self._keep_silence(LATE_US if self._reply_owed else self._silence_us)
        self._reply_owed = False
        for _ in range(self._tries):
            await self._keep_silence(self._silence_us)
            request.error = await self._transaction(request)
            self._reply_owed = self._reply_owed or request.error not in _REPLIED
            if not request.error:
                return

    async def _transaction(self, request):
        client = self._client
        frame = client.read(request.unit, request.function, request.address, request.count)
        await self._port.send(frame)
        self._quiet_since_us = self._clock.real_us()
        wire_us = modbus.wire_time_us(
            client.expected_bytes, self._port.baud, self._port.bits_per_char
        )
        deadline = self._clock.real_us() + wire_us + self._timeout_ms * 1000
        status = modbus.PENDING
        while status == modbus.PENDING:
            count = self._port.receive(self._buffer)
            if count:
                self._quiet_since_us = self._clock.real_us()
                status = client.feed(self._buffer, count)
            elif self._clock.real_us() > deadline:
                status = client.timeout()
            else:
                await asyncio.sleep_ms(_STEP_MS)
        if status != modbus.DONE:
            return codes.from_modbus(client.error)
        request.captured_us = self._quiet_since_us
        request.length = len(client.payload)
        request.payload[: request.length] = client.payload
        return 0

    async def _keep_silence(self, silence_us):
        """Waits until the line was quiet for so long, throwing away what still comes."""
        while True:
            if self._port.receive(self._buffer):
                self._quiet_since_us = self._clock.real_us()
            left_us = silence_us - (self._clock.real_us() - self._quiet_since_us)
            if left_us <= 0:
                return
            if left_us >= 1000:
                await asyncio.sleep_ms(left_us // 1000)
            else:
                time.sleep_us(left_us)
