"""The numbers of everything the device reports: answers, log entries, faults.

The one table of numbers; their names, severities and texts stand in `dicamm.code_texts`, which
the device never imports: it stores and sends numbers with arguments, the host renders them.
A number keeps its meaning for ever; one that falls out of use is not given away again.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


OK = const(0)

# 1..19: refused; nothing was switched, nothing recorded
UNKNOWN_ACTION = const(1)
BAD_UUID = const(2)
OTHER_OPEN = const(3)
NOT_OPEN = const(4)
METER_UNHEALTHY = const(5)
JOURNAL_FULL = const(6)
NOT_PROVISIONED = const(7)
INTERLOCKED = const(8)
NO_TARIFF_PROFILE = const(9)
BAD_TEXT = const(10)
BAD_TIME = const(11)
BAD_MESSAGE = const(12)
UNKNOWN_MESSAGE = const(13)
NOT_ALLOWED = const(14)
BAD_LIMIT = const(15)

# 20..39: bus and meter; the first eight in the order of proto.modbus.ERROR_NAMES
METER_TIMEOUT = const(20)
METER_SHORT = const(21)
METER_CRC = const(22)
METER_WRONG_UNIT = const(23)
METER_WRONG_FUNCTION = const(24)
METER_WRONG_LENGTH = const(25)
METER_WRONG_CONTENT = const(26)
METER_EXCEPTION = const(27)
METER_VALUE = const(28)
METER_LOST = const(29)
METER_BACK = const(30)

# 40..49: links and the HAN interface
HAN_CONNECTION = const(40)
HAN_TLS = const(41)
HAN_HTTP = const(42)
HAN_CONTENT = const(43)
HAN_SILENT = const(44)
HAN_REFUSED = const(45)
GATEWAY_TIME_UNSET = const(46)
ANNOUNCED = const(47)
ANNOUNCEMENT_REFUSED = const(48)
CBOR_MALFORMED = const(49)

# 50..59: records, journal, storage
RECORDED = const(50)
QUARTER_HOUR_MISSED = const(51)
RECORD_TORN = const(52)
STORAGE_FAILED = const(53)
SETTINGS_DAMAGED = const(54)

# 60..69: legal time
TIME_STATE = const(60)
TIME_STEPPED = const(61)

# 70..79: life cycle
BOOTED = const(70)
TASK_RESTARTED = const(71)
TASK_HUNG = const(72)
HANDED_OVER = const(73)
POWER_FAIL_FOUND = const(74)
INPUT_ACTIVE = const(75)
INPUT_QUIET = const(76)
UPDATE_REFUSED = const(77)
LIMIT_OVER = const(78)

# 80..89: the CLS channel
CHANNEL_OPEN = const(80)
CHANNEL_CLOSED = const(81)
CHANNEL_REFUSED = const(82)
CHANNEL_FAILED = const(83)


def from_modbus(error):
    """The code for an error of `proto.modbus` (index of its ERROR_NAMES, 0 none: OK)."""
    return METER_TIMEOUT - 1 + error if error else OK


def without_reading(code):
    """Whether the code says that the meter gives no reading now."""
    return code == METER_UNHEALTHY or METER_TIMEOUT <= code <= METER_VALUE
