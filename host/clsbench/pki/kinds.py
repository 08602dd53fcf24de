"""What certificates of one kind have in common, read from their bytes alone.

An authority's certificates for control boxes differ in serial number, times, name and key, and
in nothing that a rule of `pki.rules` asks but the times. Whoever has judged one of a kind knows
the rest of the kind. Only a plain kind is known here: one common name, an uncompressed point on
a named curve, a key identifier of 20 bytes, one DNS name; of any other there is no kind.
Total: any bytes give a kind or None. Knows no rule. Source: RFC 5280 section 4.1, RFC 5480.
"""

import re
from dataclasses import dataclass

_SEQUENCE, _SET, _OCTETS, _UTF8 = 0x30, 0x31, 0x04, 0x0C
_VERSION, _EXTENSIONS, _DNS_NAME = 0xA0, 0xA3, 0x82
_COMMON_NAME = bytes.fromhex("0603550403")
_KEY_IDENTIFIER = bytes.fromhex("0603551d0e")
_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_PLAIN = re.compile(rb"[A-Za-z0-9.-]{1,64}")
_KEYS = tuple(  # all of a SubjectPublicKeyInfo but the coordinates, and their bytes
    (bytes.fromhex(head), size)
    for head, size in (
        ("3059301306072a8648ce3d020106082a8648ce3d03010703420004", 64),  # secp256r1
        ("3076301006072a8648ce3d020106052b8104002203620004", 96),  # secp384r1
        ("305a301406072a8648ce3d020106092b240303020801010703420004", 64),  # brainpoolP256r1
        ("307a301406072a8648ce3d020106092b240303020801010b03620004", 96),  # brainpoolP384r1
        ("30819b301406072a8648ce3d020106092b240303020801010d0381820004", 128),  # …P512r1
    )
)


class _Odd(Exception):
    """Not a plain certificate."""


@dataclass(frozen=True, slots=True)
class Kind:
    """key: the same for all of a kind; cn: the one common name of this one."""

    key: tuple[bytes, ...]
    cn: str


def kind_of(der: bytes) -> Kind | None:
    """The kind of a certificate, None where it is no plain one."""
    try:
        return _kind(der)
    except (_Odd, IndexError):
        return None


def _kind(der: bytes) -> Kind:
    at, _ = _inside(der, 0, _SEQUENCE)
    at, end = _inside(der, at, _SEQUENCE)
    version = at
    at = _behind(der, at, _VERSION)
    parts = [der[version:at]]
    at = _behind(der, _behind(der, at), _SEQUENCE)  # serial number, signature algorithm
    at = _behind(der, _behind(der, at, _SEQUENCE), _SEQUENCE)  # issuer, times
    at, cn = _subject(der, at, parts)
    at = _key(der, at, parts)
    outer, last = _inside(der, at, _EXTENSIONS)
    at, inner_last = _inside(der, outer, _SEQUENCE)
    if last != end or inner_last != end:
        raise _Odd
    while at < end:
        at = _extension(der, at, parts)
    return Kind(tuple(parts), cn)


def _subject(der: bytes, at: int, parts: list[bytes]) -> tuple[int, str]:
    """The names; of the common name only that it is there."""
    at, end = _inside(der, at, _SEQUENCE)
    cn = ""
    while at < end:
        first = at
        at, last = _inside(der, at, _SET)
        inner, behind = _inside(der, at, _SEQUENCE)
        if behind != last:
            raise _Odd  # several in one
        if der.startswith(_COMMON_NAME, inner):
            begin, inner_last = _inside(der, inner + len(_COMMON_NAME), _UTF8)
            found = der[begin:inner_last]
            if cn or inner_last != last or not _PLAIN.fullmatch(found):
                raise _Odd
            cn = found.decode("ascii")
            parts.append(_COMMON_NAME)
        else:
            parts.append(der[first:last])
        at = last
    if not cn or at != end:
        raise _Odd
    return end, cn


def _key(der: bytes, at: int, parts: list[bytes]) -> int:
    for head, size in _KEYS:
        if der.startswith(head, at):
            parts.append(head)
            return at + len(head) + size
    raise _Odd


def _extension(der: bytes, at: int, parts: list[bytes]) -> int:
    """One extension; of a key identifier and a DNS name only that they are there."""
    inner, end = _inside(der, at, _SEQUENCE)
    if der.startswith(_KEY_IDENTIFIER, inner):
        value, last = _inside(der, inner + len(_KEY_IDENTIFIER), _OCTETS)
        begin, behind = _inside(der, value, _OCTETS)
        if behind - begin != 20:
            raise _Odd
        parts.append(_KEY_IDENTIFIER)
    elif der.startswith(_ALTERNATIVE_NAME, inner):
        value, last = _inside(der, inner + len(_ALTERNATIVE_NAME), _OCTETS)
        names, names_end = _inside(der, value, _SEQUENCE)
        begin, behind = _inside(der, names, _DNS_NAME)
        if names_end != last or not _PLAIN.fullmatch(der[begin:behind]):
            raise _Odd
        parts.append(_ALTERNATIVE_NAME)
    else:
        parts.append(der[at:end])
        return end
    if last != end or behind != end:
        raise _Odd
    return end


def _inside(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of a field begins and ends."""
    if der[at] != tag:
        raise _Odd
    size = der[at + 1]
    at += 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 2:
            raise _Odd
        size = int.from_bytes(der[at : at + count], "big")
        at += count
    if at + size > len(der):
        raise _Odd
    return at, at + size


def _behind(der: bytes, at: int, tag: int | None = None) -> int:
    return _inside(der, at, der[at] if tag is None else tag)[1]
