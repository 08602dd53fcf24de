# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The transport loop of SML in machine code: MicroPython only, compiled by mpy-cross for the
board's processor, or at import where the image has a compiler that emits it.

Buffers are trusted to be as long as `state` says, places in it are those of `sml_state`. What is
used in a loop comes first: viper keeps the first three variables in registers. The CRC is left
to `sml_skim_viper`, which needs it at the borders of messages, and finished here.
"""

import micropython
from micropython import const

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
_LEFT = const(15)
_PART = const(16)
_MESSAGES = const(20)
_OPEN = const(21)
_CLOSE = const(22)
_LIST = const(23)
_KERMIT = const(25)
_SHORT = const(26)
_SLOW = const(27)
_TRANSPORT_KERMIT = const(28)
_CRC_AT = const(36)
_UNFIT = const(37)
_BEGUN = const(1)
_ENDED_ODD = const(2)
_RESTART = const(3)
_BAD_ESCAPE = const(4)
_FULL = const(5)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_TABLES = const(2)
_HOME_SKIM = const(14)
_START_CRC = const(0x91DC)
_GOOD_CRC = const(0xF0B8)


@micropython.viper
def take(at: int, fill: int, byte: int, source, home) -> int:
    """See sml_bytecode.take; RUN counts the bytes at the end that may belong to an escape."""
    end = fill
    state = ptr32(home[_HOME_STATE])
    frame = ptr8(home[_HOME_FRAME])
    data = ptr8(source)
    fill = state[_FILL]
    state[_WHY] = 0
    while at < end:
        if state[_IN_FRAME] == 0:
            matched = state[_MATCHED]
            while at < end and matched < 8:
                byte = data[at]
                at += 1
                if byte == 0x1B:
                    if matched < 4:
                        matched += 1
                    else:
                        matched = 4 if matched == 4 else 1
                        state[_CLEAN] = 0
                elif byte == 1 and matched >= 4:
                    matched += 1
                else:
                    matched = 0
                    state[_CLEAN] = 0
            state[_MATCHED] = matched
            if matched < 8:
                break
            fill = 0
            while fill < 4:
                frame[fill] = 0x1B
                frame[fill + 4] = 1
                fill += 1
            fill = 8
            state[_CRC] = _START_CRC
            state[_CRC_AT] = 8
            state[_START] = at - 8 + state[_SHIFT]
            state[_IN_FRAME] = 1
            state[_POS] = 8
            state[_DONE] = 8
            state[_MATCHED] = 0
            state[_RUN] = 0
            state[_LITERALS] = 0
            state[_LEFT] = 0
            state[_PART] = 0
            state[_MESSAGES] = 0
            state[_OPEN] = 0
            state[_CLOSE] = 0
            state[_LIST] = 0
            state[_SHORT] = 0
            state[_KERMIT] = 0
            state[_TRANSPORT_KERMIT] = 0
            state[_SLOW] = 0
            if state[_CLEAN] == 0:
                state[_WHY] = _BEGUN
                break
            state[_CLEAN] = 0
        stop = at + state[_LIMIT] - fill
        if stop > end:
            stop = end
        run = state[_RUN]
        while at < stop:
            if run == 0:
                last = stop - 3
                while at < last:  # four bytes at a time: an escape has one of its own as fourth
                    byte = data[at + 3]
                    if byte == 0x1B:
                        break
                    frame[fill + 3] = byte
                    frame[fill] = data[at]
                    frame[fill + 1] = data[at + 1]
                    frame[fill + 2] = data[at + 2]
                    at += 4
                    fill += 4
                if at >= stop:
                    break
            byte = data[at]
            frame[fill] = byte
            at += 1
            fill += 1
            if run < 4:
                run = run + 1 if byte == 0x1B else 0
            else:
                run += 1
                if run == 8:
                    run = 0
                    byte = frame[fill - 4]
                    same = byte == frame[fill - 3] and byte == frame[fill - 2]
                    if byte == 0x1A:
                        state[_WHY] = _ENDED_ODD
                        break
                    if same and byte == frame[fill - 1] and byte == 0x1B:
                        state[_LITERALS] += 1
                    else:
                        state[_WHY] = _BAD_ESCAPE
                        if same and byte == frame[fill - 1] and byte == 1:
                            state[_WHY] = _RESTART
                        break
        state[_RUN] = run
        if state[_WHY]:
            if state[_WHY] == _ENDED_ODD:
                byte = frame[fill - 3]
                state[_END] = fill - 8 - byte
                state[_UNFIT] = 9
                sound = byte < 4 and fill >= 16 + byte
                if sound:
                    state[_UNFIT] = int(home[_HOME_SKIM](state[_END], 0, 0, home))
                table = ptr16(home[_HOME_TABLES])
                byte = state[_CRC]
                place = state[_CRC_AT]
                while place < fill:
                    byte = (byte >> 8) ^ table[(byte ^ frame[place]) & 0xFF]
                    place += 1
                state[_CRC] = byte
                if byte == _GOOD_CRC and sound:
                    state[_WHY] = 0
                    state[_IN_FRAME] = 0
                    state[_CLEAN] = 1
                    state[_HELD] = 1
            break
        if fill == state[_LIMIT]:
            state[_WHY] = _FULL
            break
    state[_FILL] = fill
    return at
