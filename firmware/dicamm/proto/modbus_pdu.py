"""Modbus as numbers: functions, limits, status and verdicts, with their names.

For those who talk of a transaction. The device's own modules have the numbers inlined, which
costs them nothing.
Source: Modbus Application Protocol V1.1b3 (section 6: functions, section 7: exceptions).
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


READ_HOLDING = const(3)
READ_INPUT = const(4)
WRITE_SINGLE = const(6)
WRITE_MULTIPLE = const(16)

MAX_READ = const(125)  # registers of one read
MAX_WRITE = const(123)  # registers of one write

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
