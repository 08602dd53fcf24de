"""SOCKS-TLS: what a CLS and its gateway say before bytes flow, and the frames around TLS records.

Sans-IO and total: any bytes in, in any chunking, give items or a fault, never an exception;
memory is bounded by MAX_FRAME. Both ends use it. Knows no TLS: records pass through as bytes,
told apart by the type in their header (TLS 1.2, where the type is in the clear).
Order: greeting and method in the clear, frames with TLS inside, in that TLS request and reply,
then the proxied bytes.
Sources: BSI Detailspezifikationen 2.0, chapter 11; RFC 1928; draft-ietf-aft-socks-ssl-00 (frame:
version, state, length of two bytes).
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

METHOD_TLS = 0x06
NO_METHOD = 0xFF

# replies
OK = 0x00
NO_PROFILE = 0x02
WAN_TIMED_OUT = 0x04
WAN_REFUSED = 0x05
NOT_SUPPORTED = 0x07  # a command other than CONNECT (RFC 1928)
ADDRESS_TYPE = 0x08  # an address type nobody knows (RFC 1928)

# states of a frame
HANDSHAKE = 0x01
OPTIONS = 0x02
DATA = 0x03
CLOSING = 0x04

CLOSED_WITHIN_S = 5.0  # answer to a closing handshake, and the end of TCP
REFUSED_CLOSED_WITHIN_S = 10.0  # end of TLS after a reply other than OK
RETRY_MIN_S, RETRY_MAX_S = 5.0, 60.0  # of the CLS after a refusal: a random pause in between

MAX_RECORD = 16384 + 2048  # of a TLS record's body (RFC 5246, 6.2.3)
MAX_FRAME = MAX_RECORD + 5
MAX_NAME = 63

_SOCKS = 0x05
_CONNECT = 0x01
_IPV4, _DOMAIN, _IPV6 = 0x01, 0x03, 0x04
_FRAME_VERSION = 0x01
_HEAD = struct.Struct(">BBH")  # of a frame: version, state, length
_FRAME_HEAD, _RECORD_HEAD = _HEAD.size, 5
_CHANGE_CIPHER_SPEC, _ALERT, _APPLICATION = 20, 21, 23
_NAME = re.compile(r"[0-9a-z.-]{1,63}")


@dataclass(frozen=True)
class Fault:
    """What came is no SOCKS-TLS; nothing behind it is looked at."""

    reason: str


@dataclass(frozen=True)
class Greeting:
    """What methods the client offers."""

    methods: tuple[int, ...]


@dataclass(frozen=True)
class Chosen:
    """The method the server chose."""

    method: int


@dataclass(frozen=True)
class Request:
    """CONNECT. host: as sent, a domain name or an IP address in text; named: a domain name."""

    host: str
    port: int
    named: bool


@dataclass(frozen=True)
class Unsupported:
    """A request that is whole but asks for what is not offered; reply: what to answer."""

    reply: int
    reason: str


@dataclass(frozen=True)
class Reply:
    """The gateway's answer: OK, NO_PROFILE, WAN_TIMED_OUT, WAN_REFUSED or another of RFC 1928."""

    code: int


Item = Fault | Greeting | Chosen | Request | Unsupported | Reply
Parsed = tuple[Item, int] | None  # None: more bytes are needed
Parse = Callable[[bytes], Parsed]


def is_server_name(name: str) -> bool:
    """Whether a proxy profile may be called by it: 1 to 63 of 0-9, a-z, hyphen and dot."""
    return _NAME.fullmatch(name) is not None


def greeting() -> bytes:
    """The client's first bytes: TLS and nothing else."""
    return bytes((_SOCKS, 1, METHOD_TLS))


def chosen(method: int) -> bytes:
    """The server's choice."""
    return bytes((_SOCKS, method))


def choice(offered: Greeting) -> int:
    """METHOD_TLS where it is offered, else NO_METHOD."""
    return METHOD_TLS if METHOD_TLS in offered.methods else NO_METHOD


def request(name: str, port: int = 0) -> bytes:
    """CONNECT to a proxy profile. Raises ValueError for a name that none can have."""
    if not is_server_name(name):
        raise ValueError(f"server name '{name}': 1 to 63 of 0-9, a-z, hyphen, dot")
    data = name.encode("ascii")
    head = bytes((_SOCKS, _CONNECT, 0, _DOMAIN, len(data)))
    return head + data + port.to_bytes(2, "big")


def reply(code: int) -> bytes:
    """The answer; BND.ADDR and BND.PORT are zero and mean nothing."""
    return bytes((_SOCKS, code, 0, _IPV4)) + bytes(6)


class Once:
    """Collects the bytes of one item; what came behind it is `rest`.

    parse: parse_greeting, parse_chosen, parse_request or parse_reply.
    """

    def __init__(self, parse: Parse):
        self.rest = b""
        self._parse = parse
        self._buffer = b""

    def feed(self, data: bytes) -> Item | None:
        """The item, once it is whole. Not to be called again then."""
        self._buffer += data
        parsed = self._parse(self._buffer)
        if parsed is None:
            return None
        item, end = parsed
        self.rest, self._buffer = self._buffer[end:], b""
        return item


