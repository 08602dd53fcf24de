"""How a Modbus request is laid out that is no read of a serial line: writes, and reads over TCP.

Source: Modbus Application Protocol V1.1b3 (section 6).
"""

from dicamm.proto.modbus_loops import crc16

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_MAX_WRITE = const(123)  # of modbus_pdu
_TX_SIZE = const(256)


def begin(client, unit, address, values):
    """The request (memoryview) of an RtuClient that sets registers: values is one, or a list."""
    if not 1 <= unit <= 247:
        raise ValueError("Modbus unit 1..247")  # 0 is a broadcast, which has no reply
    if client._requests is None:
        client._tx = bytearray(_TX_SIZE)
        client._request = memoryview(client._tx)[:8]
        client._requests = {8: client._request}  # length -> view
    tx = client._tx
    put = put_write_single if isinstance(values, int) else put_write_multiple
    length = put(tx, 0, unit, address, values)
    crc = crc16(tx, 0, length)
    tx[length] = crc & 0xFF
    tx[length + 1] = crc >> 8
    length += 2
    client._begin(0, 8, length)
    if length not in client._requests:
        client._requests[length] = memoryview(tx)[:length]
    return client._requests[length]


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
    return put_head(frame, at, unit, 6, address, value)


def put_write_multiple(frame, at, unit, address, values):
    """Function 16 from frame[at] on. Returns its end. Raises ValueError."""
    count = len(values)
    check_target(address, count, _MAX_WRITE)
    at = put_head(frame, at, unit, 16, address, count)
    frame[at] = 2 * count
    at += 1
    for value in values:
        at = put_word(frame, at, value)
    return at
