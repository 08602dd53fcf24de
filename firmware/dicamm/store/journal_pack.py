"""The short form of a sealed record: what does not change is stated once per sector.

Knows the form of a sealed record (docs/wire.cddl) as bytes, not what its fields mean, and no
flash. Packing leaves out only what can be put back exactly; a record of any other form does not
pack, and the journal stores it as it is.

A statement is what records of one device and one set of registers have in common:

    1 + h   head: COSE_Mac0 up to the payload's length, behind its own length
    then pieces of the payload from key 6 (CLS-ID) to key 11 (time state), in order, each
    1 + c   constant bytes, behind their length
    1       what follows the piece in a record: ITEM, or so many bytes, plus OPTIONAL
    1 + i   ITEM only: the value in the record that the statement was made from

Body of a packed record:

    1       fields in its map; 0x10: without key 9, 0x20: without key 10, 0x40: with a tail
    1 + t   tail only: what stands behind key 13, behind its length
    1 + g   TAF16 only: UUID, event and text, behind their length
    ..      what follows each piece: an integer in CBOR, or SAME and its last two bytes
    ..      what follows the last piece, up to key 13
    8       link (key 13); left out where it is that to the record before on the same page
    32      tag
"""

from struct import unpack_from

SAME = 0x1D  # begins no CBOR integer: all but the last two bytes are those of the statement
ITEM = 0xFF
OPTIONAL = 0x80  # a piece that a record may lack
LINK = 8  # bytes of a link: key 13 of a record
TAG = 32  # bytes of a record's tag, its last

_KIND = {7: b"\x02\x07", 16: b"\x02\x10\x03\x50"}  # key 2, and key 3's length
_LINK = b"\x0d\x48"  # key 13, 8 bytes
_TAIL = 0x40
_TAG = b"\x58\x20"  # 32 bytes
_END = 44  # link and tag with their heads
_MOST = 220  # bytes of a statement
_PLANS = 4
_NO_RECORD = ValueError("not the form of a record")


