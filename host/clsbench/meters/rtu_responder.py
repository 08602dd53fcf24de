"""Modbus RTU from the slave's side: received bytes in, reply frames out. The quick counterpart of
the pymodbus server.

Knows frames, no line, no time and no meter: what a register holds comes from the units. A reply
is kept as long as its unit's `revision` stays, so that a repeated poll costs a look-up.
Sources: Modbus Application Protocol V1.1b3; Modbus over Serial Line V1.02, section 2.5.1.
"""

import struct
from collections.abc import Mapping
from typing import Protocol

READ_HOLDING, READ_INPUT, WRITE_SINGLE, WRITE_MULTIPLE = 3, 4, 6, 16
IDENTIFY, READ_DEVICE = 0x2B, 0x0E  # encapsulated interface transport, read device identification
EXCEPTION = 0x80
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MAX_READ, MAX_WRITE, MAX_FRAME = 125, 123, 256
BROADCAST = 0

_LENGTHS = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 43: 7}
_BYTE_COUNT_AT = {15: 6, 16: 6, 23: 10}  # what follows it is that many bytes and the CRC
_KEPT = 256  # replies; a master asks for a handful of ranges


class Unit(Protocol):
    """What answers under one address.

    revision: a number that changes when any register does; asked for before every reply.
    read gives 2 * count bytes or an exception code; write takes as many bytes and gives an
    exception code, 0 when done. objects: what function 43/14 tells, by object id.
    """

    @property
    def objects(self) -> Mapping[int, bytes]: ...
    def revision(self) -> int: ...
    def read(self, function: int, address: int, count: int) -> bytes | int: ...
    def write(self, address: int, data: bytes) -> int: ...


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; sent low byte first. Over a frame with its CRC it is 0."""
    crc, table = 0xFFFF, _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    """The frame of unit, function and data."""
    return body + crc16(body).to_bytes(2, "little")


def request_length(data: bytes) -> int | None:
    """Bytes of the request that `data` begins with; None while it does not show, 0 if unknown."""
    if len(data) < 2:
        return None
    function = data[1]
    at = _BYTE_COUNT_AT.get(function)
    if at is None:
        return _LENGTHS.get(function, 0)
    return at + 3 + data[at] if len(data) > at else None


class RtuResponder:
    """The slaves of one line.

    units: address (1 to 247) -> Unit. feed() takes what arrives, in any chunking, and gives
    (request, reply) for every whole request to one of them; the reply to a broadcast is empty.
    silence() tells that the line has been quiet for 3.5 characters: what is begun is given up.
    Total: no byte raises. discarded: reason -> number: "crc" runs of bytes that are no request,
    "torn" requests broken off, "foreign" whole requests to other addresses.
    """

    def __init__(self, units: Mapping[int, Unit]):
        self._units = dict(units)
        self._buffer = b""
        self._in_noise = False
        self._kept: dict[bytes, tuple[int, bytes]] = {}
        self.discarded = {"crc": 0, "torn": 0, "foreign": 0}
        self.requests = 0

    @property
    def pending(self) -> bool:
        """Whether a request has begun."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The exchanges that `data` completes, oldest first."""
        if not self._buffer:
            kept = self._kept.get(data)
            if kept is not None and kept[0] == self._units[data[0]].revision():
                self.requests += 1
                self._in_noise = False
                return [(data, kept[1])]
        self._buffer += data
        found: list[tuple[bytes, bytes]] = []
        while self._buffer and self._take(found):
            pass
        return found

    def silence(self) -> list[tuple[bytes, bytes]]:
        """The line is quiet. A whole request of an unknown function is refused only now."""
        buffer, self._buffer = self._buffer, b""
        self._in_noise = False
        if len(buffer) >= 4 and request_length(buffer) == 0 and crc16(buffer) == 0:
            exchange = self._exchange(buffer)
            return [exchange] if exchange else []
        if buffer:
            self.discarded["torn"] += 1
        return []

    def _take(self, found: list[tuple[bytes, bytes]]) -> bool:
        """Settles the first request or noise byte of the buffer; False: more bytes are needed."""
        buffer = self._buffer
        length = request_length(buffer)
        if length is None or len(buffer) < length:
            return False
        if not length and len(buffer) <= MAX_FRAME and self._is_ours(buffer):
            return False  # only silence tells where it ends
        frame = buffer[:length]
        if not length or length > MAX_FRAME or crc16(frame):
            self._buffer = buffer[1:]
            self.discarded["crc"] += not self._in_noise
            self._in_noise = True
            return True
        self._buffer = buffer[length:]
        self._in_noise = False
        exchange = self._exchange(frame)
        if exchange:
            found.append(exchange)
        return True

    def _is_ours(self, buffer: bytes) -> bool:
        return buffer[0] in self._units and not buffer[1] & EXCEPTION

    def _exchange(self, request: bytes) -> tuple[bytes, bytes] | None:
        if request[0] == BROADCAST:
            self.requests += 1
            for unit in self._units.values():
                _body(unit, request)
            return request, b""
        unit = self._units.get(request[0])
        if unit is None:
            self.discarded["foreign"] += 1
            return None
        self.requests += 1
        revision = unit.revision()
        body = _body(unit, request)
        if isinstance(body, int):
            body = bytes((request[1] | EXCEPTION, body))
        reply = with_crc(request[:1] + body)
        if request[1] in (READ_HOLDING, READ_INPUT):
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[request] = revision, reply
        return request, reply


