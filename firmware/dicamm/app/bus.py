"""Owner of the RS-485 bus: the one task that talks on it.

Requests wait in two queues; an event's reading overtakes the polls, and polls are short enough
(`poll_registers`) that it never waits longer than POLL_BUDGET_US for the line. Enforces the
silence between frames (Modbus over serial line V1.02, section 2.5.1.1: 3.5 characters).

A reply carries no address. One that comes late may serve the repeat of its own request, but would
pass for the reply to the next: so a unit that owes a reply is asked nothing else until nothing has
come for `late_ms`, and the first reply after a request that failed altogether counts only when no
other follows it.
"""

import asyncio
import time

from dicamm import codes
from dicamm.app.bus_request import BusRequest, BusUnit
from dicamm.app.log import nobody
from dicamm.proto import (
    modbus_judge,  # noqa: F401 - loaded now, not in the midst of a reply
    modbus_timing,
)
from dicamm.proto.modbus import RtuClient
from dicamm.proto.modbus_loops import copy_bytes

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


__all__ = ("Bus", "BusRequest", "BusUnit")

POLL_BUDGET_US = 50000
BABBLE_US = 1000000  # a line that is not silent for so long is out of order

# of proto.modbus_pdu
_PENDING = const(1)
_DONE = const(2)
_TIMEOUT = const(1)
_CRC = const(3)
_EXCEPTION = const(8)
_MAX_READ = const(125)

_CHOOSE = const(0)  # phases
_SILENCE = const(1)
_SEND = const(2)
_LISTEN = const(3)
_ALONE = const(4)

_FINE_US = 2000  # around an expected arrival the line is watched without pause, else every ms
_LONGEST_NAP_MS = 20  # so that no UART overflows
_REPLIED = (0, _EXCEPTION)  # errors with which the unit has answered
_FINAL = (1, 2, 3)  # exceptions that asking again does not cure: function, address, value


