"""What stands in captured Modbus RTU bytes, frame by frame, as plain data for JSON.

Runs on CPython and, as a script, in the device's interpreter: bytes on stdin, one JSON text on
stdout. Frames are told apart by their length and CRC alone, for a capture has no time. Beside
every read or write stands the verdict of the device's own client on the bytes that follow it.
MicroPython subset. Sources: Modbus Application Protocol V1.1b3; Modbus over Serial Line V1.02.
"""

import json
import sys

from dicamm.proto import modbus, modbus_pdu
from dicamm.proto.crc import crc16_modbus

FUNCTIONS = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write single coil",
    6: "write single register",
    8: "diagnostics",
    15: "write multiple coils",
    16: "write multiple registers",
    17: "report server id",
    22: "mask write register",
    23: "read and write registers",
    43: "encapsulated interface",
}
EXCEPTIONS = {  # Modbus Application Protocol V1.1b3, section 7
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
MAX_FRAME = 256
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 8: 8, 17: 4, 22: 10, 43: 7}
_SAME_REPLY = {5: 8, 6: 8, 8: 8, 15: 8, 16: 8, 22: 10}
_COUNTED_REPLY = (1, 2, 3, 4, 17, 23)

REQUEST = "request"
REPLY = "reply"
EXCEPTION = "exception"
BROKEN = "broken"  # as long as a frame that was due, but its CRC is wrong
CUT = "truncated"  # begins like the reply that was due, and breaks off
NOISE = "noise"


def document(data):
    """The frames in `data`, in order: {"frames": [...], "counts": {kind: number}}.

    A frame: offset, length, kind, raw (hex), and what is known of unit, function, function_name,
    address, count, registers (hex words), exception, exception_name, crc ("ok", "bad", None),
    crc_sent, crc_computed, request (offset of what it answers), device (of a request: "none" when
    the device takes the reply, else its error), note.
    """
    frames = []
    pending = None
    noise = 0
    at = 0
    while at < len(data):
        length, kind = _frame_at(data, at, pending)
        if not length:
            at += 1
            continue
        if noise < at:
            frames.append(_remains(data, noise, at, pending))
        frame = _describe(data, at, length, kind, pending)
        frames.append(frame)
        if kind == REQUEST:
            if pending and pending["raw"] == frame["raw"]:
                echo = pending["offset"] + pending["length"] == at
                frame["note"] = "its echo, or asked again" if echo else "asked again"
            pending = frame if frame["unit"] else None
        elif frame.get("request") is not None:
            pending = None
        at += length
        noise = at
    if noise < at:
        frames.append(_remains(data, noise, at, pending))
    _judge(data, frames)
    counts = {}
    for frame in frames:
        counts[frame["kind"]] = counts.get(frame["kind"], 0) + 1
    return {"frames": frames, "counts": counts}


def _frame_at(data, at, pending):
    """(length, kind) of the whole frame that begins at `at`; (0, "") where none does."""
    if at + 4 > len(data) or data[at] > 247:
        return 0, ""
    found = 0, ""
    for kind, length in ((REQUEST, _request_length(data, at)), (REPLY, _reply_length(data, at))):
        if not _whole(data, at, length):
            continue
        if kind == REPLY and data[at + 1] & 0x80:
            kind = EXCEPTION
        if not found[0] or (kind != REQUEST and _answers(data, at, pending)):
            found = length, kind
    return found


def _whole(data, at, length):
    if not 4 <= length <= MAX_FRAME or at + length > len(data):
        return False
    return crc16_modbus(data, at, at + length) == 0


def _request_length(data, at):
    function = data[at + 1]
    if function == 15 or function == 16:
        return 9 + data[at + 6] if at + 6 < len(data) else 0
    if function == 23:
        return 13 + data[at + 10] if at + 10 < len(data) else 0
    return _FIXED.get(function, 0)


def _reply_length(data, at):
    function = data[at + 1]
    if function & 0x80:
        return 5
    if function in _COUNTED_REPLY:
        return 5 + data[at + 2]
    if function == 43:
        return _identification_length(data, at)
    return _SAME_REPLY.get(function, 0)


def _identification_length(data, at):
    """Of a reply to function 43/14: the objects tell their lengths one by one."""
    if at + 8 > len(data) or data[at + 2] != 14:
        return 0
    end = at + 8
    for _ in range(data[at + 7]):
        if end + 2 > len(data):
            return 0
        end += 2 + data[end + 1]
    return end + 2 - at


def _answers(data, at, pending):
    """Whether a frame can be the reply to the pending request."""
    if pending is None or data[at] != pending["unit"]:
        return False
    return data[at + 1] & 0x7F == pending["function"]


def _describe(data, at, length, kind, pending):
    frame = _bare(data, at, at + length, kind)
    frame["crc"] = "ok"
    unit, function = data[at], data[at + 1]
    frame["unit"] = unit
    frame["function"] = function & 0x7F
    frame["function_name"] = FUNCTIONS.get(function & 0x7F, "unknown")
    if kind == REQUEST:
        _describe_request(frame, data, at, function)
        return frame
    if pending is not None and _answers(data, at, pending):
        frame["request"] = pending["offset"]
    elif pending is not None and unit == pending["unit"]:
        frame["note"] = "reply of another function than asked for"
    elif pending is not None:
        frame["note"] = "reply of another unit than asked"
    else:
        frame["note"] = "its request is not in the capture"
    if kind == EXCEPTION:
        frame["exception"] = data[at + 2]
        frame["exception_name"] = EXCEPTIONS.get(data[at + 2], "unknown to the standard")
    elif function in (3, 4, 23):
        frame["registers"] = _words(data, at + 3, at + length - 2)
        _compare(frame, pending, data[at + 2])
    elif function in (5, 6, 15, 16):
        frame["address"] = _word(data, at + 2)
    elif function == 43:
        frame["objects"] = _objects(data, at)
    return frame