class Statement:
    """Packs and unpacks by one statement; data: its bytes, b"" for none: then nothing packs."""

    def __init__(self, data=b""):
        self.data = data
        self._head = b""
        self._pieces = []  # (constant bytes, length of what follows, optional, value or None)
        self._plans = {}  # kind and length -> Plan
        if data:
            self._head = data[1 : 1 + data[0]]
            at = 1 + data[0]
            while at < len(data):
                at = self._take_piece(data, at)

    def _take_piece(self, data, at):
        end = at + 1 + data[at]
        constant = data[at + 1 : end]
        follows = data[end]
        if follows != ITEM:
            self._pieces.append((constant, follows & 0x7F, follows & OPTIONAL, None))
            return end + 1
        item_end = end + 2 + data[end + 1]
        self._pieces.append((constant, ITEM, 0, data[end + 2 : item_end]))
        return item_end

    def pack(self, sealed, seq, kind):
        """The body of a sealed record, or None when it has another form.

        A body is given only when it was proved to unpack to the same bytes.
        """
        number = _number(seq)
        shape = kind << 16 | len(sealed)
        plan = self._plans.get(shape)
        if plan is not None:
            body = plan.pack(sealed, number)
            if body is not None:
                return body
        steps = self._steps(sealed, number, kind)
        if steps is None:
            return None
        body = b"".join([constant + sealed[at:end] for constant, at, end in steps])
        if self.unpack(body, seq, kind, None) != sealed:
            return None
        if not body[0] & _TAIL:  # which is out of order, and rare
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            number_at = len(self._prefix(self._payload_size(sealed))) + 1
            steps[0] = (steps[0][0], number_at, number_at + len(number))
            self._plans[shape] = Plan(sealed, steps)
        return body

    def _steps(self, sealed, number, kind):
        """What the body is made of: a list of (constant, from, to of the sealed bytes)."""
        prefix = self._prefix(self._payload_size(sealed))
        behind = len(sealed) - _END + 10  # the link, where no key follows it
        end = behind - 10
        if sealed[end : end + 2] != _LINK:
            end = sealed.rfind(_LINK, 0, end)
        at = len(prefix)
        if not self._head or not sealed.startswith(prefix) or end <= at:
            return None
        number += _KIND[kind]
        if not sealed.startswith(number, at + 1) or sealed[at] & 0xF0 != 0xA0:
            return None
        if sealed[behind : behind + 2] != _TAG:
            return None
        steps = [(b"", 0, 0)]
        flags = 0
        tail = behind - end - 10
        if tail:
            flags = _TAIL
            steps.append((bytes((tail & 0xFF,)), end + 10, behind))
        flags = self._split(sealed, at + 1 + len(number), kind, steps, flags, end)
        if flags is None:
            return None
        steps[0] = (bytes((sealed[at] & 15 | flags,)), 0, 0)
        steps.append((b"", end + 2, end + 10))
        steps.append((b"", behind + 2, behind + 34))
        return steps

    def _split(self, sealed, at, kind, steps, flags, end):
        """Adds what is between the pieces from `at` to the link at `end`; the flags, or None."""
        if kind == 16:
            start = sealed.find(self._pieces[0][0], at)
            if not 0 <= start - at < 256:
                return None
            steps.append((bytes((start - at,)), at, start))
            at = start
        for constant, follows, optional, value in self._pieces:
            if sealed.startswith(constant, at):
                at += len(constant)
                if at > end:
                    return None
                if follows != ITEM:
                    steps.append((b"", at, at + follows))
                    at += follows
                else:
                    item_end = at + _item_size(sealed[at])
                    if _same(sealed[at:item_end], value):
                        steps.append((bytes((SAME,)), item_end - 2, item_end))
                    else:  # its first byte tells its length: no plan may let that vary
                        steps.append((sealed[at : at + 1], at + 1, item_end))
                    at = item_end
                if at > end:
                    return None
            elif optional:
                flags |= 0x10 if constant[0] == 9 else 0x20
            else:
                return None
        steps.append((b"", at, end))
        return flags

    def _payload_size(self, sealed):
        rest = len(sealed) - len(self._head) - 34  # with the head of a byte string
        return rest - (3 if rest > 257 else 2)

    def unpack(self, body, seq, kind, link):
        """The sealed record that `pack` made body from; link: what was cut out of it, or None."""
        end = len(body) - TAG
        parts_end = end
        if link is None:
            parts_end = end - LINK
            link = body[parts_end:end]
        flags = body[0] & 0xF0
        parts = [b"", bytes((body[0] & 15 | 0xA0,)), _number(seq), _KIND[kind]]
        at = 1
        tail = b""
        if flags & _TAIL:
            at = 2 + body[1]
            tail = body[2:at]
        if kind == 16:
            start = at + 1
            at = start + body[at]
            parts.append(body[start:at])
        for constant, follows, optional, value in self._pieces:
            if optional and flags & (0x10 if constant[0] == 9 else 0x20):
                continue
            parts.append(constant)
            if follows != ITEM:
                parts.append(body[at : at + follows])
                at += follows
            elif body[at] == SAME:
                parts.append(value[:-2])
                parts.append(body[at + 1 : at + 3])
                at += 3
            else:
                size = _item_size(body[at])
                parts.append(body[at : at + size])
                at += size
        parts.append(body[at:parts_end])
        parts.append(_LINK)
        parts.append(link)
        parts.append(tail)
        size = sum([len(part) for part in parts])
        parts[0] = self._prefix(size)
        parts.append(_TAG)
        parts.append(body[end:])
        return b"".join(parts)

    def _prefix(self, size):
        """Head and length of a payload of `size` bytes."""
        if size > 255:
            return self._head + bytes((0x59, size >> 8 & 0xFF, size & 0xFF))
        return self._head + bytes((0x58, size & 0xFF))


class Plan:
    """How a record of one kind and length was packed: the next of its shape is packed the same
    way, when all that is left out is again what it was.

    steps: as of Statement, from and to rising; the first has the number, which is left out.
    """

    def __init__(self, sealed, steps):
        taken = "<"
        left = "<"
        behind = 0
        self._parts = []  # a constant before each part; there the parts are put
        for constant, at, end in steps:
            taken += "%dx%ds" % (at - behind, end - at)
            left += "%ds%dx" % (at - behind, end - at)
            behind = end
            self._parts += (constant, b"")
        self._taken = taken
        self._left = left
        self._constant = unpack_from(left, sealed)

    def pack(self, sealed, number):
        """The body; None when the record differs elsewhere than where the body says so."""
        found = unpack_from(self._taken, sealed)
        if found[0] != number or unpack_from(self._left, sealed) != self._constant:
            return None
        parts = self._parts
        at = 1
        for part in found:
            parts[at] = part
            at += 2
        parts[1] = b""
        return b"".join(parts)