def _body(unit: Unit, request: bytes) -> bytes | int:
    """Function and data of the reply, or the exception code."""
    function = request[1]
    if function in (READ_HOLDING, READ_INPUT):
        address, count = struct.unpack_from(">HH", request, 2)
        if not 1 <= count <= MAX_READ:
            return ILLEGAL_VALUE
        data = unit.read(function, address, count)
        return data if isinstance(data, int) else bytes((function, len(data))) + data
    if function == WRITE_SINGLE:
        return unit.write(*_single(request)) or request[1:6]
    if function == WRITE_MULTIPLE:
        address, count, size = struct.unpack_from(">HHB", request, 2)
        if not 1 <= count <= MAX_WRITE or size != 2 * count:
            return ILLEGAL_VALUE
        return unit.write(address, request[7 : 7 + size]) or request[1:6]
    if function == IDENTIFY and request[2] == READ_DEVICE and unit.objects:
        return _identify(unit.objects, request[3], request[4])
    return ILLEGAL_FUNCTION


def _single(request: bytes) -> tuple[int, bytes]:
    return int.from_bytes(request[2:4], "big"), request[4:6]


def _identify(objects: Mapping[int, bytes], code: int, first: int) -> bytes | int:
    """Function 43/14, section 6.21: basic (1), regular (2), extended (3) as a stream, 4 single."""
    if code not in (1, 2, 3, 4):
        return ILLEGAL_VALUE
    if code == 4 and first not in objects:
        return ILLEGAL_ADDRESS
    last = {1: 2, 2: 0x7F, 3: 0xFF, 4: first}[code]
    chosen = {number: text for number, text in objects.items() if number <= last}
    if code == 4:
        chosen = {first: objects[first]}
    elif first in chosen:
        chosen = {number: text for number, text in chosen.items() if number >= first}
    head = bytes((IDENTIFY, READ_DEVICE, code, 0x82 if max(objects) > 2 else 0x81, 0, 0))
    listed = b"".join(bytes((n, len(text))) + text for n, text in sorted(chosen.items()))
    return head + bytes((len(chosen),)) + listed


class RegisterStore:
    """A unit of plain holding and input registers, all writable: what a controlled device has.

    holding: address -> word; input registers show the same words. Addresses not in it are refused.
    """

    def __init__(self, holding: Mapping[int, int], objects: Mapping[int, bytes] | None = None):
        self.words = dict(holding)
        self.objects = dict(objects or {})
        self._revision = 0

    def revision(self) -> int:
        return self._revision

    def read(self, function: int, address: int, count: int) -> bytes | int:
        try:
            return struct.pack(f">{count}H", *(self.words[address + n] for n in range(count)))
        except KeyError:
            return ILLEGAL_ADDRESS

    def write(self, address: int, data: bytes) -> int:
        words = struct.unpack(f">{len(data) // 2}H", data)
        if any(address + n not in self.words for n in range(len(words))):
            return ILLEGAL_ADDRESS
        self.words.update({address + n: word for n, word in enumerate(words)})
        self._revision += 1
        return 0
