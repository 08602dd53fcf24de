"""Modbus RTU client (the master's side): a request out, received bytes in, one verdict.

Knows one transaction at a time. Has no clock: the caller keeps the silence before a request
(`modbus_timing.silence_us`), sets the deadline, and says when it has passed (`timeout`).
Status and error are numbers of `modbus_pdu`. What is seldom asked for stands apart and is loaded
when it is: writing (`modbus_write`), and bytes that are no regular reply (`modbus_judge`).
A request allocates nothing on the heap once each size of reply has been seen.
"""

from dicamm.proto.modbus_loops import copy_bytes, put_read, take_reply

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_RX_SIZE = const(288)  # twice MAX_STRAY, the longest echo or reply (255), the shorter other
_ALL = const(0x10000)
_HEADER = const(3)  # bytes after which a frame can be told from another

# of modbus_pdu: inlined, which const() does in its own module only
_IDLE = const(0)
_PENDING = const(1)
_DONE = const(2)
_FAILED = const(3)
_TIMEOUT = const(1)

_judge = None  # functions of modules that are loaded when wanted
_write = None
_len = len  # MicroPython finds a global at once, a builtin after a search


class RtuClient:
    """One request and its reply at a time.

    read() or write_...() gives the bytes to send; feed() takes what arrives, in any chunking,
    and tells PENDING, DONE or FAILED; timeout() ends the waiting. The verdict depends on the
    bytes alone, not on their chunking. After FAILED the rest of a reply may still be under way:
    wait for silence before the next request.

    Up to MAX_STRAY bytes before the reply, any after it, and one echo of the request are passed
    over and counted. The reply to a single write equals its request: on a bus that echoes, give
    local_echo=True, else the echo would confirm the write.

    expected_bytes: while PENDING, missing to a regular reply; an exception is shorter.
    payload: the register bytes (memoryview) after DONE, valid until the next request.
    discarded: "stray" and "trailing" count bytes, "echo" echoes, the others refused replies.
    Total: no received byte raises. ValueError only for a request that Modbus cannot say.
    """

    # For MicroPython: no property, which would make it search the class at every attribute it
    # stores; on the way of a reply in one piece functions of at most 11 words (arguments, locals,
    # stack), which take no heap, and three attributes set; what else there is _begin sets.

    def __init__(self, local_echo=False):
        self.discarded = {
            "stray": 0,
            "trailing": 0,
            "echo": 0,
            "short": 0,
            "crc": 0,
            "wrong unit": 0,
            "wrong function": 0,
            "wrong length": 0,
            "wrong content": 0,
        }
        self._local_echo = local_echo
        self._tx = bytearray(8)
        self._rx = bytearray(_RX_SIZE)
        self._request = memoryview(self._tx)
        self._requests = None  # until the first write
        self._payloads = {0: memoryview(self._rx)[:0]}  # registers -> view
        self._begin(0, 0, 0)
        self.status = _IDLE

    def read(self, unit, function, address, count):
        """The request (memoryview) for `count` registers; function 3 or 4."""
        if (unit | function | address | count) >> 16 or not put_read(
            self._tx, unit, function, address, count
        ):
            raise ValueError("Modbus unit, function, address or count")
        if count != self._usual:
            self._begin(count, 5 + 2 * count, 8)
            if self._local_echo:
                return self._request
            self._usual = count
        self._fresh = count
        self.payload = self._nothing
        self.status = _PENDING
        return self._request

    def write_single(self, unit, address, value):
        """The request (memoryview) that sets one holding register, function 6."""
        return self.write_multiple(unit, address, value)

    def write_multiple(self, unit, address, values):
        """The request (memoryview) that sets len(values) holding registers, function 16."""
        global _write
        if _write is None:
            from dicamm.proto.modbus_write import begin as _write
        return _write(self, unit, address, values)

    def feed(self, data, count=_ALL):
        """Takes the first `count` bytes of `data` (all without it). Returns the status."""
        size = _len(data)
        if count < size:
            size = count
        if self._fresh:
            if take_reply(self._tx, data, self._rx, size, self._fresh):
                self._fresh = 0
                self.payload = self._view
                self.status = _DONE
                return _DONE
            self._begin(self._count, self._length, 8)
        return self._feed_slowly(data, size)

    def timeout(self):
        """The deadline has passed, or the line has been silent after bytes. Returns the status.

        DONE or FAILED with EXCEPTION are possible: a reply that only doubt about the bytes
        before it kept back is taken now.
        """
        if self._fresh:
            self._begin(self._count, self._length, 8)
        if self.status == _PENDING:
            if self._have:
                self._judge(True)
            else:
                self.error = _TIMEOUT
                self.status = _FAILED
        return self.status

    def _begin(self, count, length, sent):
        """Awaits a reply of `length` bytes with `count` registers to a request of `sent` bytes:
        when these change, and for everything but a reply to a read that comes in one piece."""
        if count not in self._payloads:
            self._payloads[count] = memoryview(self._rx)[_HEADER : _HEADER + 2 * count]
        self._view = self._payloads[count]  # where the registers will stand
        self._nothing = self.payload = self._payloads[0]
        self._count = count  # registers asked for, 0 for a write
        self._length = self.expected_bytes = length
        self._tx_length = sent
        self._usual = -1  # registers of the last read if its reply was regular
        self._fresh = 0  # registers of a read that no byte has come for yet
        self._have = 0  # bytes received
        self._need = _HEADER  # the count of bytes at which the next decision can fall
        self._base = 0  # where the reply may begin: behind the echo, 0 until one has come
        self._start = 0  # where it is looked for now
        self._flaw = 0  # the best explanation so far
        self.error = self.exception_code = 0
        self.status = _PENDING

    def _feed_slowly(self, data, size):
        at = 0
        while at < size and self.status == _PENDING:
            take = min(self._need - self._have, size - at)
            copy_bytes(self._rx, self._have, data, at, take)
            at += take
            self._have += take
            if self._have >= self._need and not self._regular(self._have):
                self._judge(False)
        if at < size:
            self.discarded["trailing"] += size - at
        self.expected_bytes = max(self._start + self._length - self._have, 1)
        return self.status

    def _regular(self, have):
        """Whether it is a read's reply that begins with the first byte received, so far."""
        rx = self._rx
        tx = self._tx
        twice = 2 * self._count
        if self._start or rx[2] != twice or rx[1] != tx[1] or rx[0] != tx[0]:
            return False
        if not twice or self._local_echo or tx[2] == twice:
            return False  # a write, or an echo would begin like its reply
        if have < self._length:
            self._need = self._length
        elif take_reply(tx, rx, rx, have, self._count):
            self.payload = self._view
            self.status = _DONE
        else:
            return False
        return True

    def _judge(self, last):
        global _judge
        if _judge is None:
            from dicamm.proto.modbus_judge import judge as _judge
        _judge(self, last)
