"""Hellos written by hand, for what no library offers. Knows bytes and no rule.

Source: RFC 5246 section 7.4.1, RFC 8446 section 4.1, RFC 8422 section 5.4.
"""

import os

SUITES = (0xC02B, 0xC02C, 0xC023, 0xC024)
GROUPS = (26, 27, 23)
SIGNATURES = (0x0403, 0x0503, 0x0603)
SCSV = 0x00FF
TLS_12 = 0x0303
EMPTY_RENEGOTIATION = b"\x00"
BASEPOINT_P256 = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def shorts(numbers) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def record(kind: int, data: bytes, version: int = 0x0301) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + vector(2, data)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def client_hello(
    server_name: str,
    *,
    legacy: int = TLS_12,
    versions=(),
    suites=SUITES,
    groups=GROUPS,
    signatures=SIGNATURES,
    compressions: bytes = b"\x00",
    points: bytes = b"\x00",
    etm: bool = True,
    renegotiation: bytes = EMPTY_RENEGOTIATION,
    more: dict[int, bytes] | None = None,
) -> bytes:
    """A sound TLS 1.2 hello, but for what is given otherwise; a record."""
    extensions = {
        10: vector(2, shorts(groups)),
        11: vector(1, points),
        13: vector(2, shorts(signatures)),
        0xFF01: renegotiation,
    }
    if server_name:
        extensions[0] = vector(2, b"\x00" + vector(2, server_name.encode()))
    if etm:
        extensions[22] = b""
    if versions:
        extensions[43] = vector(1, shorts(versions))
    extensions |= more or {}
    body = legacy.to_bytes(2, "big") + os.urandom(32) + vector(1, b"")
    body += vector(2, shorts(suites)) + vector(1, compressions)
    body += vector(2, b"".join(shorts([k]) + vector(2, v) for k, v in extensions.items()))
    return record(22, message(1, body), min(legacy, 0x0301))


def key_share(group: int = 23, point: bytes = BASEPOINT_P256) -> bytes:
    """Extension 51 of a TLS 1.3 client."""
    return vector(2, shorts([group]) + vector(2, point))


def ssl2_hello() -> bytes:
    """A client hello as SSL 2.0 had it."""
    specs, challenge = bytes.fromhex("0700c0030080010080"), os.urandom(16)
    body = b"\x01\x00\x02" + shorts([len(specs), 0, len(challenge)]) + specs + challenge
    return (0x8000 | len(body)).to_bytes(2, "big") + body


def server_hello(
    *,
    version: int = TLS_12,
    suite: int = 0xC02B,
    compression: int = 0,
    renegotiation: bytes | None = EMPTY_RENEGOTIATION,
    etm: bool = False,
    random: bytes | None = None,
    more: dict[int, bytes] | None = None,
) -> bytes:
    """A sound TLS 1.2 ServerHello, but for what is given otherwise; a record."""
    extensions: dict[int, bytes] = {11: b"\x01\x00"}
    if renegotiation is not None:
        extensions[0xFF01] = renegotiation
    if etm:
        extensions[22] = b""
    extensions |= more or {}
    body = version.to_bytes(2, "big") + (random or os.urandom(32)) + vector(1, b"")
    body += suite.to_bytes(2, "big") + bytes([compression])
    body += vector(2, b"".join(shorts([k]) + vector(2, v) for k, v in extensions.items()))
    return record(22, message(2, body), min(version, TLS_12))


def certificate(chain_der: list[bytes]) -> bytes:
    """The server's Certificate message; a record."""
    entries = b"".join(vector(3, der) for der in chain_der)
    return record(22, message(11, vector(3, entries)), TLS_12)


def server_key_exchange(group: int, point: bytes) -> bytes:
    """Names a curve; the signature is nonsense, for the curve is looked at first."""
    body = b"\x03" + shorts([group]) + vector(1, point)
    body += shorts([0x0403]) + vector(2, b"\x30\x06\x02\x01\x01\x02\x01\x01")
    return record(22, message(12, body), TLS_12)