class Bus:
    """port: drivers.rs485.Rs485; clock: for real microseconds; timeout_ms, tries: of every unit
    that `units` (number -> BusUnit) does not name.

    discarded: what was thrown away, reason -> number (bytes for "late": those nobody awaited).
    hold: while it is set no request is begun, for those who wait to find the bus `idle`.
    alive: called before each request, and while one has to wait.
    """

    def __init__(self, port, clock, timeout_ms, tries):
        self._port = port
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._tries = tries
        self.units = {}
        self._client = RtuClient(port.local_echo)
        self._feed = self._client.feed
        self.discarded = self._client.discarded
        self.discarded["late"] = 0
        self._buffer = bytearray(256)
        self._silence_us = modbus_timing.silence_us(port.baud)
        self.poll_registers = modbus_timing.registers_within(
            POLL_BUDGET_US, port.baud, port.bits_per_char
        )
        self.hold = False
        self.alive = nobody
        self._events = []
        self._polls = []
        self._work = asyncio.Event()
        self._phase = _CHOOSE
        self._request = None
        self._unit = None  # of the request
        self._begin = 0  # of the phase, in ticks
        self._heard = time.ticks_us()  # when the line was last busy
        self._limit_us = 0  # how long it may be quiet before the reply counts as missing
        self._due_us = 0  # when, after `_heard`, the reply could be whole
        self._reply_us = 0  # how long it lasts
        self._late_us = 0  # until then (real time) a late reply may come

    @property
    def idle(self):
        """Whether nothing is being sent and no reply is due, not even a late one: the moment to do
        what stops the CPU for longer than a UART can buffer, such as an erase of flash."""
        return self._phase == _CHOOSE and self._clock.real_us() > self._late_us

    async def read(self, request, urgent):
        """Runs a BusRequest and returns its error code, 0 when all is well.

        Raises ValueError for a request that Modbus cannot say, or a poll (not urgent) of more
        than `poll_registers`: its values would have to be torn apart here; plan it in parts.
        """
        request.check(_MAX_READ if urgent else self.poll_registers)
        request.urgent = urgent
        request.tries_left = request.tries or self._unit_of(request).tries
        request.done.clear()
        (self._events if urgent else self._polls).append(request)
        self._work.set()
        await request.done.wait()
        return request.error

    async def run(self):
        """The owner task. Never ends; cancelled or fallen, it refuses what was waiting."""
        self._phase = _CHOOSE
        try:
            while True:
                wait_ms = self._step()
                if wait_ms >= 0:
                    await asyncio.sleep_ms(wait_ms)
                else:
                    self._work.clear()
                    await self._work.wait()
        finally:
            waiting = self._events + self._polls
            self._events.clear()
            self._polls.clear()
            if self._request is not None:
                waiting.append(self._request)
            for request in waiting:
                self._finish(request, codes.METER_TIMEOUT)

    # -- phases; each returns how many ms to sleep before the next look, -1: until there is work.
    # Plain functions, so that a transaction leaves no coroutine behind on the heap.

    def _step(self):
        phase = self._phase
        if phase == _LISTEN:
            return self._listen()
        if phase == _SILENCE:
            return self._keep_silence()
        if phase == _SEND:
            return self._send()
        if phase == _CHOOSE:
            return self._choose()
        return self._stay_alone()

    def _choose(self):
        self.alive()
        if self.hold:
            return 1
        now_us = self._clock.real_us()
        request = self._take_from(self._events, now_us) or self._take_from(self._polls, now_us)
        if request is None:
            if not self._events and not self._polls and now_us > self._late_us:
                return -1
            self._drop_late()
            return 1
        self._request = request
        self._unit = self._unit_of(request)
        if self._unit.trying is not request:
            self._unit.owes = False  # nothing came any more
        self._phase = _SILENCE
        self._begin = time.ticks_us()
        return self._keep_silence()

    def _take_from(self, queue, now_us):
        """The oldest request whose unit may be asked now; or None."""
        for index in range(len(queue)):
            unit = self._unit_of(queue[index])
            if not unit.owes or unit.free_us <= now_us or unit.trying is queue[index]:
                return queue.pop(index)
        return None

    def _keep_silence(self):
        """3.5 characters of silence before a request."""
        self._drop_late()
        now = time.ticks_us()
        quiet_us = time.ticks_diff(now, self._heard)
        if not 0 <= quiet_us < self._silence_us:  # below 0: so long ago that the ticks wrapped
            frame = self._request.frame(self._client)
            # part of the patience, since not every UART tells when it has sent
            self._limit_us = len(frame) * self._port.char_us
            self._port.send(frame)
            self._phase = _SEND
            return self._send()
        if time.ticks_diff(now, self._begin) > BABBLE_US:
            return self._conclude(_CRC)
        return (self._silence_us - quiet_us) // 1000

    def _send(self):
        wait_ms = self._port.sending_ms()
        if wait_ms >= 0:
            return wait_ms
        char_us = self._port.char_us
        unit = self._unit
        self._begin = self._heard = time.ticks_us()
        self._limit_us += (self._request.timeout_ms or unit.timeout_ms) * 1000
        self._reply_us = self._client.expected_bytes * char_us
        self._due_us = unit.latency_us + self._reply_us - char_us
        self._phase = _LISTEN
        return self._listen()

    def _listen(self):
        """Feeds the client until it has a verdict: at once when the reply is whole or refused,
        when the line falls silent in its midst, or when none begins in time."""
        count = self._port.receive(self._buffer)
        now = time.ticks_us()
        if count:
            self._heard = now
            self._limit_us = self._silence_us + self._port.receive_lag_us
            if self._feed(self._buffer, count) != _PENDING:
                return self._judge()
            self._due_us = (self._client.expected_bytes - 1) * self._port.char_us
        quiet_us = time.ticks_diff(now, self._heard)
        if quiet_us > self._limit_us:
            self._client.timeout()
            return self._judge()
        left_us = self._due_us - quiet_us
        if left_us >= 1000:
            return min(left_us // 1000, _LONGEST_NAP_MS)
        return 0 if left_us > -_FINE_US else 1

    def _judge(self):
        """The client has a verdict."""
        client = self._client
        request = self._request
        if client.status == _DONE:
            request.captured_us = self._clock.real_us()
            request.length = len(client.payload)
            copy_bytes(request.payload, 0, client.payload, 0, request.length)
            self._unit.learn(time.ticks_diff(self._heard, self._begin) - self._reply_us)
        if self._unit.lost and client.error in _REPLIED:
            self._phase = _ALONE
            self._begin = time.ticks_us()
            return 1
        return self._conclude(client.error)

    def _stay_alone(self):
        """Whether no other reply follows the one just received; listens for as long as one may.

        Does not hold up an event of another unit: then there is no knowing.
        """
        if self._drop_late() or self._wanted_elsewhere():
            return self._conclude(_TIMEOUT)
        if time.ticks_diff(time.ticks_us(), self._begin) < self._unit.late_ms * 1000:
            return 1
        return self._conclude(self._client.error)

    def _conclude(self, error):
        """A try is over."""
        request = self._request
        unit = self._unit
        self._request = None
        self._phase = _CHOOSE
        answered = error in _REPLIED
        missing = not answered and error != _CRC
        if missing:
            unit.owes = True
        if unit.owes:
            self._leave_alone(unit)
        request.tries_left -= 1
        final = error == _EXCEPTION and self._client.exception_code in _FINAL
        if error and request.tries_left > 0 and not final:
            unit.trying = request
            (self._events if request.urgent else self._polls).insert(0, request)
        else:
            unit.trying = None
            unit.lost = missing or (unit.lost and not answered)
            self._finish(request, codes.from_modbus(error))
        return 0

    def _finish(self, request, error):
        request.error = error
        request.done.set()

    def _leave_alone(self, unit):
        unit.free_us = self._clock.real_us() + unit.late_ms * 1000
        self._late_us = max(self._late_us, unit.free_us)

    def _drop_late(self):
        """Throws away what came and nobody awaits. Returns the number of bytes."""
        count = self._port.receive(self._buffer)
        if count:
            self._heard = time.ticks_us()
            self.discarded["late"] += count
            for unit in self.units.values():
                if unit.owes:
                    self._leave_alone(unit)
        return count

    def _unit_of(self, request):
        number = request.unit
        if number not in self.units:
            self.units[number] = BusUnit(self._timeout_ms, self._tries)
        return self.units[number]

    def _wanted_elsewhere(self):
        number = self._request.unit
        return any(event.unit != number for event in self._events)