def parse_greeting(data: bytes) -> Parsed:
    """Greeting of a client, at the start of `data`."""
    if data[:1] not in (b"", bytes((_SOCKS,))):
        return Fault(f"SOCKS version {data[0]}, expected 5"), len(data)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    if not data[1]:
        return Fault("no method offered"), len(data)
    return Greeting(tuple(data[2 : 2 + data[1]])), 2 + data[1]


def parse_chosen(data: bytes) -> Parsed:
    """Method chosen by a server."""
    if data[:1] not in (b"", bytes((_SOCKS,))):
        return Fault(f"SOCKS version {data[0]}, expected 5"), len(data)
    return None if len(data) < 2 else (Chosen(data[1]), 2)


def parse_request(data: bytes) -> Parsed:
    """Request of a client."""
    fault, end = _address_end(data, "request")
    if fault is not None:
        if len(data) < 4 or data[0] != _SOCKS:
            return fault, len(data)
        return Unsupported(ADDRESS_TYPE, fault.reason), len(data)
    if end is None or len(data) < end + 2:
        return None
    if data[1] != _CONNECT:
        return Unsupported(NOT_SUPPORTED, f"command {data[1]}, only CONNECT is served"), end + 2
    port = int.from_bytes(data[end : end + 2], "big")
    named = data[3] == _DOMAIN
    host = data[5:end].decode("latin-1") if named else str(ip_address(data[4:end]))
    return Request(host, port, named), end + 2


def parse_reply(data: bytes) -> Parsed:
    """Reply of a server; its address is read over."""
    fault, end = _address_end(data, "reply")
    if fault is not None:
        return fault, len(data)
    return None if end is None or len(data) < end + 2 else (Reply(data[1]), end + 2)


def _address_end(data: bytes, what: str) -> tuple[Fault | None, int | None]:
    if data and data[0] != _SOCKS:
        return Fault(f"SOCKS version {data[0]} in the {what}, expected 5"), None
    if len(data) < 5:
        known = len(data) < 4 or data[3] in (_IPV4, _DOMAIN, _IPV6)
        return None if known else Fault(f"address type {data[3]} in the {what}"), None
    if data[3] == _DOMAIN:
        return None, 5 + data[4]
    if data[3] in (_IPV4, _IPV6):
        return None, 8 if data[3] == _IPV4 else 20
    return Fault(f"address type {data[3]} in the {what}"), None


# ---- frames ----


def frame(state: int, content: bytes = b"") -> bytes:
    """One frame. content: at most MAX_FRAME bytes."""
    return _HEAD.pack(_FRAME_VERSION, state, len(content)) + content


class Framer:
    """Puts TLS's outgoing bytes into frames, one whole record in each.

    Records before the change to encryption are the handshake's, as is the one right behind it
    (Finished); an alert under encryption closes.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._ciphered = False

    def parts(self, data: bytes) -> list[bytes | memoryview]:
        """Of each record that is whole by now: its frame's head, and the record."""
        view = memoryview(self._buffer + data if self._buffer else data)
        found: list[bytes | memoryview] = []
        at, left = 0, len(view)
        while left >= _RECORD_HEAD:
            size = _RECORD_HEAD + (view[at + 3] << 8 | view[at + 4])
            if size > left:
                break
            found += _HEAD.pack(_FRAME_VERSION, self._state(view[at]), size), view[at : at + size]
            at, left = at + size, left - size
        self._buffer = bytes(view[at:])
        return found

    def _state(self, kind: int) -> int:
        if kind == _CHANGE_CIPHER_SPEC:
            self._ciphered = True
        if kind == _APPLICATION:
            return DATA
        return CLOSING if kind == _ALERT and self._ciphered else HANDSHAKE


class FrameReceiver:
    """Takes frames apart, in any chunking. `fault`: why it stopped, else None.

    Source of the order: handshake, then data, then closing, and never back.
    """

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.closing = False  # the other side's closing handshake has begun
        self._head = b""  # of a frame that has just begun
        self._state = HANDSHAKE
        self._left = 0  # bytes of the frame at hand

    def parts(self, data: bytes | memoryview) -> list[memoryview]:
        """What the frames carried: TLS's incoming bytes. Nothing more behind a fault."""
        view = memoryview(self._head + bytes(data) if self._head else data)
        self._head = b""
        found: list[memoryview] = []
        at, end = 0, len(view)
        while self.fault is None and at < end:
            if self._left:
                part = view[at : at + self._left]
                found.append(part)
                at += len(part)
                self._left -= len(part)
            elif end - at < _FRAME_HEAD:
                self._head = bytes(view[at:])
                break
            else:
                self._begin(*_HEAD.unpack_from(view, at))
                at += _FRAME_HEAD
        return found

    def _begin(self, version: int, state: int, size: int) -> None:
        reason = ""
        if version != _FRAME_VERSION:
            reason = f"frame of version {version}, expected 1"
        elif state not in (HANDSHAKE, DATA, CLOSING):
            reason = f"frame of state {state}: handshake, data or closing expected"
        elif state < self._state:
            reason = f"frame of state {state} behind one of state {self._state}"
        elif size > MAX_FRAME:
            reason = f"frame of {size} bytes, at most {MAX_FRAME}"
        if reason:
            self.fault = Fault(reason)
            return
        self._state, self._left = state, size
        self.closing = self.closing or state == CLOSING
