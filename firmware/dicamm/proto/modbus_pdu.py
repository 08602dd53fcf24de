"""Modbus as numbers: function codes, limits, how a request is laid out, how long things take.

Knows the layout of single frames. Knows nothing of a conversation: that is modbus.py.
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

MAX_UNIT = const(247)
MAX_READ = const(125)  # registers of one read
MAX_WRITE = const(123)  # registers of one write
MAX_FRAME = const(256)

EXCEPTION_LENGTH = const(5)  # unit, function, code, CRC
WRITE_REPLY_LENGTH = const(8)  # unit, function, address, count or value, CRC
READ_OVERHEAD = const(5)  # unit, function, byte count, CRC


def check_target(unit, address, count, limit):
    """Raises ValueError when no Modbus request can say this; 0 (broadcast) has no reply, so no."""
    if not 1 <= unit <= MAX_UNIT:
        raise ValueError("Modbus unit 1..247")
    if not 1 <= count <= limit:
        raise ValueError("Modbus register count")
    if not 0 <= address <= 0x10000 - count:
        raise ValueError("Modbus address")


def check_word(value):
    """Raises ValueError when `value` does not fit one register."""
    if not 0 <= value <= 0xFFFF:
        raise ValueError("Modbus register value 0..65535")


def put_head(frame, unit, function, address, word):
    """The six bytes that every request begins with."""
    frame[0] = unit
    frame[1] = function
    frame[2] = address >> 8
    frame[3] = address & 0xFF
    frame[4] = word >> 8
    frame[5] = word & 0xFF


def put_word(frame, at, word):
    """One 16-bit word, big endian."""
    frame[at] = word >> 8
    frame[at + 1] = word & 0xFF


def put_crc(frame, length):
    """The CRC behind `length` bytes, low byte first. Returns the length with it."""
    crc = crc16_modbus(frame, 0, length)
    frame[length] = crc & 0xFF
    frame[length + 1] = crc >> 8
    return length + 2


def crc_fits(frame, start, end):
    """Whether the last two bytes of frame[start:end] are the CRC of those before them."""
    return crc16_modbus(frame, start, end) == 0  # what is left of a CRC over its own bytes


def reply_length(function, third):
    """Bytes of a reply with this function and third byte; 0 where they do not tell."""
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