def learn(sealed):
    """The statement that a sealed record gives, as bytes; b"" when it is none that packs."""
    try:
        return _learn(sealed)
    except (ValueError, IndexError):
        return b""


def _learn(sealed):
    if sealed[0:2] != b"\xd1\x84":
        raise _NO_RECORD
    at = _skip(sealed, 2)
    if sealed[at] != 0xA1:
        raise _NO_RECORD
    at = _skip(sealed, _skip(sealed, at + 1))
    keys = _keys(sealed, _skip_head(sealed, at))
    if sealed[keys[13] : keys[13] + 2] != _LINK or keys[13] != len(sealed) - _END:
        raise _NO_RECORD
    out = bytearray((at,))
    out.extend(sealed[:at])
    start = _values(sealed, keys, out)
    _add(out, sealed[start : _skip(sealed, keys[8] + 1)], 0)
    if 9 not in keys and 10 not in keys:
        raise _NO_RECORD  # made while the time was unset: no pattern for those to come
    for key, other in ((9, 10), (10, 9)):
        at = keys[key if key in keys else other] + 2
        _add(out, bytes((key, 0x1B)) + sealed[at : at + 4], 4 | OPTIONAL)
    _add(out, sealed[keys[11] : keys[11] + 2], 0)
    data = bytes(out)
    if len(data) > _MOST or not _packs(data, sealed, keys):
        raise _NO_RECORD
    return data


def _packs(data, sealed, keys):
    kind = 16 if 3 in keys else 7
    at = _skip(sealed, keys[1])
    seq = _argument(sealed, at)
    return Statement(data).pack(sealed, seq, kind) is not None


def _keys(sealed, at):
    """Where each key of the payload's map stands: key -> position."""
    keys = {}
    if sealed[at] & 0xF0 != 0xA0:
        raise _NO_RECORD
    count = sealed[at] & 15
    at += 1
    for _ in range(count):
        keys[sealed[at]] = at
        at = _skip(sealed, at + 1)
    for key in (1, 6, 8, 11, 13):
        if key not in keys:
            raise _NO_RECORD
    return keys


def _values(sealed, keys, out):
    """Adds a piece up to each raw value; returns where the next piece starts."""
    start = keys[6]
    at = keys[8] + 1
    if sealed[at] & 0xE0 != 0x80:
        raise _NO_RECORD
    count = _argument(sealed, at)
    at = _skip_head(sealed, at)
    for _ in range(count):
        if sealed[at] != 0x84 or sealed[at + 1] != 0x46:
            raise _NO_RECORD
        raw = at + 8
        end = raw + _item_size(sealed[raw])
        _add(out, sealed[start:raw], ITEM)
        out.append(end - raw)
        out.extend(sealed[raw:end])
        start = end
        at = _skip(sealed, _skip(sealed, end))
    return start


def _add(out, constant, follows):
    if not 0 < len(constant) < 256:
        raise _NO_RECORD
    out.append(len(constant))
    out.extend(constant)
    out.append(follows)


def _same(item, value):
    """Whether an integer differs from the statement's in its last two bytes at most."""
    return len(item) > 3 and len(item) == len(value) and item[:-2] == value[:-2]


def _number(seq):
    """Key 1 and the sequence number, deterministic CBOR."""
    if seq < 24:
        return bytes((1, seq))
    if seq < 256:
        return bytes((1, 0x18, seq))
    if seq < 65536:
        return bytes((1, 0x19, seq >> 8, seq & 0xFF))
    return b"\x01\x1a" + seq.to_bytes(4, "big")


def _item_size(first):
    """Bytes of a CBOR item that is nothing but its head."""
    info = first & 31
    return 1 if info < 24 else 1 + (1 << (info - 24 & 3))


def _argument(data, at):
    size = _item_size(data[at])
    if size == 1:
        return data[at] & 31
    return int.from_bytes(data[at + 1 : at + size], "big")


def _skip_head(data, at):
    return at + _item_size(data[at])


def _skip(data, at):
    """Position behind the CBOR item at `at`. Knows what a record is made of: no tags inside."""
    major = data[at] >> 5
    argument = _argument(data, at)
    at += _item_size(data[at])
    if major in (2, 3):
        at += argument
    elif major == 4:
        for _ in range(argument):
            at = _skip(data, at)
    elif major not in (0, 1, 7):
        raise _NO_RECORD
    if at > len(data):
        raise _NO_RECORD
    return at
