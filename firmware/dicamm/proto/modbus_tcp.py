"""Modbus/TCP client (the master's side): a request out, received bytes in, one verdict.

Knows one transaction at a time and the stream it runs on; the connection itself, deadlines and
reconnecting belong to the caller. Same verdicts and limits as modbus.py, whose CRC the stream
does not need and whose doubts it does not have: frames are numbered, and told apart by length.
Source: Modbus Messaging on TCP/IP V1.0b (section 3.1.3: MBAP header).
"""

from dicamm.proto.modbus_judge import mismatch, same_bytes
from dicamm.proto.modbus_loops import copy_bytes
from dicamm.proto.modbus_pdu import (
    CRC,
    DONE,
    ERROR_NAMES,
    EXCEPTION,
    FAILED,
    IDLE,
    MAX_READ,
    NONE,
    PENDING,
    READ_HOLDING,
    READ_INPUT,
    SHORT,
    TIMEOUT,
    WRONG_LENGTH,
)
from dicamm.proto.modbus_write import (
    check_target,
    put_head,
    put_word,
    put_write_multiple,
    put_write_single,
)

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


PORT = const(502)
MAX_ADU = const(260)  # MBAP header 7, PDU 253

_UNIT = const(6)  # where the unit stands, which `length` begins to count
_PDU_MIN = const(3)  # unit, function, one byte: the shortest reply, an exception
_PDU_MAX = const(254)


class TcpClient:
    """One request and its reply at a time, on one connection.

    read() or write_...() gives the bytes to send; feed() takes what arrives, in any chunking,
    and tells PENDING, DONE or FAILED; timeout() ends the waiting. Give feed() whatever arrives at
    any time: a reply that comes too late is told by its number and dropped.

    error: as in modbus.py; CRC stands for bytes that are no Modbus/TCP. `broken` is true then:
    the frames can not be found again, close the connection and call connected() for the next.
    expected_bytes: while PENDING, missing to the next decision. payload: the register bytes
    (memoryview) after DONE, valid until the next request. discarded: "stale" counts replies to
    requests given up, "trailing" bytes on a broken stream, the others refused replies.
    Total: no received byte raises. ValueError only for a request that Modbus cannot say.
    """

    def __init__(self):
        self.discarded = {"stale": 0, "trailing": 0}
        for error in range(SHORT, EXCEPTION):
            self.discarded[ERROR_NAMES[error]] = 0
        self.status = IDLE
        self.error = NONE
        self.exception_code = 0
        self.expected_bytes = 0
        self._tx = bytearray(MAX_ADU)
        self._rx = bytearray(MAX_ADU)
        self._kept = bytearray(2 * MAX_READ)
        self._nothing = memoryview(self._kept)[:0]
        self.payload = self._nothing
        self._number = 0  # of the transaction
        self._count = 0  # registers asked for; 0 for a write
        self.connected()

    def connected(self):
        """A new connection: nothing of the old one will come any more."""
        self.broken = False
        self._have = 0
        self._need = _UNIT

    def read(self, unit, function, address, count):
        """The request (memoryview) for `count` registers; function 3 or 4, unit 0..255."""
        if function != READ_HOLDING and function != READ_INPUT:
            raise ValueError("Modbus read function 3 or 4")
        check_target(address, count, MAX_READ)
        return self._begin(unit, put_head(self._tx, _UNIT, unit, function, address, count), count)

    def write_single(self, unit, address, value):
        """The request (memoryview) that sets one holding register, function 6."""
        return self._begin(unit, put_write_single(self._tx, _UNIT, unit, address, value), 0)

    def write_multiple(self, unit, address, values):
        """The request (memoryview) that sets len(values) holding registers, function 16."""
        return self._begin(unit, put_write_multiple(self._tx, _UNIT, unit, address, values), 0)

    def feed(self, data, count=0x10000):
        """Takes the first `count` bytes of `data` (all without it). Returns the status."""
        size = min(len(data), max(count, 0))
        at = 0
        while at < size and not self.broken:
            take = min(self._need - self._have, size - at)
            copy_bytes(self._rx, self._have, data, at, take)
            at += take
            self._have += take
            if self._have == self._need:
                self._advance()
        self.discarded["trailing"] += size - at
        self.expected_bytes = self._need - self._have
        return self.status

    def timeout(self):
        """The deadline has passed. Returns the status."""
        if self.status == PENDING:
            self._fail(SHORT if self._have else TIMEOUT)
        return self.status

    def _begin(self, unit, end, count):
        if not 0 <= unit <= 255:
            raise ValueError("Modbus/TCP unit 0..255")
        tx = self._tx
        self._number = (self._number + 1) & 0xFFFF
        put_word(tx, 0, self._number)
        put_word(tx, 2, 0)
        put_word(tx, 4, end - _UNIT)
        self._count = count
        self.error = NONE
        self.exception_code = 0
        self.payload = self._nothing
        self.status = PENDING
        self.expected_bytes = self._need - self._have
        if self.broken:
            self._fail(CRC)
        return memoryview(tx)[:end]

    def _advance(self):
        """The header or the whole frame is there."""
        rx = self._rx
        if self._have == _UNIT:
            length = rx[4] << 8 | rx[5]
            if rx[2] or rx[3] or not _PDU_MIN <= length <= _PDU_MAX:
                self.broken = True
                if self.status == PENDING:
                    self._fail(CRC)
            else:
                self._need = _UNIT + length
            return
        if self.status == PENDING and same_bytes(rx, 0, self._tx, 0, 2):
            self._judge(self._have - _UNIT)
        else:
            self.discarded["stale"] += 1
        self._have = 0
        self._need = _UNIT

    def _judge(self, length):
        """Takes or refuses the reply to the present request: `length` bytes from _UNIT on."""
        rx = self._rx
        tx = self._tx
        count = self._count
        same_unit = rx[_UNIT] == tx[_UNIT]
        if same_unit and rx[_UNIT + 1] == tx[_UNIT + 1] | 0x80:
            if length == _PDU_MIN:
                self.exception_code = rx[_UNIT + 2]
                self._fail(EXCEPTION)
            else:
                self._fail(WRONG_LENGTH)
        elif not same_unit or rx[_UNIT + 1] != tx[_UNIT + 1]:
            self._fail(mismatch(rx, _UNIT, tx, _UNIT, count))
        elif length != (3 + 2 * count if count else 6) or count and rx[_UNIT + 2] != 2 * count:
            self._fail(WRONG_LENGTH)
        elif not count and not same_bytes(rx, _UNIT, tx, _UNIT, 6):
            self._fail(mismatch(rx, _UNIT, tx, _UNIT, 0))
        else:
            copy_bytes(self._kept, 0, rx, _UNIT + 3, 2 * count)  # more may come behind it
            self.payload = memoryview(self._kept)[: 2 * count]
            self.status = DONE

    def _fail(self, error):
        self.error = error
        self.status = FAILED
        if SHORT <= error < EXCEPTION:
            self.discarded[ERROR_NAMES[error]] += 1
