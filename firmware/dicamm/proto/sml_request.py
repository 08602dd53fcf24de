"""Requests to an SML meter, for the pull mode of the wired LMN: whole files ready to be sent.

Knows how requests are written, not when to ask; what comes back is read by `sml` and
`sml_bodies`. A request is a pair (tag, fields). Source: SML 1.05 (BSI TR-03109-1 annex IV),
chapters 5, 6 and 8; which requests a gateway makes: BSI Detailspezifikationen 2.0, chapter 9.
"""

from dicamm.proto.crc import crc16_x25

ABSENT = b"\x01"

_ESCAPE = b"\x1b\x1b\x1b\x1b"
_OPEN = 0x0100
_CLOSE = 0x0200
_PROFILE_PACK = 0x0300
_PROFILE_LIST = 0x0400
_PARAMETER = 0x0500
_LIST = 0x0700


def list_request(client_id, server_id=None, list_name=None):
    """Asks for a value list (GetList), the meter's usual one where no name is given."""
    fields = (octets(client_id), octets(server_id), ABSENT, ABSENT, octets(list_name))
    return _LIST, listed(fields)


def parameter_request(server_id, path, attribute=None):
    """Asks for a parameter (GetProcParameter). path: names from the root on, bytes each.

    User and password stay empty, as between gateway and meter.
    """
    steps = listed([octets(name) for name in path])
    return _PARAMETER, listed((octets(server_id), ABSENT, ABSENT, steps, octets(attribute)))


def profile_request(server_id, path, begin=None, end=None, names=(), pack=False):
    """Asks for a load profile (GetProfileList, or GetProfilePack where `pack`).

    begin, end: (choice, number) as SmlEntry.val_time, None: no limit. names: objects wanted, six
    bytes each; none: all.
    """
    fields = (
        octets(server_id),
        ABSENT,
        ABSENT,
        ABSENT,  # withRawdata
        time(begin),
        time(end),
        listed([octets(name) for name in path]),
        listed([octets(name) for name in names]) if names else ABSENT,
        ABSENT,  # dasDetails
    )
    return (_PROFILE_PACK if pack else _PROFILE_LIST), listed(fields)


def request_file(client_id, server_id, file_id, requests):
    """One file with `requests` between open and close, as bytes for the line.

    file_id: bytes that the answer's open message repeats; with a running byte behind them they
    are the ids of the messages. At most 254 requests.
    """
    opened = listed(
        (ABSENT, octets(client_id), octets(file_id), octets(server_id), ABSENT, ABSENT, ABSENT)
    )
    messages = [(_OPEN, opened)] + list(requests) + [(_CLOSE, listed((ABSENT,)))]
    data = b""
    for index in range(len(messages)):
        tag, fields = messages[index]
        data += _message(octets(file_id + bytes((index,))), index, tag, fields)
    return _framed(data)


def octets(value):
    """An octet string; None and the empty one are the same."""
    return _head(0x00, len(value), True) + value if value else ABSENT


def unsigned(value):
    """An unsigned number in the narrowest of 1, 2, 4, 8 bytes."""
    for width in (1, 2, 4, 8):
        if value < 1 << 8 * width:
            return bytes((0x61 + width,)) + value.to_bytes(width, "big")
    raise ValueError("beyond 64 bits")


def time(value):
    """SML_Time of (choice, number), or nothing of None."""
    if value is None:
        return ABSENT
    choice, number = value
    return listed((unsigned(choice), b"\x65" + number.to_bytes(4, "big")))


def listed(elements):
    """A list of encoded elements."""
    return _head(0x70, len(elements), False) + b"".join(elements)


def _head(kind, length, counted):
    """Type and length bytes; `counted` where their own number belongs to the length."""
    size = 1
    while length + size * counted >= 1 << 4 * size:
        size += 1
    length += size * counted
    head = bytearray()
    for place in range(size):
        more = 0x80 if place < size - 1 else 0
        head.append((0 if place else kind) | more | length >> 4 * (size - 1 - place) & 15)
    return bytes(head)


def _message(transaction, group, tag, fields):
    choice = listed((b"\x63" + tag.to_bytes(2, "big"), fields))
    head = b"\x76" + transaction + unsigned(group) + unsigned(0) + choice
    return head + b"\x63" + _checksum(head) + b"\x00"


def _framed(payload):
    fill = -len(payload) % 4
    data = _ESCAPE + b"\x01\x01\x01\x01" + payload.replace(_ESCAPE, _ESCAPE + _ESCAPE)
    data += bytes(fill) + _ESCAPE + bytes((0x1A, fill))
    return data + _checksum(data)


def _checksum(data):
    return crc16_x25(data, 0, len(data)).to_bytes(2, "little")
