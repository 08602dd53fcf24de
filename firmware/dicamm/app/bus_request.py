"""What is asked of the bus, and how the devices on it are to be treated: data for `app.bus`."""

import asyncio

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_WRITE_SINGLE = const(6)
_WRITE_MULTIPLE = const(16)
_MAX_WRITE = const(123)  # registers


class BusUnit:
    """How a device on the bus is treated. timeout_ms: until its reply begins. tries: per request.
    late_ms: how long after a request its reply may still come, at worst."""

    def __init__(self, timeout_ms, tries, late_ms=1000):
        self.timeout_ms = timeout_ms
        self.tries = tries
        self.late_ms = late_ms
        self.latency_us = 0  # how long it usually takes to answer, at the least
        self.owes = False  # a try went unanswered, its reply may still come
        self.free_us = 0  # until then it is asked nothing but
        self.trying = None  # this request again
        self.lost = False  # no try of the last request was answered

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
        self.values = []
        self.timeout_ms = 0
        self.tries = 0
        self.error = 0
        self.payload = bytearray(250)
        self.length = 0
        self.captured_us = 0
        self.done = asyncio.Event()
        self.urgent = False  # this and tries_left are the bus's own
        self.tries_left = 0

    def check(self, most_registers):
        """Raises ValueError for what Modbus cannot say, or a read of more registers than that."""
        count, limit = len(self.values), _MAX_WRITE
        if self.function == 3 or self.function == 4:
            count, limit = self.count, most_registers
        elif self.function == _WRITE_SINGLE:
            limit = 1
        elif self.function != _WRITE_MULTIPLE:
            raise ValueError("Modbus function 3, 4, 6 or 16")
        if not 1 <= count <= limit:
            raise ValueError("Modbus register count")
        if not 0 <= self.address <= 0x10000 - count:
            raise ValueError("Modbus address")
        for value in self.values:
            if not 0 <= value <= 0xFFFF:
                raise ValueError("Modbus register value 0..65535")
        if not 1 <= self.unit <= 247:
            raise ValueError("Modbus unit 1..247")

    def frame(self, client):
        """The bytes to send, made by a proto.modbus.RtuClient, which then awaits the reply."""
        if self.function == _WRITE_SINGLE:
            return client.write_single(self.unit, self.address, self.values[0])
        if self.function == _WRITE_MULTIPLE:
            return client.write_multiple(self.unit, self.address, self.values)
        return client.read(self.unit, self.function, self.address, self.count)
