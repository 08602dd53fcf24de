"""Owner of the RS-485 bus: the one task that talks on it.

Requests wait in two queues; an event's reading overtakes the polls, and polls are short enough
(`poll_registers`) that it never waits longer than POLL_BUDGET_US for the line. Enforces the
silence between frames (Modbus over serial line V1.02, section 2.5.1.1: 3.5 characters).

A reply carries no address. One that comes after its request was given up would pass for the
reply to the next request; so a unit that owes a reply is left alone for `late_ms`, and its next
reply counts only when no other follows it.
"""

import asyncio
import time

from dicamm import codes
from dicamm.proto import modbus, modbus_pdu

POLL_BUDGET_US = 50000
BABBLE_US = 1000000  # a line that is not silent for so long is out of order

_FINE_US = 2000  # around an expected arrival the line is watched without pause, else every ms
_LONGEST_NAP_MS = 20  # so that no UART overflows
_FINAL = (1, 2, 3)  # exceptions that asking again does not cure: function, address, value


class BusUnit:
    """How a device on the bus is treated. timeout_ms: until its reply begins. tries: per request.
    late_ms: how long after a request its reply may still come, at worst; 0: twice timeout_ms."""

    def __init__(self, timeout_ms, tries, late_ms=0):
        self.timeout_ms = timeout_ms
        self.tries = tries
        self.late_ms = late_ms or 2 * timeout_ms
        self.latency_us = 0  # how long it usually takes to answer, at the least
        self.owes = False  # a request went unanswered, its reply may still come
        self.free_us = 0  # not to be asked before

    def learn(self, latency_us):
        """Takes the latency of one reply: down at once, up slowly."""
        if latency_us < self.latency_us:
            self.latency_us = max(latency_us, 0)
        else:
            self.latency_us += (latency_us - self.latency_us) // 8


class BusRequest:
    """One request: function 3 or 4 reads `count` registers, 6 or 16 writes `values`.

    timeout_ms, tries: 0 for those of the unit. After `done` is set: `error` 0 and payload[:length]
    holds the registers read, or a code of `dicamm.codes`. captured_us: the bus's real time when
    the reply was whole.
    """

    def __init__(self):
        self.unit = 0
        self.function = 0
        self.address = 0
        self.count = 0
        self.values = ()
        self.timeout_ms = 0
        self.tries = 0
        self.error = 0
        self.payload = bytearray(250)
        self.length = 0
        self.captured_us = 0
        self.done = asyncio.Event()
        self.urgent = False  # this and tries_left are the bus's own
        self.tries_left = 0


