"""Distinguished encoding of the few ASN.1 types that enveloped content consists of.

Written out, and not taken from a library, for the reading side: every length must be minimal,
every tag the expected one, nothing may follow; anything else is one kind of error. Knows no CMS.
Source: ITU-T X.690 (DER).
"""

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31

_LONGEST_LENGTH = 4  # bytes of a length in long form: more than any message holds


class DerError(ValueError):
    """The bytes are not the expected structure in DER; the text says what was met."""


def context(number: int, constructed: bool = True) -> int:
    """The tag [number] of a context-specific field."""
    return 0x80 | number | (0x20 if constructed else 0)


def tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, length and the joined parts as value."""
    value = b"".join(parts)
    size = len(value)
    if size < 0x80:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value


def integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid_value(dotted: str) -> bytes:
    """The value bytes of an object identifier such as "1.2.840.113549.1.7.1"."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        out += bytes(reversed(groups))
    return bytes(out)


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    return tlv(OBJECT_IDENTIFIER, oid_value(dotted))


class Reader:
    """Reads one value after the other; every method raises DerError for anything unexpected."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def value(self, tag: int, what: str) -> bytes:
        """The value bytes of the next element, which must have this tag."""
        found, value, end = self._element(what)
        if found != tag:
            raise DerError(f"{what}: tag {found:#04x} in place of {tag:#04x}")
        self._at = end
        return value

    def element(self, tag: int, what: str) -> bytes:
        """The next element whole, with tag and length; it must have this tag."""
        start = self._at
        self.value(tag, what)
        return self._data[start : self._at]

    def inside(self, tag: int, what: str) -> "Reader":
        """A reader of the next element's value."""
        return Reader(self.value(tag, what))

    def expect(self, element: bytes, what: str) -> None:
        """The next element must be exactly these bytes."""
        if self._data[self._at : self._at + len(element)] != element:
            raise DerError(f"{what}: not the expected value")
        self._at += len(element)

    def number(self, what: str) -> int:
        """A small non-negative INTEGER."""
        value = self.value(INTEGER, what)
        minimal = len(value) == 1 or (value[:1] == b"\x00" and value[1:2] >= b"\x80")
        if not value or value[0] & 0x80 or not (minimal or value[0]):
            raise DerError(f"{what}: not a non-negative number in its shortest form")
        return int.from_bytes(value, "big")

    def next_is(self, tag: int) -> bool:
        """True when an element with this tag follows."""
        return self._data[self._at : self._at + 1] == bytes((tag,))

    def end(self, what: str) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise DerError(f"{what}: {len(self._data) - self._at} bytes too many")

    def _element(self, what: str) -> tuple[int, bytes, int]:
        data, at = self._data, self._at
        if len(data) - at < 2:
            raise DerError(f"{what}: missing")
        size, start = data[at + 1], at + 2
        if size >= 0x80:
            count = size & 0x7F
            length = data[start : start + count]
            if not 1 <= count <= _LONGEST_LENGTH or len(length) != count or not length[0]:
                raise DerError(f"{what}: length is not in its shortest definite form")
            size, start = int.from_bytes(length, "big"), start + count
            if size < 0x80:
                raise DerError(f"{what}: length is not in its shortest definite form")
        if size > len(data) - start:
            raise DerError(f"{what}: cut off")
        return data[at], data[start : start + size], start + size
