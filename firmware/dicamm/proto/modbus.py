"""Modbus RTU client (the master's side): a request out, received bytes in, one verdict.

Knows one transaction at a time. Has no clock: the caller keeps the silence before a request
(`silence_us`), sets the deadline, and says when it has passed (`timeout`).
A request allocates nothing on the heap once each size of reply has been seen.
"""

from dicamm.proto.modbus_copy import copy_bytes
from dicamm.proto.modbus_pdu import (
    EXCEPTION_FLAG,
    EXCEPTION_LENGTH,
    MAX_FRAME,
    MAX_READ,
    MAX_WRITE,
    READ_HOLDING,
    READ_INPUT,
    READ_OVERHEAD,
    WRITE_MULTIPLE,
    WRITE_REPLY_LENGTH,
    WRITE_SINGLE,
    check_target,
    check_word,
    crc_fits,
    put_crc,
    put_head,
    put_word,
    reply_length,
    silence_us,
    wire_time_us,
)

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


__all__ = (
    "CRC",
    "DONE",
    "ERROR_NAMES",
    "EXCEPTION",
    "FAILED",
    "IDLE",
    "MAX_STRAY",
    "NONE",
    "PENDING",
    "SHORT",
    "TIMEOUT",
    "WRONG_CONTENT",
    "WRONG_FUNCTION",
    "WRONG_LENGTH",
    "WRONG_UNIT",
    "RtuClient",
    "silence_us",
    "wire_time_us",
)

# status
IDLE = const(0)  # nothing asked yet
PENDING = const(1)
DONE = const(2)
FAILED = const(3)

# error, an index of ERROR_NAMES
NONE = const(0)
TIMEOUT = const(1)  # not one byte came
SHORT = const(2)  # a reply began and broke off
CRC = const(3)  # bytes that are no frame
WRONG_UNIT = const(4)  # a whole frame, of another unit
WRONG_FUNCTION = const(5)  # a whole frame, of another function, exceptions included
WRONG_LENGTH = const(6)  # a whole frame, with another byte count
WRONG_CONTENT = const(7)  # a write confirmed with another address, value or count
EXCEPTION = const(8)  # the unit said no: exception_code

ERROR_NAMES = (
    "none",
    "timeout",
    "short",
    "crc",
    "wrong unit",
    "wrong function",
    "wrong length",
    "wrong content",
    "exception",
)

MAX_STRAY = const(4)  # foreign bytes borne before a reply
RX_SIZE = const(288)  # twice MAX_STRAY, the longest echo or reply (255), the shorter other

_HEADER = const(3)  # bytes after which a frame can be told from another
_NEXT = const(0)  # no reply begins here
_AGAIN = const(-1)  # look again: settled, or an echo was passed


