"""The bodies of SML messages besides the value list, as tables of their fields.

Knows the responses a meter sends, pushed or when asked: open, close, load profile (pack and
list), process parameters, attention; of requests it tells the kind only. Source: SML 1.05
(BSI TR-03109-1 annex IV), chapter 5.
"""

from dicamm.proto.sml_elements import LIST, OCTETS, Elements, MalformedError
from dicamm.proto.sml_entry import SmlEntry

OPEN = 0x0101
CLOSE = 0x0201
PROFILE_PACK = 0x0301
PROFILE_LIST = 0x0401
PARAMETER = 0x0501
ATTENTION = 0xFF01

MAX_DEPTH = 12  # of a tree of parameters

# what `SmlBody.number` of an attention says: its last two bytes behind 81 81 C7 C7
ATTENTIONS = {
    0xFD00: "done",
    0xFD01: "will be done later",
    0xFE00: "error without further meaning",
    0xFE01: "unknown SML identifier",
    0xFE02: "user or password not valid",
    0xFE03: "server id not available",
    0xFE04: "request file id not available",
    0xFE05: "attribute cannot be written",
    0xFE06: "attribute cannot be read",
    0xFE07: "communication with the measuring point disturbed",
    0xFE08: "raw data cannot be interpreted",
    0xFE09: "value out of range",
    0xFE0A: "not executed, such as for a path that leads nowhere",
    0xFE0B: "checksum wrong",
    0xFE0C: "broadcast not supported",
    0xFE0D: "unexpected message, such as a file without open",
    0xFE0E: "object unknown in the profile",
    0xFE0F: "type of data not supported",
    0xFE10: "optional element not supported",
    0xFE11: "profile without any entry",
    0xFE12: "end of the profile's range before its begin",
    0xFE13: "no entry in the range asked for",
    0xFE14: "file ended without close",
    0xFE15: "profile cannot be given for the moment",
}


class SmlBody:
    """One message: `tag` (its kind, one of those above, or another number) and its fields.

    OPEN: codepage, client_id, request_id, server_id (bytes), reference_time, version.
    CLOSE: signature. PROFILE_PACK: server_id, time, period_s, path, headers (SmlEntry without
    value), rows, raw_data, signature; a row is (time, status, list of SmlEntry, signature) with
    units and scalers as its header has them. PROFILE_LIST: server_id, time, period_s, path,
    entry_time, status, entries (SmlEntry), raw_data, signature. PARAMETER: server_id, path,
    tree (SmlTree). ATTENTION: server_id, number (6 bytes), text (bytes), details (SmlTree).
    Any field may be None where it was left out; times are as SmlEntry.val_time, a path is a
    list of names (bytes). A kind not named here has no fields.
    """

    def __init__(self, tag):
        self.tag = tag
        self.headers = []
        self.rows = []


class SmlTree:
    """A parameter: name (bytes), value and children (list of SmlTree).

    value: as SmlEntry.raw, a time, an SmlEntry for an entry of a period or list, a list of 23
    raw values for a tuple entry (its fields in the order of the standard), or None. `kind` is
    the choice that was sent: 0 nothing, 1 value, 2 period entry, 3 tuple entry, 4 time, 5 list
    entry.
    """

    def __init__(self, name):
        self.name = name
        self.kind = 0
        self.value = None
        self.children = []

    def find(self, name):
        """The first parameter of that name in the tree, or None."""
        left = [self]
        while left:
            tree = left.pop()
            if tree.name == name:
                return tree
            left += list(reversed(tree.children))
        return None


def body_at(tag, data, at):
    """The body of kind `tag` whose fields begin at data[at:], or None where it is malformed."""
    try:
        return read_body(tag, Elements(data, at, len(data)))
    except (MalformedError, IndexError):
        return None


def read_body(tag, elements):
    """The body of kind `tag` at `elements` (Elements, behind the tag) as SmlBody.

    Raises MalformedError or IndexError.
    """
    body = SmlBody(tag)
    fields = _FIELDS.get(tag)
    if fields is None:
        elements.skip()
        return body
    elements.enter(len(fields))
    for name, read in fields:
        setattr(body, name, read(elements))
    if tag == PROFILE_PACK:
        for row in body.rows:
            _set_units(row[2], body.headers)
    return body


