# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""Structure and checksums of SML messages in machine code; as `sml_take_viper`.

Every byte goes through one CRC register, which begins with the frame and serves its checksum too.
A message's own follows from the register at its begin and its end, as CRC is linear: what stood
in it at the begin is carried over as many zero bytes, 16 at a time, and taken away (Williams
1993, chapter 11; tables of `sml_loops`).
"""

import micropython
from micropython import const

_CRC = const(8)
_LITERALS = const(9)
_POS = const(13)
_DONE = const(14)
_LEFT = const(15)
_PART = const(16)
_MESSAGE = const(17)
_BODY = const(18)
_BODY_END = const(19)
_MESSAGES = const(20)
_OPEN = const(21)
_CLOSE = const(22)
_LIST = const(23)
_LIST_END = const(24)
_KERMIT = const(25)
_SHORT = const(26)
_SLOW = const(27)
_CRC_AT = const(36)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_TABLES = const(2)


@micropython.viper
def skim(pos: int, left: int, byte: int, home) -> int:
    """Passes over messages in the frame up to `pos`, whole and begun ones, and checks them.

    Goes on where it stopped. Notes where the fields of open, value list and close begin.
    state[SLOW]: structure, a checksum or a kind of message is not of the common form; what
    follows is not looked at. Returns 0 where a value list was there and the last message is whole.
    """
    state = ptr32(home[_HOME_STATE])
    frame = ptr8(home[_HOME_FRAME])
    pairs = ptr16(home[_HOME_FRAME])  # low byte first, as on every board
    table = ptr16(home[_HOME_TABLES])
    limit = pos
    pos = state[_POS]
    left = state[_LEFT]
    part = state[_PART]
    if state[_SLOW] or state[_LITERALS] or state[_DONE] > limit:
        return 9
    state[_SLOW] = 1
    while True:
        while left > 0:
            byte = frame[pos]
            if byte < 0x70:
                byte &= 15
                pos += byte
                if pos > limit:
                    pos -= byte
                    break
                if byte == 0:
                    if pos == limit:
                        break
                    return 9
                left -= 1
            elif byte < 0x80:
                if pos == limit:
                    break
                left += (byte & 15) - 1
                pos += 1
            else:
                if pos + 2 > limit:
                    break
                size = (byte & 15) << 4 | frame[pos + 1]
                if frame[pos + 1] > 15:
                    return 9
                if byte & 0x70 == 0x70:
                    left += size - 1
                    pos += 2
                else:
                    if size < 2:
                        return 9
                    if pos + size > limit:
                        break
                    pos += size
                    left -= 1
        if left > 0:
            break
        if part == 0:
            while pos < limit and frame[pos] == 0:
                pos += 1
            if pos >= limit:
                break
            if frame[pos] != 0x76:
                return 9
            state[_MESSAGE] = pos
            pos += 1
            left = 3  # transaction id, group number, what to do on errors
            part = 1
        elif part == 1:
            state[_BODY] = pos
            left = 1
            part = 2
        elif part == 2:
            state[_BODY_END] = pos
            left = 1
            part = 3
        else:
            if pos >= limit:
                break
            end = state[_BODY_END]
            size = frame[end] - 0x61  # bytes of the checksum
            if frame[pos] or size < 1 or size > 2 or pos != end + size + 1:
                return 9
            sent = frame[end + 1] << 8  # 0x00nn may come as nn
            if size == 2:
                sent = sent >> 8 | frame[end + 2] << 8
            left = state[_CRC_AT]
            byte = state[_CRC]
            goal = state[_MESSAGE]
            first = 0
            while True:
                if left & 1 and left < goal:
                    byte = (byte >> 8) ^ table[(byte ^ frame[left]) & 0xFF]
                    left += 1
                left >>= 1
                last = goal >> 1
                while left < last:
                    byte ^= pairs[left]
                    byte = table[256 + (byte & 0xFF)] ^ table[byte >> 8]
                    left += 1
                left <<= 1
                if left < goal:
                    byte = (byte >> 8) ^ table[(byte ^ frame[left]) & 0xFF]
                    left += 1
                if goal == end:
                    break
                first = byte
                goal = end
            state[_CRC_AT] = end
            state[_CRC] = byte
            crc = byte
            init = 0xFFFF
            while True:
                byte = first ^ init
                left = end - state[_MESSAGE]
                while left > 15:
                    high = table[544 + (byte >> 8 & 15)] ^ table[560 + (byte >> 12)]
                    byte = table[512 + (byte & 15)] ^ table[528 + (byte >> 4 & 15)] ^ high
                    left -= 16
                while left > 1:
                    byte = table[256 + (byte & 0xFF)] ^ table[byte >> 8]
                    left -= 2
                if left:
                    byte = (byte >> 8) ^ table[byte & 0xFF]
                byte ^= crc
                if init:
                    if byte ^ 0xFFFF == sent:
                        break
                    init = 0  # not X-25 low byte first: Kermit high byte first?
                elif (byte & 0xFF) << 8 | byte >> 8 == sent:
                    state[_KERMIT] = 1
                    break
                else:
                    return 9
            left = 0
            if size == 1:
                state[_SHORT] = 1
            body = state[_BODY]
            size = frame[body + 1] - 0x61  # bytes of the number that tells the kind
            if frame[body] != 0x72 or size < 1 or size > 4:
                return 9
            body += 2
            kind = 0
            while size > 0:
                kind = kind << 8 | frame[body]
                body += 1
                size -= 1
            if kind == 0x0701 and state[_LIST] == 0:
                state[_LIST] = body
                state[_LIST_END] = end
            elif kind == 0x0101:
                state[_OPEN] = body
            elif kind == 0x0201:
                state[_CLOSE] = body
            else:
                return 9
            pos += 1
            state[_DONE] = pos
            state[_MESSAGES] += 1
            part = 0
    state[_SLOW] = 0
    state[_POS] = pos
    state[_LEFT] = left
    state[_PART] = part
    if state[_LIST] == 0:
        return 9
    return part
