"""Known wrong senders of SML, as data: which meters, which register, what to put right.

Deviations in form (a time without its choice, a short checksum, CRC-16/KERMIT) need no entry:
the parser reads them from any meter and names them in `quirks`. Here stands only what cannot
be told from the telegram's form.
"""

_MANUFACTURER_ID = bytes((1, 0, 96, 1, 0, 255))  # 1-0:96.1.0*255, the device id

# Positive values of few bytes sent as a signed number (a wide one is a real negative):
# (first bytes of the device id, ranges of serials, OBIS, widest width, name).
# DZG DVS74; source: libsml, sml_server.c and its issue on DZG DVS74 with feed-in.
SIGNED_POWER = (
    (
        b"\x0a\x01DZG\x00",
        ((42000000, 48999999), (55000000, 58999999)),
        b"\x01\x00\x10\x07\x00\xff",
        3,
        "dzg_signed_power_bug",
    ),
)


def suspects(entries, server_id):
    """Which of `entries` (list of SmlEntry) the meter may send wrong: (index, widest, name) each.

    The meter is told by its device id 1-0:96.1.0*255, or by `server_id` (bytes or None)
    where the telegram holds none.
    """
    device = _device_id(entries) or server_id
    if device is None or len(device) != 10:
        return ()
    serial = int.from_bytes(device[6:], "big")
    found = ()
    for prefix, ranges, obis, widest, name in SIGNED_POWER:
        if device[:6] == prefix and any(first <= serial <= last for first, last in ranges):
            for index in range(len(entries)):
                if entries[index].obis == obis:
                    found += ((index, widest, name),)
    return found


def correct(entries, found):
    """Puts `raw` right in those of `entries` that `suspects` found, and names the quirk there.

    Returns the number of entries put right.
    """
    count = 0
    for index, widest, name in found:
        entry = entries[index]
        if entry.width <= widest and isinstance(entry.raw, int) and entry.raw < 0:
            entry.raw += 1 << 8 * entry.width
            entry.quirks += (name,)
            count += 1
    return count


def _device_id(entries):
    for entry in entries:
        if entry.obis == _MANUFACTURER_ID and isinstance(entry.raw, bytes):
            return entry.raw
    return None