def attention_text(number):
    """What an attention's number (bytes) says, or None where it is not one of the standard."""
    if number is None or number[:4] != b"\x81\x81\xc7\xc7" or len(number) != 6:
        return None
    return ATTENTIONS.get(number[4] << 8 | number[5])


def _list_of(read):
    def read_all(elements):
        kind = elements.head()
        if kind == OCTETS and elements.size == 0:
            return []
        if kind != LIST:
            raise MalformedError
        return [read(elements) for _ in range(elements.size)]

    return read_all


def _header(elements):
    elements.enter(3)
    name = elements.octets()
    return SmlEntry(name, unit=elements.number(), scaler=elements.scaler())


def _period_entry(elements):
    elements.enter(5)
    name = elements.octets()
    entry = SmlEntry(name, unit=elements.number(), scaler=elements.scaler())
    return _with_value(entry, elements)


def _list_entry(elements):
    elements.enter(7)
    name = elements.octets()
    status = elements.number()
    time = elements.time()
    entry = SmlEntry(name, status, time, elements.number(), elements.scaler())
    return _with_value(entry, elements)


def _row_value(elements):
    elements.enter(2)
    return _with_value(SmlEntry(), elements)


def _with_value(entry, elements):
    entry.raw = entry.raw_sent = elements.value()
    entry.width = elements.size if isinstance(entry.raw, (int, bool, bytes)) else 0
    entry.signature = elements.octets_if_any()
    return entry


def _row(elements):
    elements.enter(4)
    return (elements.time(), elements.number(), _VALUES(elements), elements.octets_if_any())


def _set_units(entries, headers):
    if len(entries) != len(headers):
        raise MalformedError
    for entry, header in zip(entries, headers):
        entry.obis = header.obis
        entry.unit = header.unit
        entry.scaler = header.scaler


def _tree(elements, depth=MAX_DEPTH):
    if not depth:
        raise MalformedError
    elements.enter(3)
    tree = SmlTree(elements.octets())
    _read_parameter(tree, elements)
    tree.children = _list_of(lambda part: _tree(part, depth - 1))(elements)
    return tree


def _optional_tree(elements):
    start = elements.pos
    if elements.head() == OCTETS and elements.size == 0:
        return None
    elements.pos = start
    return _tree(elements)


def _read_parameter(tree, elements):
    kind = elements.head()
    if kind == OCTETS and elements.size == 0:
        return
    if kind != LIST or elements.size != 2:
        raise MalformedError
    choice = elements.number()
    if choice is None or not 0 < choice < len(_PARAMETERS):
        raise MalformedError
    tree.kind = choice
    tree.value = _PARAMETERS[tree.kind](elements)


def _tuple_entry(elements):
    elements.enter(23)
    return [elements.value() for _ in range(23)]


def _octets(elements):
    return elements.octets()


def _number(elements):
    return elements.number()


def _time(elements):
    return elements.time()


def _value(elements):
    return elements.value()


_VALUES = _list_of(_row_value)
_PATH = _list_of(_octets)
_PARAMETERS = (None, _value, _period_entry, _tuple_entry, _time, _list_entry)
_PROFILE = (
    ("server_id", _octets),
    ("time", _time),
    ("period_s", _number),
    ("path", _PATH),
)
_FIELDS = {
    OPEN: (
        ("codepage", _octets),
        ("client_id", _octets),
        ("request_id", _octets),
        ("server_id", _octets),
        ("reference_time", _time),
        ("version", _number),
    ),
    CLOSE: (("signature", _octets),),
    PROFILE_PACK: _PROFILE
    + (
        ("headers", _list_of(_header)),
        ("rows", _list_of(_row)),
        ("raw_data", _octets),
        ("signature", _octets),
    ),
    PROFILE_LIST: _PROFILE
    + (
        ("entry_time", _time),
        ("status", _number),
        ("entries", _list_of(_period_entry)),
        ("raw_data", _octets),
        ("signature", _octets),
    ),
    PARAMETER: (("server_id", _octets), ("path", _PATH), ("tree", _tree)),
    ATTENTION: (
        ("server_id", _octets),
        ("number", _octets),
        ("text", _octets),
        ("details", _optional_tree),
    ),
}