def _describe_request(frame, data, at, function):
    if function in (1, 2, 3, 4, 5, 6, 15, 16, 22, 23):
        frame["address"] = _word(data, at + 2)
    if function in (1, 2, 3, 4, 15, 16, 23):
        frame["count"] = _word(data, at + 4)
    if function == 6:
        frame["registers"] = _words(data, at + 4, at + 6)
    if function == 16:
        frame["registers"] = _words(data, at + 7, at + 7 + data[at + 6])
    if frame["unit"] == 0:
        frame["note"] = "broadcast: nobody answers"


def _compare(frame, pending, size):
    if "request" not in frame or pending["count"] is None:
        return
    frame["address"] = pending["address"]
    frame["count"] = size // 2
    if size != 2 * pending["count"]:
        wanted = pending["count"]
        frame["note"] = f"{size // 2} registers where {wanted} were asked for"


def _objects(data, at):
    objects = []
    end = at + 8
    for _ in range(data[at + 7]):
        text = bytes(data[end + 2 : end + 2 + data[end + 1]])
        objects.append([data[end], "".join([chr(byte) for byte in text])])
        end += 2 + data[end + 1]
    return objects


def _remains(data, start, end, pending):
    """The bytes between two whole frames: a broken frame where the length fits, else noise."""
    length = end - start
    kind = NOISE
    if length >= 4 and length in _expected(data, start, pending):
        kind = BROKEN
    elif pending is not None and length >= 1 and data[start] == pending["unit"]:
        due = _expected(data, start, pending)
        begun = length < 2 or data[start + 1] & 0x7F == pending["function"]
        if begun and due and length < due[0]:
            kind = CUT
    frame = _bare(data, start, end, kind)
    if kind == BROKEN:
        computed = crc16_modbus(data, start, end - 2)
        frame["crc"] = "bad"
        frame["crc_sent"] = f"{data[end - 2] | data[end - 1] << 8:04X}"
        frame["crc_computed"] = f"{computed:04X}"
    if kind != NOISE:
        frame["unit"] = data[start]
        if length > 1:
            frame["function"] = data[start + 1] & 0x7F
            frame["function_name"] = FUNCTIONS.get(data[start + 1] & 0x7F)
    return frame


def _expected(data, start, pending):
    """Lengths a frame here may have, that of the reply that is due first."""
    lengths = []
    if pending is not None:
        if pending["function"] in (3, 4) and pending["count"] is not None:
            lengths.append(5 + 2 * pending["count"])
        else:
            lengths.append(_SAME_REPLY.get(pending["function"], 0))
        if start + 1 < len(data) and data[start + 1] & 0x80:
            lengths.insert(0, 5)
    if start + 4 <= len(data):
        lengths.append(_request_length(data, start))
        lengths.append(_reply_length(data, start))
    return [length for length in lengths if length]


def _bare(data, start, end, kind):
    frame = {
        "offset": start,
        "length": end - start,
        "kind": kind,
        "raw": _hex(data, start, end),
    }
    for key in ("unit", "function", "function_name", "address", "count", "registers"):
        frame[key] = None
    frame["crc"] = None
    frame["note"] = None
    return frame


def _judge(data, frames):
    """Lets the device's client look at what follows each request it can make itself."""
    client = modbus.RtuClient()
    for index, frame in enumerate(frames):
        if frame["kind"] != REQUEST or frame["unit"] == 0:
            continue
        end = _turn_ends(data, frames, index)
        try:
            _ask(client, frame)
        except ValueError:
            continue  # a request that no client of ours makes
        client.feed(bytes(data[frame["offset"] + frame["length"] : end]))
        client.timeout()
        frame["device"] = modbus_pdu.ERROR_NAMES[client.error]


def _turn_ends(data, frames, index):
    """Where the next request begins; one echo right behind the request belongs to its turn."""
    request = frames[index]
    for later in frames[index + 1 :]:
        if later["kind"] == REQUEST:
            behind = later["offset"] == request["offset"] + request["length"]
            if not behind or later["raw"] != request["raw"]:
                return later["offset"]
    return len(data)


def _ask(client, frame):
    unit, function, address = frame["unit"], frame["function"], frame["address"]
    if function == 3 or function == 4:
        client.read(unit, function, address, frame["count"])
    elif function == 6:
        client.write_single(unit, address, int(frame["registers"], 16))
    elif function == 16:
        words = frame["registers"].split(" ")
        client.write_multiple(unit, address, [int(word, 16) for word in words])
    else:
        raise ValueError("not a request of the device")


def _word(data, at):
    return data[at] << 8 | data[at + 1]


def _words(data, start, end):
    return " ".join([f"{_word(data, at):04X}" for at in range(start, end - 1, 2)])


def _hex(data, start, end):
    return " ".join([f"{byte:02X}" for byte in data[start:end]])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(sys.stdin.buffer.read())))
