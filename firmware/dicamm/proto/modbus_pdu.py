"""Modbus as numbers: functions, limits, verdicts, how a request is laid out, how long things take.

Knows the layout of single frames, on a serial line and over TCP. Knows nothing of a conversation:
that is modbus.py and modbus_tcp.py.
Sources: Modbus Application Protocol V1.1b3 (section 6: functions, section 7: exceptions);
Modbus over Serial Line V1.02 (section 2.5.1: RTU framing and silence).
"""

from dicamm.proto.crc import crc16_modbus

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


READ_HOLDING = const(3)
READ_INPUT = const(4)
WRITE_SINGLE = const(6)
WRITE_MULTIPLE = const(16)
EXCEPTION_FLAG = const(0x80)

MAX_READ = const(125)  # registers of one read
MAX_WRITE = const(123)  # registers of one write
MAX_FRAME = const(256)

EXCEPTION_LENGTH = const(5)  # unit, function, code, CRC
WRITE_REPLY_LENGTH = const(8)  # unit, function, address, count or value, CRC
READ_OVERHEAD = const(5)  # unit, function, byte count, CRC

# status of a transaction
IDLE = const(0)  # nothing asked yet
PENDING = const(1)
DONE = const(2)
FAILED = const(3)

# error, an index of ERROR_NAMES
NONE = const(0)
TIMEOUT = const(1)  # not one byte came
SHORT = const(2)  # a reply began and broke off
CRC = const(3)  # bytes that are no frame
WRONG_UNIT = const(4)  # a whole frame, of another unit
WRONG_FUNCTION = const(5)  # a whole frame, of another function, exceptions included
WRONG_LENGTH = const(6)  # a whole frame, with another byte count
WRONG_CONTENT = const(7)  # a write confirmed with another address, value or count
EXCEPTION = const(8)  # the unit said no

ERROR_NAMES = (
    "none",
    "timeout",
    "short",
    "crc",
    "wrong unit",
    "wrong function",
    "wrong length",
    "wrong content",
    "exception",
)


def check_target(address, count, limit):
    """Raises ValueError when no Modbus request can name these registers."""
    if not 1 <= count <= limit:
        raise ValueError("Modbus register count")
    if not 0 <= address <= 0x10000 - count:
        raise ValueError("Modbus address")


def put_head(frame, at, unit, function, address, word):
    """The six bytes that every request begins with, from frame[at] on. Returns their end."""
    frame[at] = unit
    frame[at + 1] = function
    put_word(frame, at + 2, address)
    return put_word(frame, at + 4, word)


def put_word(frame, at, word):
    """One 16-bit word, big endian. Returns its end. Raises ValueError when it does not fit."""
    if not 0 <= word <= 0xFFFF:
        raise ValueError("Modbus register value 0..65535")
    frame[at] = word >> 8
    frame[at + 1] = word & 0xFF
    return at + 2


def put_write_single(frame, at, unit, address, value):
    """Function 6 from frame[at] on. Returns its end. Raises ValueError."""
    check_target(address, 1, 1)
    return put_head(frame, at, unit, WRITE_SINGLE, address, value)


def put_write_multiple(frame, at, unit, address, values):
    """Function 16 from frame[at] on. Returns its end. Raises ValueError."""
    count = len(values)
    check_target(address, count, MAX_WRITE)
    at = put_head(frame, at, unit, WRITE_MULTIPLE, address, count)
    frame[at] = 2 * count
    at += 1
    for value in values:
        at = put_word(frame, at, value)
    return at


def put_crc(frame, length):
    """The CRC behind `length` bytes, low byte first. Returns the length with it."""
    crc = crc16_modbus(frame, 0, length)
    frame[length] = crc & 0xFF
    frame[length + 1] = crc >> 8
    return length + 2


def crc_fits(frame, start, end):
    """Whether the last two bytes of frame[start:end] are the CRC of those before them."""
    return crc16_modbus(frame, start, end) == 0  # what is left of a CRC over its own bytes


def same_bytes(one, at, other, first, count):
    """Whether one[at : at + count] equals other[first : first + count]; copies nothing."""
    index = 0
    while index < count and one[at + index] == other[first + index]:
        index += 1
    return index >= count


def mismatch(reply, at, request, first, count):
    """The error that tells how the whole reply at reply[at] differs from the one asked for.

    request[first]: where the request's unit stands; count: registers of a read, 0 for a write.
    """
    if reply[at] != request[first]:
        return WRONG_UNIT
    if reply[at + 1] != request[first + 1]:
        return WRONG_FUNCTION
    return WRONG_LENGTH if count else WRONG_CONTENT


def reply_length(function, third):
    """Bytes of a serial reply with this function and third byte; 0 where they do not tell."""
    if function & EXCEPTION_FLAG:
        return EXCEPTION_LENGTH
    if 1 <= function <= 4 or function == 23:
        return READ_OVERHEAD + third
    if function == 5 or function == 6 or function == 15 or function == 16:
        return WRITE_REPLY_LENGTH
    return 0


def silence_us(baud):
    """The silence around a frame: 3.5 characters of 11 bits, above 19200 Bd fixed 1750 us."""
    if baud > 19200:
        return 1750
    return (38500000 + baud - 1) // baud


def wire_time_us(nbytes, baud, bits_per_char=11):
    """How long `nbytes` take on the line, rounded up to whole microseconds."""
    return (nbytes * bits_per_char * 1000000 + baud - 1) // baud


def registers_within(budget_us, baud, bits_per_char=11):
    """The most registers (at least 4, one value of 64 bits) of a read that is over, with the
    silence before its reply and behind it, within budget_us."""
    chars = (budget_us - 2 * silence_us(baud)) * baud // (bits_per_char * 1000000)
    return min(max((chars - 8 - READ_OVERHEAD) // 2, 4), MAX_READ)