class Bus:
    """port: drivers.rs485.Rs485; clock: for real microseconds; timeout_ms, tries: of every unit
    that `units` (number -> BusUnit) does not name.

    discarded: what was thrown away, reason -> number (bytes for "late": those nobody awaited).
    """

    def __init__(self, port, clock, timeout_ms, tries):
        self._port = port
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._tries = tries
        self.units = {}
        self._client = modbus.RtuClient(port.local_echo)
        self.discarded = self._client.discarded
        self.discarded["late"] = 0
        self._buffer = bytearray(256)
        self._silence_us = modbus.silence_us(port.baud)
        self.poll_registers = modbus_pdu.registers_within(
            POLL_BUDGET_US, port.baud, port.bits_per_char
        )
        self._heard = time.ticks_us()  # when the line was last busy
        self._events = []
        self._polls = []
        self._current = None
        self._work = asyncio.Event()

    async def read(self, request, urgent):
        """Runs a BusRequest and returns its error code, 0 when all is well.

        Raises ValueError for a request that Modbus cannot say, or a poll (not urgent) of more
        than `poll_registers`: its values would have to be torn apart here; plan it in parts.
        """
        self._check(request, urgent)
        request.urgent = urgent
        request.tries_left = request.tries or self._unit(request.unit).tries
        request.done.clear()
        (self._events if urgent else self._polls).append(request)
        self._work.set()
        await request.done.wait()
        return request.error

    async def run(self):
        """The owner task. Never ends; cancelled or fallen, it refuses what was waiting."""
        try:
            while True:
                self._current = self._next()
                if self._current is None:
                    await self._idle()
                else:
                    await self._serve(self._current)
        finally:
            waiting = self._events + self._polls
            self._events.clear()
            self._polls.clear()
            if self._current is not None:
                waiting.append(self._current)
            for request in waiting:
                self._finish(request, codes.METER_TIMEOUT)

    # -- queues

    def _check(self, request, urgent):
        if request.function in (modbus_pdu.READ_HOLDING, modbus_pdu.READ_INPUT):
            limit = modbus_pdu.MAX_READ if urgent else self.poll_registers
            modbus_pdu.check_target(request.address, request.count, limit)
        elif request.function == modbus_pdu.WRITE_SINGLE:
            modbus_pdu.check_target(request.address, len(request.values), 1)
        else:
            modbus_pdu.check_target(request.address, len(request.values), modbus_pdu.MAX_WRITE)
        if not 1 <= request.unit <= 247:
            raise ValueError("Modbus unit 1..247")

    def _unit(self, number):
        if number not in self.units:
            self.units[number] = BusUnit(self._timeout_ms, self._tries)
        return self.units[number]

    def _next(self):
        """The oldest event, else the oldest poll, whose unit may be asked now; or None."""
        now_us = self._clock.real_us()
        for queue in (self._events, self._polls):
            for index in range(len(queue)):
                if self._unit(queue[index].unit).free_us <= now_us:
                    return queue.pop(index)
        return None

    async def _idle(self):
        if self._events or self._polls:
            await asyncio.sleep_ms(1)
        else:
            self._work.clear()
            await self._work.wait()

    def _finish(self, request, error):
        request.error = error
        request.done.set()

    # -- one request

    async def _serve(self, request):
        unit = self._unit(request.unit)
        error = await self._transaction(request, unit)
        if error == modbus.TIMEOUT:
            self._leave_alone(unit, unit.late_ms - unit.timeout_ms)
        elif unit.owes and (error == modbus.NONE or error == modbus.EXCEPTION):
            if await self._alone(request, unit):
                unit.owes = False
            else:
                error = modbus.TIMEOUT
                self._leave_alone(unit, unit.late_ms)
        request.tries_left -= 1
        if error == modbus.EXCEPTION and self._client.exception_code in _FINAL:
            request.tries_left = 0
        if error and request.tries_left > 0:
            (self._events if request.urgent else self._polls).insert(0, request)
        else:
            self._finish(request, codes.from_modbus(error))

    def _leave_alone(self, unit, ms):
        unit.owes = True
        unit.free_us = self._clock.real_us() + ms * 1000

    async def _alone(self, request, unit):
        """Whether no other reply follows the one just received; listens for as long as one may.

        Does not hold up an event of another unit: then there is no knowing.
        """
        begin = time.ticks_us()
        limit_us = (unit.late_ms + unit.timeout_ms) * 1000
        while time.ticks_diff(time.ticks_us(), begin) < limit_us:
            if self._drop_late():
                return False
            for other in self._events:
                if other.unit != request.unit:
                    return False
            await asyncio.sleep_ms(1)
        return True

    async def _transaction(self, request, unit):
        """Sends the request once and takes its reply. Returns an error of proto.modbus."""
        if not await self._silence():
            return modbus.CRC
        client = self._client
        await self._port.send(self._frame(request))
        self._heard = time.ticks_us()
        await self._reply(unit, (request.timeout_ms or unit.timeout_ms) * 1000)
        if client.status == modbus.DONE:
            request.captured_us = self._clock.real_us()
            request.length = len(client.payload)
            request.payload[: request.length] = client.payload
        return client.error

    def _frame(self, request):
        client = self._client
        if request.function == modbus_pdu.WRITE_SINGLE:
            return client.write_single(request.unit, request.address, request.values[0])
        if request.function == modbus_pdu.WRITE_MULTIPLE:
            return client.write_multiple(request.unit, request.address, request.values)
        return client.read(request.unit, request.function, request.address, request.count)

    async def _reply(self, unit, timeout_us):
        """Feeds the client until it has a verdict: at once when the reply is whole or refused,
        when the line falls silent in its midst, or when none begins in time."""
        client = self._client
        char_us = self._port.char_us
        sent = self._heard
        reply_us = client.expected_bytes * char_us
        limit_us = timeout_us
        due_us = unit.latency_us + reply_us - char_us  # after `_heard`: when it could be whole
        while True:
            count = self._port.receive(self._buffer)
            now = time.ticks_us()
            if count:
                self._heard = now
                limit_us = self._silence_us + self._port.receive_lag_us
                if client.feed(self._buffer, count) != modbus.PENDING:
                    break
                due_us = (client.expected_bytes - 1) * char_us
            elif time.ticks_diff(now, self._heard) > limit_us:
                client.timeout()
                break
            await self._nap(due_us - time.ticks_diff(now, self._heard))
        if client.status == modbus.DONE:
            unit.learn(time.ticks_diff(self._heard, sent) - reply_us)

    async def _nap(self, left_us):
        """Sleeps towards an instant `left_us` away: exactly around it, in steps else."""
        if left_us >= 1000:
            await asyncio.sleep_ms(min(left_us // 1000, _LONGEST_NAP_MS))
        else:
            await asyncio.sleep_ms(0 if left_us > -_FINE_US else 1)

    async def _silence(self):
        """Waits until the line was silent for 3.5 characters. False: it does not fall silent."""
        begin = time.ticks_us()
        while True:
            self._drop_late()
            quiet_us = time.ticks_diff(time.ticks_us(), self._heard)
            if not 0 <= quiet_us < self._silence_us:  # below 0: so long ago that ticks wrapped
                return True
            if time.ticks_diff(time.ticks_us(), begin) > BABBLE_US:
                return False
            await asyncio.sleep_ms((self._silence_us - quiet_us) // 1000)

    def _drop_late(self):
        """Throws away what came and nobody awaits. Returns the number of bytes."""
        count = self._port.receive(self._buffer)
        if count:
            self._heard = time.ticks_us()
            self.discarded["late"] += count
        return count
