"""Modbus RTU client (the master's side): a request out, received bytes in, one verdict.

Knows one transaction at a time. Has no clock: the caller keeps the silence before a request
(`silence_us`), sets the deadline, and says when it has passed (`timeout`).
A request allocates nothing on the heap once each size of reply has been seen.
"""

from dicamm.proto.modbus_loops import copy_bytes, put_read, take_reply
from dicamm.proto.modbus_pdu import (
    CRC,
    DONE,
    ERROR_NAMES,
    EXCEPTION,
    EXCEPTION_FLAG,
    EXCEPTION_LENGTH,
    FAILED,
    IDLE,
    MAX_FRAME,
    NONE,
    PENDING,
    READ_OVERHEAD,
    SHORT,
    TIMEOUT,
    WRITE_REPLY_LENGTH,
    WRONG_CONTENT,
    WRONG_FUNCTION,
    WRONG_LENGTH,
    WRONG_UNIT,
    crc_fits,
    mismatch,
    put_crc,
    put_write_multiple,
    put_write_single,
    reply_length,
    same_bytes,
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

MAX_STRAY = const(4)  # foreign bytes borne before a reply
RX_SIZE = const(288)  # twice MAX_STRAY, the longest echo or reply (255), the shorter other

_ALL = const(0x10000)
_PENDING = const(
    1
)  # PENDING and DONE once more: inlined, which const() does in its own module only
_DONE = const(2)
_HEADER = const(3)  # bytes after which a frame can be told from another
_NEXT = const(0)  # no reply begins here
_AGAIN = const(-1)  # look again: settled, or an echo was passed

_len = len  # MicroPython finds a global at once, a builtin after a search


def _take_nothing(request, data, kept, size, count):
    """Stands for take_reply where every reply has an echo before it."""
    return 0


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
    # stores; functions of at most 11 words (arguments, locals, stack), which take no heap. A
    # regular transaction sets three attributes; what else there is changes in _expect.

    def __init__(self, local_echo=False):
        self.discarded = {"stray": 0, "trailing": 0, "echo": 0}
        for error in range(SHORT, EXCEPTION):
            self.discarded[ERROR_NAMES[error]] = 0
        self.status = IDLE
        self._local_echo = local_echo
        self._take = _take_nothing if local_echo else take_reply
        self._tx = bytearray(MAX_FRAME)
        self._rx = bytearray(RX_SIZE)
        self._request = memoryview(self._tx)[:8]
        self._requests = {8: self._request}  # length -> view
        self._nothing = memoryview(self._rx)[:0]
        self._payloads = {0: self._nothing}  # registers -> view
        # _fresh: registers of a read that no byte has come for yet, else 0
        # _usual: registers of the last read if its reply was regular, else -1
        # _count: registers asked for, 0 for a write; _length: of the regular reply
        # _view: where its registers will stand; _tx_length: of the request
        self._expect(0, 0)
        self._restart()

    def read(self, unit, function, address, count):
        """The request (memoryview) for `count` registers; function 3 or 4."""
        if (unit | function | address | count) >> 16 or not put_read(
            self._tx, unit, function, address, count
        ):
            raise ValueError("Modbus read: unit 1..247, function 3 or 4, address, count 1..125")
        if count != self._usual:
            self._expect(count, READ_OVERHEAD + 2 * count)
        self._fresh = count
        self.payload = self._nothing
        self.status = _PENDING
        return self._request

    def write_single(self, unit, address, value):
        """The request (memoryview) that sets one holding register, function 6."""
        return self._write(unit, put_write_single(self._tx, 0, unit, address, value))

    def write_multiple(self, unit, address, values):
        """The request (memoryview) that sets len(values) holding registers, function 16."""
        return self._write(unit, put_write_multiple(self._tx, 0, unit, address, values))

    def feed(self, data, count=_ALL):
        """Takes the first `count` bytes of `data` (all without it). Returns the status."""
        size = _len(data)
        if count < size:
            size = count
        if self._fresh:
            if self._take(self._tx, data, self._rx, size, self._fresh):
                self._fresh = 0
                self.payload = self._view
                self.status = _DONE
                return _DONE
            self._restart()
        return self._feed_slowly(data, size)

    def timeout(self):
        """The deadline has passed, or the line has been silent after bytes. Returns the status.

        DONE or FAILED with EXCEPTION are possible: a reply that only doubt about the bytes
        before it kept back is taken now.
        """
        if self._fresh:
            self._restart()
        if self.status == PENDING:
            self._judge(True)
        if self.status == PENDING:
            self._fail(self._diagnosis())
        return self.status

    def _write(self, unit, length):
        if not 1 <= unit <= 247:
            raise ValueError("Modbus unit 1..247")  # 0 is a broadcast, which has no reply
        length = put_crc(self._tx, length)
        self._expect(0, WRITE_REPLY_LENGTH)
        self._restart()
        self._tx_length = length
        self.status = PENDING
        if length not in self._requests:
            self._requests[length] = memoryview(self._tx)[:length]
        return self._requests[length]

    def _expect(self, count, length):
        """Makes ready for replies of this length: when it changes, and after anything odd."""
        if count not in self._payloads:
            self._payloads[count] = memoryview(self._rx)[_HEADER : _HEADER + 2 * count]
        self._view = self._payloads[count]
        self._usual = count
        self._count = count
        self._length = length
        self._tx_length = 8
        self.expected_bytes = length
        self.error = NONE
        self.exception_code = 0

    def _restart(self):
        """No byte has come yet, and no regular reply in one piece is to be had any more."""
        self._fresh = 0
        self._usual = -1
        self._have = 0  # bytes received
        self._need = _HEADER  # the count of bytes at which the next decision can fall
        self._base = 0  # where the reply may begin: behind the echo
        self._start = 0  # where it is looked for now
        self._echo_seen = False
        self._flaw = NONE  # the best explanation so far
        self.payload = self._nothing

    def _feed_slowly(self, data, size):
        at = 0
        while at < size and self.status == PENDING:
            take = self._need - self._have
            if take > size - at:
                take = size - at
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
        """The short way of _judge: a read's reply that begins with the first byte received."""
        rx = self._rx
        tx = self._tx
        if self._start or rx[2] != 2 * self._count or rx[1] != tx[1] or rx[0] != tx[0]:
            return False
        if not self._count or self._local_echo or tx[2] == 2 * self._count:
            return False  # a write, or an echo would begin like its reply
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
            self._fail(mismatch(self._rx, self._base, self._tx, 0, self._count))
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
        elif not same_bytes(self._rx, at, self._tx, 0, min(left, 6)):
            return _NEXT
        if left < self._length:
            return self._length
        if not crc_fits(self._rx, at, at + self._length):
            self._flaw = CRC
            return _NEXT
        self._accept(at)
        return _AGAIN

    def _examine_echo(self, at, left):
        length = self._tx_length
        if self._echo_seen or not same_bytes(self._rx, at, self._tx, 0, min(left, length)):
            return _NEXT
        if left < length:
            return length
        self._echo_seen = True
        self.discarded["echo"] += 1
        self.discarded["stray"] += at - self._base
        self._base = at + length
        self._start = self._base
        self._flaw = NONE
        return _AGAIN

    def _accept(self, at):
        if at:
            self.discarded["stray"] += at - self._base
            copy_bytes(self._rx, 0, self._rx, at, self._length)
        self.payload = self._view
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

    def _diagnosis(self):
        """The error that fits bytes which hold no reply and no whole foreign frame."""
        left = self._have - self._base
        if left == 0:
            return TIMEOUT
        if left > 4 and crc_fits(self._rx, self._base, self._have):
            # a frame whose byte count lies about its length
            return mismatch(self._rx, self._base, self._tx, 0, self._count)
        if self._flaw != NONE:
            return self._flaw
        if left < _HEADER:
            return SHORT
        begun = self._rx[self._base] == self._tx[0] and self._rx[self._base + 1] == self._tx[1]
        if left < self._length and (begun or left < EXCEPTION_LENGTH):
            return SHORT
        return CRC
