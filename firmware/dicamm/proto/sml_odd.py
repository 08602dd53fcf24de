"""Value lists of SML with fields of a form that the standard does not know.

Knows one field after the other: what cannot be read costs only itself and is named in `quirks`;
the others of the entry stand. Loaded when a meter sends such a list.
"""

from dicamm.proto.sml_elements import ABSENT, LIST, OCTETS, MalformedError
from dicamm.proto.sml_entry import BARE, VAL_TIME_WITHOUT_CHOICE

_BOOLEAN = 4
_SIGNED = 5
_UNSIGNED = 6
_LOCAL = 3

# quirks: the field has another form; what is not told here is None
STATUS = "status_of_odd_form"
VAL_TIME = "val_time_of_odd_form"
UNIT = "unit_of_odd_form"
SCALER = "scaler_of_odd_form"  # without a number, the entry has no value
VALUE = "value_of_odd_form"  # the bytes as sent, where it is no number
LENGTH = "entry_of_odd_length"  # not the seven fields of an entry
LIST_LENGTH = "list_of_odd_length"  # not the seven fields of a value list
SENSOR_TIME = "act_sensor_time_of_odd_form"

_PERIOD = 5  # fields of an entry without status and time, as in load profiles
_FIELDS = 7


def read_odd_entry(entry, elements):
    """Reads the list entry at `elements` into `entry` (SmlEntry), whatever it holds.

    obis stays None where it is no entry at all. Raises MalformedError where the structure is
    broken.
    """
    start = elements.pos
    entry.quirks = ()
    kind = elements.head()
    count = elements.size
    if kind != LIST or count < _PERIOD:
        elements.pos = start
        elements.skip()
        return
    start = elements.pos
    if elements.head() == OCTETS:
        elements.pos = start
        entry.obis = elements.octets()
    else:
        elements.pos = start
        elements.skip()
    read_odd_fields(entry, elements, count)
    if count != _FIELDS:
        entry.quirks += (LENGTH,)


def read_odd_fields(entry, elements, count=_FIELDS):
    """Reads the fields behind an entry's name, of `count` with it, into `entry` (SmlEntry)."""
    entry.quirks = ()
    entry.status = entry.val_time = entry.signature = None
    if count != _PERIOD:
        entry.status = _field(entry, elements, _status, STATUS)
        entry.val_time = _field(entry, elements, _time, VAL_TIME)
        if entry.val_time is not None and entry.val_time[0] == BARE:
            entry.quirks += (VAL_TIME_WITHOUT_CHOICE,)
        count -= 2
    entry.unit = _field(entry, elements, _unit, UNIT)
    before = len(entry.quirks)
    entry.scaler = _field(entry, elements, _scaler, SCALER)
    unscaled = entry.scaler is None and len(entry.quirks) > before
    entry.raw = entry.raw_sent = _field(entry, elements, _value, VALUE)
    entry.width = elements.size if isinstance(entry.raw, (int, bytes)) else 0
    if unscaled and isinstance(entry.raw, int):
        entry.raw = None  # nobody knows how much it is
    if count >= _PERIOD:
        entry.signature = elements.octets_if_any()
    for _ in range(count - _PERIOD):
        elements.skip()


def read_odd_head(elements):
    """(server id, list name, sensor time, whether that has an odd form) of a value list."""
    server_id = elements.octets_if_any()
    list_name = elements.octets_if_any()
    time, odd = _read(elements, _time)
    return server_id, list_name, time, odd


def _field(entry, elements, read, quirk):
    found, odd = _read(elements, read)
    if odd:
        entry.quirks += (quirk,)
    return found


def _read(elements, read):
    """(what `read` finds, whether it is of an odd form): the element is passed over in any case.

    `read` gives None where the element says nothing, and (found, odd) else.
    """
    start = elements.pos
    elements.skip()
    end = elements.pos
    elements.pos = start
    if elements.buffer[start] == ABSENT:
        elements.size = 0
        found = (None, False)
    else:
        try:
            found = read(elements)
        except MalformedError:
            found = (None, True)
    elements.pos = end
    return found


def _status(elements):
    """A number, also where it is sent as octets."""
    kind = elements.head()
    if kind in (OCTETS, _BOOLEAN):
        return _number(elements, False), True
    return _integer(elements, kind)


def _unit(elements):
    found = _integer(elements, elements.head())
    return found if 0 <= found[0] <= 255 else (None, True)


def _scaler(elements):
    """A signed byte, also where it is sent as an unsigned one."""
    kind = elements.head()
    number, odd = _integer(elements, kind)
    if elements.size == 1 and number > 127:
        return number - 256, True
    return (number, odd) if -128 <= number <= 127 else (None, True)


def _value(elements):
    """A number of any width; any other type's bytes; None for a list that is no time."""
    start = elements.pos
    kind = elements.head()
    if kind == LIST:
        elements.pos = start
        found = elements.value()
        return found, found is None
    if kind == OCTETS:
        return bytes(elements.buffer[elements.pos : elements.pos + elements.size]), False
    if kind == _BOOLEAN and elements.size:
        return _number(elements, False) != 0, elements.size > 1
    if kind in (_SIGNED, _UNSIGNED) and elements.size:
        return _number(elements, kind == _SIGNED), elements.size > 8
    return bytes(elements.buffer[elements.pos : elements.pos + elements.size]) or None, True


def _time(elements):
    """SML_Time, also without its choice as a number or as the three of a local time."""
    start = elements.pos
    kind = elements.head()
    if kind == LIST and elements.size == 3:
        return (_LOCAL, (_present(elements), _present(elements), _present(elements))), True
    if kind == LIST and elements.size == 2 and elements.buffer[elements.pos] == ABSENT:
        elements.pos += 1
        return (BARE, _present(elements)), True
    elements.pos = start
    return elements.time(), False


def _present(elements):
    return _integer(elements, elements.head())[0]


def _integer(elements, kind):
    if kind not in (_SIGNED, _UNSIGNED) or not 1 <= elements.size <= 8:
        raise MalformedError
    return _number(elements, kind == _SIGNED), False


def _number(elements, signed):
    start = elements.pos
    elements.pos += elements.size
    data = elements.buffer[start : elements.pos]
    number = int.from_bytes(bytes(data), "big")
    if signed and data[0] > 0x7F:
        number -= 1 << 8 * elements.size
    return number
