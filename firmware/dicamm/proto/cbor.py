"""CBOR, deterministic (RFC 8949 section 4.2.1): the part that records and messages use.

Knows integers of 64 bit, byte and text strings, arrays, maps, tags, false, true and null. Knows no
float, no indefinite length, no other simple value, and nothing of what a map key means.
There is one encoding per value: the encoder writes it, the decoder accepts nothing else.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


TYPE_CHECKING = False
if TYPE_CHECKING:  # never true at run time: boards have no typing module
    from typing import Any

MAX_DEPTH = const(8)  # arrays, maps and tags inside each other
MAX_STRING = const(4096)  # bytes of one string
MAX_ITEMS = const(256)  # entries of one array or map
KNOWN_TAGS = (17,)  # what a decoder accepts unless told otherwise: 17 is COSE_Mac0 (RFC 9052)

_UINT = const(0)
_NEGATIVE = const(1)
_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_TAG = const(6)

_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}
_SMALLEST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}  # argument that needs this many bytes


class CborError(ValueError):
    """Input is not deterministic CBOR of the known part; `position` is the byte it fails at."""

    def __init__(self, reason, position):
        super().__init__("%s at byte %d" % (reason, position))
        self.reason = reason
        self.position = position


class Tag:
    """A tagged value: `number` says how `value` is meant."""

    def __init__(self, number, value):
        self.number = number
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Tag) and self.number == other.number and self.value == other.value

    def __repr__(self):
        return "Tag(%d, %r)" % (self.number, self.value)


def encode(value):
    """The one deterministic encoding of `value`, as bytes.

    value: bool, None, int from -2**64 to 2**64-1, bytes, bytearray, memoryview, str, list, tuple,
    dict with int, str or bytes as keys, Tag. Map entries are sorted by their encoded keys.
    Raises TypeError for anything else, a float above all; ValueError for what `decode` would not
    take back: an integer out of range, a limit of this module exceeded, a lone surrogate.
    """
    out = bytearray()
    put(out, value, 0)
    return bytes(out)


def decode(data, tags=KNOWN_TAGS) -> "Any":
    """The value of `data`, which is one item and nothing behind it.

    Arrays come as list, maps as dict, tags as Tag. Map keys are int, str or bytes, in ascending
    order of their encoding, none twice. tags: the tag numbers that are accepted.
    Raises CborError, and nothing else, for any other bytes.
    """
    value, end = decode_first(data, 0, tags)
    if end != len(data):
        raise CborError("bytes behind the item", end)
    return value


def decode_first(data, start=0, tags=KNOWN_TAGS) -> "Any":
    """The item of `data` at `start` and the position behind it: (value, next).

    For sequences of items (RFC 8742): begin again at `next` until it equals len(data).
    Accepts and raises as `decode` does.
    """
    reader = _Reader(data, start, tags)
    return reader.item(0), reader.position


def put(out, value, depth=0):
    """Adds the encoding of `value` to a bytearray, as `encode` gives it."""
    kind = type(value)  # what records are made of comes first, and straight
    if kind is int and value >= 0:
        if value < 24:
            out.append(value)
        elif value < 1 << 64:
            put_head(out, _UINT, value)
        else:
            _write_int(out, value)
    elif kind is bytes and len(value) < 24:
        out.append(0x40 | len(value))
        out.extend(value)
    elif kind is str:
        data = _strict_utf8(value)
        if len(data) < 24:
            out.append(0x60 | len(data))
            out.extend(data)
        else:
            _write_string(out, _TEXT, data)
    elif value is None:
        out.append(0xF6)
    elif kind is bool:
        out.append(0xF5 if value else 0xF4)
    elif (kind is tuple or kind is list) and depth < MAX_DEPTH and len(value) < 24:
        out.append(0x80 | len(value))
        for entry in value:
            put(out, entry, depth + 1)
    elif isinstance(value, int):
        _write_int(out, value)
    elif isinstance(value, str):
        _write_string(out, _TEXT, _strict_utf8(value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _write_string(out, _BYTES, value)
    else:
        _write_nested(out, value, depth)


def _write_int(out, value):
    if not -(1 << 64) <= value < 1 << 64:
        raise ValueError("integer needs more than 64 bit")
    if value < 0:
        put_head(out, _NEGATIVE, -1 - value)
    else:
        put_head(out, _UINT, value)


def _write_string(out, major, data):
    if len(data) > MAX_STRING:
        raise ValueError("string of %d bytes, limit %d" % (len(data), MAX_STRING))
    put_head(out, major, len(data))
    out.extend(data)


def _write_nested(out, value, depth):
    if depth >= MAX_DEPTH:
        raise ValueError("nested deeper than %d" % MAX_DEPTH)
    if isinstance(value, Tag):
        if not 0 <= value.number < 1 << 64:
            raise ValueError("tag number outside 64 bit")
        put_head(out, _TAG, value.number)
        put(out, value.value, depth + 1)
        return
    if not isinstance(value, (list, tuple, dict)):
        raise TypeError("no CBOR for %s" % type(value).__name__)
    if len(value) > MAX_ITEMS:
        raise ValueError("%d entries, limit %d" % (len(value), MAX_ITEMS))
    if isinstance(value, dict):
        _write_map(out, value, depth + 1)
    else:
        put_head(out, _ARRAY, len(value))
        for entry in value:
            put(out, entry, depth + 1)


def _write_map(out, value, depth):
    for key in value:
        if type(key) is not int or not 0 <= key < 24:
            _write_sorted(out, value, depth)
            return
    put_head(out, _MAP, len(value))
    for key in sorted(value):
        out.append(key)
        put(out, value[key], depth)


def _write_sorted(out, value, depth):
    keys = []
    for key in value:
        if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
            raise TypeError("no map key: %s" % type(key).__name__)
        encoded = bytearray()
        put(encoded, key, depth)
        keys.append((bytes(encoded), key))
    keys.sort(key=lambda pair: pair[0])
    put_head(out, _MAP, len(keys))
    for encoded, key in keys:
        out.extend(encoded)
        put(out, value[key], depth)


def put_head(out, major, argument):
    """Adds the head of an item to a bytearray: major type, and an argument below 2**64."""
    major <<= 5
    if argument < 24:
        out.append(major | argument)
    elif argument < 1 << 8:
        out.append(major | 24)
        out.append(argument)
    elif argument < 1 << 16:
        out.append(major | 25)
        out.extend(argument.to_bytes(2, "big"))
    elif argument < 1 << 32:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    else:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))


def uint(value):
    """As `encode`, for integers: a record holds many."""
    if 0 <= value < 24:
        return bytes((value,))
    if 0xFFFFFFFF < value < 1 << 60:
        return b"\x1b" + value.to_bytes(8, "big")
    if 0xFFFF < value <= 0xFFFFFFFF:
        return b"\x1a" + value.to_bytes(4, "big")
    if 0xFF < value <= 0xFFFF:
        return bytes((0x19, value >> 8, value & 0xFF))
    return encode(value)


def text(value):
    """As `encode`, for strings."""
    data = _strict_utf8(value)
    if 24 <= len(data) < 256:
        return bytes((0x78, len(data))) + data
    return encode(value)


class _Reader:
    def __init__(self, data, position, tags):
        self.position = position
        self._data = data
        self._tags = tags

    def item(self, depth):
        start = self.position
        first = self._byte()
        if first in _SIMPLE:
            return _SIMPLE[first]
        major = first >> 5
        if major > _TAG:
            raise CborError("float or simple value", start)
        argument = self._argument(first & 31, start)
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._string(argument, start)
        if major == _TEXT:
            return self._text(argument, start)
        if depth >= MAX_DEPTH:
            raise CborError("nested too deep", start)
        if major == _TAG:
            return self._tag(argument, start, depth)
        if argument > MAX_ITEMS:
            raise CborError("too many entries", start)
        if major == _ARRAY:
            return [self.item(depth + 1) for _ in range(argument)]
        return self._map(argument, depth + 1)

    def _byte(self):
        if not 0 <= self.position < len(self._data):
            raise CborError("truncated", self.position)
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _argument(self, info, start):
        if info < 24:
            return info
        if info == 31:
            raise CborError("indefinite length", start)
        if info > 27:
            raise CborError("reserved head", start)
        argument = int.from_bytes(self._take(1 << (info - 24)), "big")
        if argument < _SMALLEST[info]:
            raise CborError("not the shortest form", start)
        return argument

    def _take(self, size):
        end = self.position + size
        if end > len(self._data):
            raise CborError("truncated", len(self._data))
        taken = bytes(self._data[self.position : end])
        self.position = end
        return taken

    def _string(self, size, start):
        if size > MAX_STRING:
            raise CborError("string too long", start)
        return self._take(size)

    def _text(self, size, start):
        data = self._string(size, start)
        try:
            text = str(data, "utf-8")
            _strict_utf8(text)
        except ValueError:  # UnicodeError is one
            raise CborError("text is not UTF-8", start) from None
        return text

    def _tag(self, number, start, depth):
        if number not in self._tags:
            raise CborError("unknown tag %d" % number, start)
        return Tag(number, self.item(depth + 1))

    def _map(self, count, depth):
        found = {}
        previous = b""
        for _ in range(count):
            start = self.position
            key = self.item(depth)
            if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
                raise CborError("map key is no integer or string", start)
            encoded = bytes(self._data[start : self.position])
            if encoded <= previous:
                raise CborError("map keys repeated or not in order", start)
            previous = encoded
            found[key] = self.item(depth)
        return found


def _strict_utf8(text):
    """`text` as UTF-8 by RFC 3629; ValueError where MicroPython would let more through."""
    data = text.encode()
    if len(data) == len(text):
        return data  # ASCII
    for character in text:
        number = ord(character)
        if 0xD800 <= number < 0xE000 or number > 0x10FFFF:
            raise ValueError("text holds a surrogate or a number beyond Unicode")
        size = 1 + (number > 0x7F) + (number > 0x7FF) + (number > 0xFFFF)
        if len(character.encode()) != size:
            raise ValueError("text holds an overlong form")
    return data