class RtuClient:
    """One request and its reply at a time.

    read() or write_...() gives the bytes to send; feed() takes what arrives, in any chunking,
    and tells PENDING, DONE or FAILED; timeout() ends the waiting. The verdict depends on the
    bytes alone, not on their chunking. After FAILED the rest of a reply may still be under way:
    wait for silence before the next request.

    Up to MAX_STRAY bytes before the reply, any after it, and one echo of the request are passed
    over and counted. The reply to a single write equals its request: on a bus that echoes, give
    local_echo=True, else the echo would confirm the write.

    expected_bytes: missing to a regular reply, 0 when nothing is awaited; an exception is shorter.
    payload: the register bytes (memoryview) after DONE, valid until the next request.
    discarded: "stray" and "trailing" count bytes, "echo" echoes, the others refused replies.
    Total: no received byte raises. ValueError only for a request that Modbus cannot say.
    """

    # No property here: one would make MicroPython search the class at every attribute it stores.

    def __init__(self, local_echo=False):
        self.discarded = {"stray": 0, "trailing": 0, "echo": 0}
        for error in range(SHORT, EXCEPTION):
            self.discarded[ERROR_NAMES[error]] = 0
        self.status = IDLE
        self.error = NONE
        self.exception_code = 0
        self.register_count = 0
        self.expected_bytes = 0
        self._local_echo = local_echo
        self._tx = bytearray(MAX_FRAME)
        self._tx_length = 0
        self._rx = bytearray(RX_SIZE)
        self._requests = {8: memoryview(self._tx)[:8]}  # length -> view
        self._payloads = {0: memoryview(self._rx)[:0]}  # registers -> view
        self.payload = self._payloads[0]
        self._count = 0  # registers asked for; 0 for a write
        self._length = 0  # of the regular reply
        self._third = -1  # third byte of a reply that no echo can be mistaken for, or -1
        self._have = 0  # bytes received
        self._need = 0  # the count of bytes at which the next decision can fall
        self._base = 0  # where the reply may begin: behind the echo
        self._start = 0  # where it is looked for now
        self._echo_seen = False
        self._flaw = NONE  # the best explanation so far

    def read(self, unit, function, address, count):
        """The request (memoryview) for `count` registers; function 3 or 4."""
        if function != READ_HOLDING and function != READ_INPUT:
            raise ValueError("Modbus read function 3 or 4")
        check_target(unit, address, count, MAX_READ)
        put_head(self._tx, unit, function, address, count)
        return self._begin(6, count, READ_OVERHEAD + 2 * count)

    def write_single(self, unit, address, value):
        """The request (memoryview) that sets one holding register, function 6."""
        check_target(unit, address, 1, 1)
        check_word(value)
        put_head(self._tx, unit, WRITE_SINGLE, address, value)
        return self._begin(6, 0, WRITE_REPLY_LENGTH)

    def write_multiple(self, unit, address, values):
        """The request (memoryview) that sets len(values) holding registers, function 16."""
        count = len(values)
        check_target(unit, address, count, MAX_WRITE)
        for value in values:
            check_word(value)
        put_head(self._tx, unit, WRITE_MULTIPLE, address, count)
        self._tx[6] = 2 * count
        at = 7
        for value in values:
            put_word(self._tx, at, value)
            at += 2
        return self._begin(at, 0, WRITE_REPLY_LENGTH)

    def feed(self, data, count=None):
        """Takes the first `count` bytes of `data` (all without it). Returns the status."""
        size = len(data)
        if count is not None and count < size:
            size = count
        at = 0
        while at < size and self.status == PENDING:
            have = self._have
            take = self._need - have
            if take > size - at:
                take = size - at
            copy_bytes(self._rx, have, data, at, take)
            have += take
            at += take
            self._have = have
            if have >= self._need and not self._regular(have):
                self._judge(False)
        if at < size:
            self.discarded["trailing"] += size - at
        if self.status == PENDING:
            self.expected_bytes = max(self._start + self._length - self._have, 1)
        else:
            self.expected_bytes = 0
        return self.status

    def timeout(self):
        """The deadline has passed, or the line has been silent after bytes. Returns the status.

        DONE or FAILED with EXCEPTION are possible: a reply that only doubt about the bytes
        before it kept back is taken now.
        """
        if self.status == PENDING:
            self._judge(True)
        if self.status == PENDING:
            self._fail(self._diagnosis())
        self.expected_bytes = 0
        return self.status

    def _begin(self, length, count, reply):
        tx = self._tx
        length = put_crc(tx, length)
        self._tx_length = length
        self._count = count
        self._length = reply
        self._third = 2 * count
        if not count or self._local_echo or tx[2] == 2 * count:
            self._third = -1
        self._have = 0
        self._need = _HEADER
        self._base = 0
        self._start = 0
        self._echo_seen = False
        self._flaw = NONE
        self.error = NONE
        self.exception_code = 0
        self.register_count = 0
        self.expected_bytes = reply
        self.payload = self._payloads[0]
        self.status = PENDING
        if length not in self._requests:
            self._requests[length] = memoryview(tx)[:length]
        return self._requests[length]

    def _regular(self, have):
        """The short way of _judge: a read's reply that begins with the first byte received."""
        rx = self._rx
        tx = self._tx
        if self._start or rx[2] != self._third or rx[1] != tx[1] or rx[0] != tx[0]:
            return False
        length = self._length
        if have < length:
            self._need = length
            return True
        if not crc_fits(rx, 0, length):
            return False
        self._accept(0)
        return True

    def _judge(self, last):
        """Decides as far as the bytes allow, else sets `_need`. last: no more bytes will come."""
        need = RX_SIZE
        while self.status == PENDING and self._start <= self._base + MAX_STRAY:
            wanted = self._examine(self._start, self._have - self._start)
            if wanted > 0 and not last:
                need = self._start + wanted
                break
            if wanted != _AGAIN:
                self._start += 1
        if self.status == PENDING:
            self._judge_foreign(need)

    def _judge_foreign(self, need):
        """Refuses at once what is a whole frame but not the reply asked for."""
        end = self._foreign_end()
        if end and self._have == end and crc_fits(self._rx, self._base, end):
            self._fail(self._mismatch())
        elif self._have < end:
            self._need = min(need, end)
        elif need < RX_SIZE:
            self._need = need
        else:
            self._fail(self._diagnosis())

    def _examine(self, at, left):
        """What begins at `at`: bytes it needs in all (> 0), _NEXT or _AGAIN."""
        if left < _HEADER:
            return _HEADER
        if self._rx[at] != self._tx[0]:
            return _NEXT
        function = self._rx[at + 1]
        if function == self._tx[1] | EXCEPTION_FLAG:
            return self._examine_exception(at, left)
        if function != self._tx[1]:
            return _NEXT
        if self._local_echo and not self._echo_seen:
            return self._examine_echo(at, left)
        reply = self._examine_reply(at, left)
        if reply == _AGAIN:
            return _AGAIN
        echo = self._examine_echo(at, left)
        if reply > 0 and echo > 0:
            return min(reply, echo)
        return echo or reply

    def _examine_exception(self, at, left):
        if left < EXCEPTION_LENGTH:
            return EXCEPTION_LENGTH
        if not crc_fits(self._rx, at, at + EXCEPTION_LENGTH):
            self._flaw = CRC
            return _NEXT
        self.exception_code = self._rx[at + 2]
        self._fail(EXCEPTION)
        return _AGAIN

    def _examine_reply(self, at, left):
        if self._count:
            if self._rx[at + 2] != 2 * self._count:
                return _NEXT
        elif not self._repeats_request(at, min(left, 6)):
            return _NEXT
        if left < self._length:
            return self._length
        if not crc_fits(self._rx, at, at + self._length):
            self._flaw = CRC
            return _NEXT
        self._accept(at)
        return _AGAIN

    def _examine_echo(self, at, left):
        if self._echo_seen or not self._repeats_request(at, min(left, self._tx_length)):
            return _NEXT
        if left < self._tx_length:
            return self._tx_length
        self._echo_seen = True
        self.discarded["echo"] += 1
        self.discarded["stray"] += at - self._base
        self._base = at + self._tx_length
        self._start = self._base
        self._flaw = NONE
        return _AGAIN

    def _repeats_request(self, at, count):
        index = 0
        while index < count and self._rx[at + index] == self._tx[index]:
            index += 1
        return index >= count

    def _accept(self, at):
        if at:
            self.discarded["stray"] += at - self._base
            copy_bytes(self._rx, 0, self._rx, at, self._length)
        if self._count not in self._payloads:
            end = _HEADER + 2 * self._count
            self._payloads[self._count] = memoryview(self._rx)[_HEADER:end]
        self.payload = self._payloads[self._count]
        self.register_count = self._count
        self.status = DONE

    def _fail(self, error):
        self.error = error
        self.status = FAILED
        if SHORT <= error < EXCEPTION:
            self.discarded[ERROR_NAMES[error]] += 1

    def _foreign_end(self):
        """Where the frame at the base ends if it is a reply to some request; 0 if unknown."""
        if self._have - self._base < _HEADER:
            return 0
        length = reply_length(self._rx[self._base + 1], self._rx[self._base + 2])
        end = self._base + length
        return end if length and end <= RX_SIZE else 0

    def _mismatch(self):
        """How the whole frame at the base differs from the reply asked for."""
        if self._rx[self._base] != self._tx[0]:
            return WRONG_UNIT
        if self._rx[self._base + 1] != self._tx[1]:
            return WRONG_FUNCTION
        return WRONG_LENGTH if self._count else WRONG_CONTENT

    def _diagnosis(self):
        """The error that fits bytes which hold no reply and no whole foreign frame."""
        left = self._have - self._base
        if left == 0:
            return TIMEOUT
        if left > 4 and crc_fits(self._rx, self._base, self._have):
            return self._mismatch()  # a frame whose byte count lies about its length
        if self._flaw != NONE:
            return self._flaw
        if left < _HEADER:
            return SHORT
        begun = self._rx[self._base] == self._tx[0] and self._rx[self._base + 1] == self._tx[1]
        if left < self._length and (begun or left < EXCEPTION_LENGTH):
            return SHORT
        return CRC
