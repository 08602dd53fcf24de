# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The entries of an SML value list in machine code; as `sml_take_viper`."""

import micropython
from micropython import const

_FILL = const(6)
_MESSAGES = const(20)
_LIST_END = const(24)
_KERMIT = const(25)
_SHORT = const(26)
_TRANSPORT_KERMIT = const(28)
_KNOWN = const(29)
_ROOM = const(30)
_ENTRIES = const(32)
_TOLD = const(33)
_FORM = const(34)
_WORD = const(35)
_SUSPECT = const(38)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_PLACES = const(3)
_HOME_SEEN = const(4)
_HOME_RAWS = const(5)
_HOME_POOL = const(6)
_HOME_TOLD = const(7)
_HOME_EVENT = const(8)
_HOME_NONE = const(9)
_HOME_BARE_TIME = const(10)
_HOME_CUT = const(11)
_HOME_NAME = const(15)
_HOME_ANY_FORM = const(13)
_ODD = const(255)


@micropython.viper
def read_entries(pos: int, t: int, number: int, home) -> int:
    """Goes on for `read_list` with the entries from `pos` on; t: bytes of `seen` looked at.

    number: 1 as long as all is as before, 2 an octet string is not, 4 the time is worth a note.
    In `places` stand of every entry, as stored last, width, unit and scaler (0x100: absent) and
    1 for a status, 2 for a time, 4 for quirks, 8 for a signature; all bits set where nothing is
    known. An entry of another form is read by a function in bytecode; `seen` has _ODD for it.
    """
    state = ptr32(home[_HOME_STATE])
    frame = ptr8(home[_HOME_FRAME])
    places = ptr16(home[_HOME_PLACES])
    seen = ptr8(home[_HOME_SEEN])
    pool = home[_HOME_POOL]
    valid = state[_KNOWN]
    state[_KNOWN] = 0
    wide = state[_WORD]
    same = number & 1
    changed = number >> 1 & 1
    form = number >> 2
    count = state[_ENTRIES]
    area = state[_ROOM] - 8
    index = 0
    slot = 0
    while index < count:
        entry = pool[index]
        if frame[pos] != 0x77 or frame[pos + 1] != 7:
            return 0
        if t > area:
            return 3
        pos += 2
        if t >= valid:
            same = 0
        if (
            same == 0
            or seen[t] != frame[pos]
            or seen[t + 1] != frame[pos + 1]
            or seen[t + 2] != frame[pos + 2]
            or seen[t + 3] != frame[pos + 3]
            or seen[t + 4] != frame[pos + 4]
            or seen[t + 5] != frame[pos + 5]
        ):
            changed = 1
            name = home[_HOME_NAME]
            name8 = ptr8(name)
            size = 0
            while size < 6:
                byte = frame[pos + size]
                seen[t + size] = byte
                name8[size] = byte
                size += 1
            entry.obis = bytes(name)
        pos += 6
        t += 6
        begin = pos
        mark = t
        odd = 1
        while odd:  # once
            had = places[slot + 3]
            if had & 8:
                entry.signature = home[_HOME_NONE]
            has = 0
            byte = frame[pos]  # status
            pos += 1
            if byte == 1:
                if had & 1:
                    entry.status = home[_HOME_NONE]
            else:
                size = byte - 0x61
                if size < 1 or size > wide or (size == wide and frame[pos] > 127):
                    break
                number = 0
                size += pos
                while pos < size:
                    number = number << 8 | frame[pos]
                    pos += 1
                entry.status = number
                has = 1
            byte = frame[pos]  # time
            if byte == 1:
                pos += 1
                if had & 2:
                    entry.val_time = home[_HOME_NONE]
            else:
                at = 0
                if byte == 0x72:
                    if frame[pos + 1] != 0x62:
                        break
                    at = frame[pos + 2]
                    pos += 3
                    byte = frame[pos]
                if byte < 0x62 or byte > 0x65:
                    break
                if byte == 0x65 and wide == 4 and frame[pos + 1] > 127:
                    break
                number = 0
                pos += 1
                byte += pos - 0x61
                while pos < byte:
                    number = number << 8 | frame[pos]
                    pos += 1
                entry.val_time = (at, number)
                has |= 2
                if at == 0:
                    has |= 4
            if has & 4:
                entry.quirks = home[_HOME_BARE_TIME]
            elif had & 4:
                entry.quirks = ()
            places[slot + 3] = has
            size = 0x100  # unit
            byte = frame[pos]
            pos += 1
            if byte == 0x62:
                size = frame[pos]
                pos += 1
            elif byte != 1:
                break
            if places[slot + 1] != size:
                places[slot + 1] = size
                if size == 0x100:
                    entry.unit = home[_HOME_NONE]
                else:
                    entry.unit = size
            size = 0x100  # scaler
            byte = frame[pos]
            pos += 1
            if byte == 0x52:
                size = frame[pos]
                pos += 1
            elif byte != 1:
                break
            if places[slot + 2] != size:
                places[slot + 2] = size
                if size == 0x100:
                    entry.scaler = home[_HOME_NONE]
                else:
                    if size > 127:
                        size -= 256
                    entry.scaler = size
            byte = frame[pos]  # value
            pos += 1
            size = (byte & 15) - 1
            at = size
            if byte > 0x51 and byte < 0x6A and byte != 0x60 and byte != 0x61 and size <= 8:
                number = 0
                if frame[pos] > 127:
                    if byte < 0x60:
                        number = -1
                    elif size >= wide:
                        break
                if size > wide:
                    raws = home[_HOME_RAWS]
                    raw8 = ptr8(raws)
                    at = 8
                    while at > size:
                        at -= 1
                        raw8[at] = number
                    while at > 0:
                        at -= 1
                        raw8[at] = frame[pos]
                        pos += 1
                    value = raws[0]
                    entry.raw = value
                    entry.raw_sent = value
                else:
                    at += pos
                    while pos < at:
                        number = number << 8 | frame[pos]
                        pos += 1
                    entry.raw = number
                    entry.raw_sent = number
                byte = size
                size = 0
            elif byte == 0x42:
                if frame[pos]:
                    entry.raw = True
                    entry.raw_sent = True
                else:
                    entry.raw = False
                    entry.raw_sent = False
                pos += 1
                byte = 1
                size = 0
            elif byte < 16 or (byte > 0x7F and byte < 0x90):
                if byte > 0x7F:
                    size = ((byte & 15) << 4 | frame[pos]) - 2
                    pos += 1
                if size == 0:
                    entry.raw = home[_HOME_NONE]
                    entry.raw_sent = home[_HOME_NONE]
                byte = size
            else:
                break
            if places[slot] != byte:
                places[slot] = byte
                entry.width = byte
            if t + size > area:
                return 3
            if t >= valid or seen[t] != size:
                same = 0
                changed = 1
            seen[t] = size
            t += 1
            if size:
                differs = 1 - same
                at = pos
                size += pos
                while pos < size:
                    if seen[t] != frame[pos]:
                        seen[t] = frame[pos]
                        differs = 1
                    t += 1
                    pos += 1
                if differs:
                    changed = 1
                    value = home[_HOME_CUT](at, pos)
                    entry.raw = value
                    entry.raw_sent = value
            if frame[pos] != 1:  # signature
                same = 0  # `seen` was written beyond what is kept of it
                break
            pos += 1
            odd = 0
        if odd:
            places[slot] = 0xFFFF
            places[slot + 1] = 0xFFFF
            places[slot + 2] = 0xFFFF
            places[slot + 3] = 0xFFFF
            t = mark
            if t >= valid or seen[t] != _ODD:
                same = 0
                changed = 1
            seen[t] = _ODD
            t += 1
            pos = int(home[_HOME_ANY_FORM](index, begin))
            if pos < 0:
                changed = 1
                pos = 0 - pos
            if pos == 0:
                return 0
        index += 1
        slot += 4
    told = home[_HOME_TOLD]
    byte = frame[pos]
    size = byte & 15
    pos += 1
    if byte > 0x7F:
        size = (size << 4 | frame[pos]) - 1
        pos += 1
    elif byte > 15:
        return 0
    at = pos
    pos += size - 1
    if byte & 0x70 or frame[pos] != 1 or pos + 1 != state[_LIST_END]:
        return 0  # time of the gateway
    if pos > at:
        form |= 16
        told.signature = home[_HOME_CUT](at, pos)
    if count != state[_TOLD]:
        state[_TOLD] = count
        changed |= 2
    if state[_KERMIT]:
        form |= 2
    form |= state[_SHORT] << 2 | state[_TRANSPORT_KERMIT] << 3 | (state[_FILL] & 3) << 5
    if form != state[_FORM]:
        changed |= 4
        if form & 16 == 0:
            told.signature = home[_HOME_NONE]
    state[_FORM] = form
    pos = state[_FILL]
    told.length = pos
    event = home[_HOME_EVENT]
    event.length = pos
    told.messages = state[_MESSAGES]
    state[_KNOWN] = t
    return 16 | changed | state[_SUSPECT]
