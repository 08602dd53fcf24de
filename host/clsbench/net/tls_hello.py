"""Reads the first message of a TLS handshake: a ClientHello, or a ServerHello.

Total: every input gives a hello, None (more bytes are needed) or HelloUnreadable. Knows no rule.
Source: RFC 5246 sections 6.2.1 and 7.4.1, RFC 8446 section 4, RFC 6066 section 3.
"""

from dataclasses import dataclass, field

MAX_HELLO = 65_536

EXT_SERVER_NAME = 0
EXT_TRUNCATED_HMAC = 4
EXT_GROUPS = 10
EXT_POINT_FORMATS = 11
EXT_SIGNATURES = 13
EXT_ENCRYPT_THEN_MAC = 22
EXT_EARLY_DATA = 42
EXT_VERSIONS = 43
EXT_KEY_SHARE = 51
EXT_RENEGOTIATION = 0xFF01

_HANDSHAKE = 22
_RANDOM, _SESSION_ID = 11, 43  # where they begin in a hello's first record
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_RECORD_HEADER = 5
_SSL2 = 0x80


class HelloUnreadable(ValueError):
    """The bytes begin no TLS handshake."""


@dataclass(frozen=True)
class ClientHello:
    """What a client offers, by number as on the wire; server_name: "" when there is none.

    versions: offered ones, highest first (by supported_versions, else the legacy field).
    """

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    compressions: tuple[int, ...]
    extensions: dict[int, bytes] = field(repr=False)

    @property
    def groups(self) -> tuple[int, ...]:
        """Curves offered, () when the client does not say."""
        return _shorts(self.extensions.get(EXT_GROUPS, b"")[2:])

    @property
    def signatures(self) -> tuple[int, ...]:
        """Signature schemes offered, () when the client does not say."""
        return _shorts(self.extensions.get(EXT_SIGNATURES, b"")[2:])

    @property
    def point_formats(self) -> tuple[int, ...]:
        """Forms of points, (0,) = uncompressed, when the client does not say."""
        return tuple(self.extensions.get(EXT_POINT_FORMATS, b"\x01\x00")[1:])

    @property
    def server_name(self) -> str:
        """The one name of type host_name."""
        reader = _Reader(self.extensions.get(EXT_SERVER_NAME, b""))
        try:
            names = _Reader(reader.vector(2))
            if names.number(1) == 0:
                return names.vector(2).decode("ascii", "replace")
        except HelloUnreadable:
            return ""
        return ""


@dataclass(frozen=True)
class ServerHello:
    """What a server chose."""

    version: int
    random: bytes
    suite: int
    compression: int
    extensions: dict[int, bytes] = field(repr=False)


def client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the start of a stream. Raises HelloUnreadable."""
    if data and data[0] & _SSL2 and data[2:3] == b"\x01":
        return ClientHello((0x0002,), (), (), {})
    body = _message(data, _CLIENT_HELLO)
    if body is None:
        return None
    legacy, suites, compressions = body.number(2), b"", b""
    body.take(32)
    body.vector(1)
    suites, compressions = body.vector(2), body.vector(1)
    extensions = _extensions(body)
    versions = _shorts(extensions.get(EXT_VERSIONS, b"")[1:]) or (legacy,)
    ordered = tuple(sorted((v for v in versions if v & 0x0F0F != 0x0A0A), reverse=True))
    return ClientHello(ordered, _shorts(suites), tuple(compressions), extensions)


def form_of(data: bytes) -> bytes:
    """A ClientHello without its random and session id, which no rule looks at.

    b"" unless `data` is one record. Two readable hellos of one form differ in nothing else.
    """
    if len(data) <= _SESSION_ID or int.from_bytes(data[3:5], "big") != len(data) - _RECORD_HEADER:
        return b""
    return data[:_RANDOM] + data[_SESSION_ID + 1 + data[_SESSION_ID] :]


def server_hello(data: bytes) -> ServerHello | None:
    """The ServerHello at the start of a stream. Raises HelloUnreadable."""
    body = _message(data, _SERVER_HELLO)
    if body is None:
        return None
    version, random = body.number(2), body.take(32)
    body.vector(1)
    suite, compression = body.number(2), body.number(1)
    extensions = _extensions(body)
    chosen = extensions.get(EXT_VERSIONS, b"")
    if len(chosen) == 2:
        version = int.from_bytes(chosen, "big")
    return ServerHello(version, random, suite, compression, extensions)


class _Reader:
    """Takes fields off the front. Raises HelloUnreadable where there are too few bytes."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if self.left < count:
            raise HelloUnreadable("hello is cut short")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def _message(data: bytes, kind: int) -> _Reader | None:
    """The body of the first handshake message, which may lie in several records."""
    message = b""
    at = 0
    while at + _RECORD_HEADER <= len(data):
        if data[at] != _HANDSHAKE or data[at + 1] != 3:
            raise HelloUnreadable("not a TLS handshake record")
        end = at + _RECORD_HEADER + int.from_bytes(data[at + 3 : at + 5], "big")
        message += data[at + _RECORD_HEADER : end]
        if message and message[0] != kind:
            raise HelloUnreadable(f"handshake message {message[0]} instead of {kind}")
        size = int.from_bytes(message[1:4], "big")
        if len(message) >= 4 and len(message) - 4 >= size:
            return _Reader(message[4 : 4 + size])
        if size > MAX_HELLO:
            raise HelloUnreadable(f"hello of {size} bytes")
        at = end
    if data and data[0] != _HANDSHAKE:
        raise HelloUnreadable("not a TLS handshake record")
    return None


def _extensions(body: _Reader) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    if not body.left:
        return found
    inner = _Reader(body.vector(2))
    while inner.left:
        number = inner.number(2)
        found[number] = inner.vector(2)
    return found


def _shorts(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))
