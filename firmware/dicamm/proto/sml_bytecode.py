"""The transport loop of SML in bytecode: finds what `sml_take_viper.take` finds, with bytes.find.

Works on the buffers of `sml_transport`; `state` is laid out as `sml_state` says, RUN is here how
far the buffer has been searched for escapes.
"""

from dicamm.proto.crc import crc16_x25

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_WHY = const(0)
_IN_FRAME = const(1)
_MATCHED = const(2)
_CLEAN = const(3)
_START = const(4)
_SHIFT = const(5)
_FILL = const(6)
_RUN = const(7)
_CRC = const(8)
_LITERALS = const(9)
_END = const(10)
_LIMIT = const(11)
_HELD = const(12)
_POS = const(13)
_DONE = const(14)
_FIRST_OF_FRAME = const(15)
_LAST_OF_FRAME = const(28)
_BEGUN = const(1)
_ENDED_ODD = const(2)
_RESTART = const(3)
_BAD_ESCAPE = const(4)
_FULL = const(5)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_GOOD_CRC = const(0xF0B8)

_ESCAPE = b"\x1b\x1b\x1b\x1b"
_BEGIN_BYTES = b"\x01\x01\x01\x01"
_START_BYTES = _ESCAPE + _BEGIN_BYTES
_END_MARK = 0x1A
_MAX_FILL = 3


def take(at, end, _crc, data, home):
    """Takes data[at:end] up to the first thing to be dealt with, named in state[WHY].

    Searches for a start sequence, then copies into the frame's buffer behind FILL. Returns the
    index behind what was taken. A good frame is HELD, WHY then 0; state[END] is the end of its
    messages, without fill bytes; so after ENDED_ODD. `data` may be the buffer itself, ahead of
    its fill. The argument without use is a register of the machine-code version.
    """
    state = home[_HOME_STATE]
    frame = home[_HOME_FRAME]
    state[_WHY] = 0
    if not state[_IN_FRAME]:
        at = _search(at, state, data, end)
        if state[_MATCHED] < len(_START_BYTES):
            return at
        frame[: len(_START_BYTES)] = _START_BYTES
        _begin(state)
        state[_START] = at - len(_START_BYTES) + state[_SHIFT]
        if not state[_CLEAN]:
            state[_WHY] = _BEGUN
            return at
        state[_CLEAN] = 0
    fill = state[_FILL]
    searched = max(len(_START_BYTES), state[_RUN])
    chunk = bytes(data[at : min(end, at + state[_LIMIT] - fill)])
    window = bytes(frame[searched:fill]) + chunk
    count = _look_for_escape(state, window, searched) - (fill - searched)
    frame[fill : fill + count] = chunk[:count]
    state[_FILL] = fill + count
    if state[_WHY] == _ENDED_ODD:
        _end(state, frame)
    elif not state[_WHY] and state[_FILL] == state[_LIMIT]:
        state[_WHY] = _FULL
    return at + count


def _begin(state):
    for place in range(_FIRST_OF_FRAME, _LAST_OF_FRAME + 1):
        state[place] = 0
    state[_IN_FRAME] = 1
    state[_FILL] = state[_POS] = state[_DONE] = len(_START_BYTES)
    state[_MATCHED] = state[_RUN] = state[_LITERALS] = 0


def _search(at, state, data, end):
    """The index behind a start sequence (then MATCHED is its length), or `end`."""
    matched = state[_MATCHED]
    if not matched and data[at : min(end, at + len(_START_BYTES))] == _START_BYTES:
        state[_MATCHED] = len(_START_BYTES)
        return at + len(_START_BYTES)
    while at < end and matched < len(_START_BYTES):
        byte = data[at]
        at += 1
        if (byte == 0x1B and matched < 4) or (byte == 1 and matched >= 4):
            matched += 1
            continue
        state[_CLEAN] = 0
        if byte == 0x1B:
            matched = 4 if matched == 4 else 1
        else:
            matched = 0
    state[_MATCHED] = matched
    return at


def _look_for_escape(state, window, place):
    """The index in `window` behind the first escape that is no literal, else its length."""
    at = 0
    while True:
        found = window.find(_ESCAPE, at)
        if found < 0 or found + 8 > len(window):
            break
        after = window[found + 4 : found + 8]
        if after != _ESCAPE:
            if after[0] == _END_MARK:
                state[_WHY] = _ENDED_ODD
            else:
                state[_WHY] = _RESTART if after == _BEGIN_BYTES else _BAD_ESCAPE
            return found + 8
        state[_LITERALS] += 1
        at = found + 8
    state[_RUN] = place + (max(at, len(window) - 3) if found < 0 else found)
    return len(window)


def _end(state, frame):
    fill = state[_FILL]
    padding = frame[fill - 3]
    state[_END] = fill - 8 - padding
    state[_CRC] = crc16_x25(frame, 0, fill) ^ 0xFFFF
    if state[_CRC] == _GOOD_CRC and padding <= _MAX_FILL and state[_END] >= len(_START_BYTES):
        state[_WHY] = state[_IN_FRAME] = 0
        state[_CLEAN] = state[_HELD] = 1
