"""The fixed structure of M-Bus telegrams: two counters (EN 1434-3; EN 13757-3 keeps it no longer).

Knows one telegram's bytes. Few meters in the field still send it, so it is loaded when one does.
"""

from dicamm.proto import mbus_values


def counters(telegram):
    """The two counters of a mbus.MbusTelegram of kind FIXED: [(unit code, number or None)].

    Status bit 0 tells whether they are BCD or binary; bit 1 whether they are actual values or
    those stored at a fixed date.
    """
    data = telegram.data
    read = mbus_values.integer if data[6] & 1 else mbus_values.bcd
    return [(data[7 + place] & 0x3F, read(data, 9 + 4 * place, 4)) for place in (0, 1)]
