"""CRC-16 of the meter buses: Modbus, X-25 (SML, HDLC) and KERMIT (SML of some older meters).

Knows bytes only. One loop over a table, in machine code where there is any for the processor
(`crc_viper`), in bytecode elsewhere with the same result; on CPython the 0x1021 polynomial goes
through `binascii.crc_hqx`.

All functions read buf[start:end] without copying and raise ValueError where that is not inside
the buffer. Streaming: hand the result for the bytes so far to the next call as `crc`; what a CRC
does at its begin (init) and its end (xorout) is inside the function, as in `binascii.crc32`.
Source of the parameters: Williams 1993 and the CRC RevEng catalogue (width 16).
"""

import binascii
from array import array

try:
    from dicamm.proto.crc_viper import run as run_viper  # as run_bytecode, or None
except (ImportError, SyntaxError, ValueError, NameError, AttributeError):
    run_viper = None  # CPython; no emitter for this processor; compiled for another one


def run_bytecode(crc, table, buf, start, end):
    """The bare CRC register after buf[start:end]; no check of the range."""
    for index in range(start, end):
        crc = crc >> 8 ^ table[(crc ^ buf[index]) & 0xFF]
    return crc


def _table(polynomial):
    table = array("H", bytes(512))
    crc = 1
    step = 128
    while step:
        crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        for index in range(0, 256, 2 * step):
            table[index + step] = crc ^ table[index]
        step >>= 1
    return table


_run = run_viper or run_bytecode
MODBUS_TABLE = _table(0xA001)  # 0x8005 reflected
CCITT_TABLE = _table(0x8408)  # 0x1021 reflected


def crc16_modbus(buf, start, end, crc=0xFFFF):
    """CRC-16/MODBUS (init 0xFFFF, xorout 0), sent low byte first. "123456789": 0x4B37.

    crc: result for the bytes before, when streaming. Source: Modbus over serial line 1.02, 6.2.2.
    """
    _check(buf, start, end)
    return _run(crc & 0xFFFF, MODBUS_TABLE, buf, start, end)


def crc16_x25(buf, start, end, crc=0):
    """CRC-16/IBM-SDLC, called X-25 (init 0xFFFF, xorout 0xFFFF). "123456789": 0x906E.

    crc: result for the bytes before, when streaming; 0 is the result for no bytes.
    Source: ISO/IEC 13239; SML 1.04 section 8.1 sends it low byte first.
    """
    _check(buf, start, end)
    return _run_ccitt(crc & 0xFFFF ^ 0xFFFF, CCITT_TABLE, buf, start, end) ^ 0xFFFF


def crc16_kermit(buf, start, end, crc=0):
    """CRC-16/KERMIT (init 0, xorout 0). "123456789": 0x2189.

    crc: result for the bytes before, when streaming; 0 is the result for no bytes.
    """
    _check(buf, start, end)
    return _run_ccitt(crc & 0xFFFF, CCITT_TABLE, buf, start, end)


def _check(buf, start, end):
    if not 0 <= start <= end <= len(buf):
        raise ValueError("bytes %d to %d of %d" % (start, end, len(buf)))


def _run_hqx(crc, _table, buf, start, end):
    """The same through CPython's unreflected CRC: bits swapped on the way in and out."""
    data = bytes(memoryview(buf)[start:end]).translate(_SWAPPED)
    crc = binascii.crc_hqx(data, _SWAPPED[crc & 0xFF] << 8 | _SWAPPED[crc >> 8])
    return _SWAPPED[crc & 0xFF] << 8 | _SWAPPED[crc >> 8]


_run_ccitt = _run
if hasattr(binascii, "crc_hqx"):
    _SWAPPED = bytes([int("{:08b}".format(byte)[::-1], 2) for byte in range(256)])
    _run_ccitt = _run_hqx
