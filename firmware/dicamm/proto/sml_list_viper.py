# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The head of an SML value list in machine code, into objects made before; as `sml_take_viper`."""

import micropython
from micropython import const

_LIST = const(23)
_KNOWN = const(29)
_POOL = const(31)
_ENTRIES = const(32)
_WORD = const(35)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_SEEN = const(4)
_HOME_TOLD = const(7)
_HOME_NONE = const(9)
_HOME_CUT = const(11)
_HOME_READ_ENTRIES = const(12)


@micropython.viper
def read_list(pos: int, at: int, number: int, home) -> int:
    """Fills the SmlFrame and the first entries of the pool from the value list.

    The list starts at state[LIST] and its structure is known to be sound. What is as in the list
    before stays as it is: of `seen` state[KNOWN] bytes tell what octet strings the objects hold,
    each behind its length. Entries are left to `read_entries`.
    Returns 0 where the list is not of the common form, 2 where state[ENTRIES] entries are needed
    in the pool, 3 where `seen` is too small, else 16 + what changed: 1 an octet string, 2 the
    number of entries, 4 checksums, length, time or signature worth a note, 8 nothing, but it is a
    meter that sends values wrong.
    """
    state = ptr32(home[_HOME_STATE])
    frame = ptr8(home[_HOME_FRAME])
    seen = ptr8(home[_HOME_SEEN])
    told = home[_HOME_TOLD]
    pos = state[_LIST]
    valid = state[_KNOWN]
    state[_KNOWN] = 0
    wide = state[_WORD]
    if frame[pos] != 0x77 or frame[pos + 1] > 15:
        return 0
    pos += 1
    pos += frame[pos]
    t = 0
    same = 1
    changed = 0
    form = 0
    count = 0
    while count < 2:
        size = frame[pos]
        if size > 15:
            return 0
        pos += 1
        at = pos
        if t >= valid or seen[t] != size:
            same = 0
        seen[t] = size
        t += 1
        differs = 1 - same
        while size > 1:
            if seen[t] != frame[pos]:
                seen[t] = frame[pos]
                differs = 1
            t += 1
            pos += 1
            size -= 1
        if differs:
            changed = 1
            value = home[_HOME_NONE]
            if pos > at:
                value = home[_HOME_CUT](at, pos)
            if count == 0:
                told.server_id = value
            else:
                told.list_name = value
        count += 1
    byte = frame[pos]
    if byte == 1:
        told.sensor_time = home[_HOME_NONE]
        pos += 1
    else:
        count = 0
        if byte == 0x72:
            if frame[pos + 1] != 0x62:
                return 0
            count = frame[pos + 2]
            pos += 3
            byte = frame[pos]
        if byte < 0x62 or byte > 0x65 or (byte == 0x65 and wide == 4 and frame[pos + 1] > 127):
            return 0
        number = 0
        pos += 1
        byte += pos - 0x61
        while pos < byte:
            number = number << 8 | frame[pos]
            pos += 1
        told.sensor_time = (count, number)
        if count == 0:
            form = 1
    byte = frame[pos]
    if byte & 0x70 != 0x70:
        return 0
    count = byte & 15
    pos += 1
    if byte > 0x7F:
        if frame[pos] > 15:
            return 0
        count = count << 4 | frame[pos]
        pos += 1
    state[_ENTRIES] = count
    if count > state[_POOL]:
        return 2
    state[_KNOWN] = valid
    return int(home[_HOME_READ_ENTRIES](pos, t, same | changed << 1 | form << 2, home))
