"""A switching command: where it came from decides nothing here, its form does.

Pure. Turns what arrived (JSON from the gateway, CBOR from the bench) into a Command or a code.
"""

from dicamm import codes
from dicamm.metering import record
from dicamm.metering.legal_time import is_utc_ms

LIMIT = "limit"  # a change that binds the relay for a time
ACTIONS = {
    "begin": record.BEGIN,
    "end": record.END,
    "change": record.CHANGE,
    LIMIT: record.CHANGE,
}


class Command:
    """action: record.BEGIN, END or CHANGE (of a limit); uuid: 16 bytes of the transaction, or of
    the change; text: up to 64 bytes of UTF-8; event_ms: UTC the caller gave for the event, or
    None; duration_s: of a limit of limit_w, 0 where it is none."""

    def __init__(self, action, uuid, text, event_ms, limit_w=0, duration_s=0):
        self.limit_w = limit_w
        self.duration_s = duration_s
        self.action = action
        self.uuid = uuid
        self.text = text
        self.event_ms = event_ms


class Answer:
    """code: 0 or a number of `codes`; seq: sequence number of the record made, or None;
    text: for people."""

    def __init__(self, code, seq=None, text=""):
        self.code = code
        self.seq = seq
        self.text = text


def parse(action, uuid, text, event_ms, limit_w=0, duration_s=0):
    """(Command, 0), or (None, code) saying which part is wrong."""
    if not isinstance(action, str) or action not in ACTIONS:
        return None, codes.UNKNOWN_ACTION
    if not isinstance(uuid, bytes) or len(uuid) != 16:
        return None, codes.BAD_UUID
    text = _text("" if text is None else text)
    if text is None:
        return None, codes.BAD_TEXT
    if event_ms is not None and not is_utc_ms(event_ms):
        return None, codes.BAD_TIME
    if action != LIMIT:
        return Command(ACTIONS[action], uuid, text, event_ms), 0
    from dicamm.control.limit import fault  # here: few devices are ever limited

    code = fault(limit_w, duration_s)
    if code:
        return None, code
    return Command(ACTIONS[action], uuid, text, event_ms, limit_w, duration_s), 0


def _text(text):
    """A text a record can hold, or None for what is no text, too long, or no Unicode."""
    if not isinstance(text, str) or len(text) > record.MAX_TEXT:
        return None
    text = _join_surrogates(text)
    return None if text is None or len(text.encode()) > record.MAX_TEXT else text


def _join_surrogates(text):
    """`text` with both halves of each pair joined, as MicroPython's JSON reader leaves them
    (RFC 8259 section 7: `\\ud83d\\udd0c` is one character), or None where a half stands alone."""
    joined = ""
    high = 0
    for character in text:
        number = ord(character)
        low = 0xDC00 <= number < 0xE000
        if low != bool(high):
            return None
        if low:
            joined += chr(0x10000 + ((high - 0xD800) << 10) + number - 0xDC00)
            high = 0
        elif 0xD800 <= number < 0xDC00:
            high = number
        else:
            joined += character
    return None if high else joined


def uuid_from_text(text):
    """16 bytes from the 36-character form of RFC 9562, or None."""
    if not isinstance(text, str) or len(text) != 36:
        return None
    digits = ""
    for index in range(36):
        if index in (8, 13, 18, 23):
            if text[index] != "-":
                return None
        elif text[index] in "0123456789abcdefABCDEF":
            digits += text[index]
        else:
            return None
    return bytes(int(digits[i : i + 2], 16) for i in range(0, 32, 2))


def uuid_text(uuid):
    """The 36-character form of 16 bytes."""
    digits = "".join("%02x" % byte for byte in uuid)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
